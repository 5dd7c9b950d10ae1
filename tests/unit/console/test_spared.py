"""What costs much is read less often, and what was revealed is over after a minute."""

from __future__ import annotations

import pytest

from tests.harness.still import StillClock
from warouter.console.spared import FACTOR, MOST, SHOWN_SECONDS, Revealed, ShownText, Spared


class Reading:
    """Counts how often it is read; each takes ``seconds``."""

    def __init__(self, clock: StillClock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.count = 0

    async def __call__(self) -> int:
        self.count += 1
        self.clock.now += self.seconds
        return self.count


async def test_a_quick_reading_is_made_each_time() -> None:
    clock = StillClock()
    spared: Spared[int] = Spared(clock)
    reading = Reading(clock, 0.01)
    assert [await spared.get("a", reading) for _ in range(3)] == [1, 2, 3]


async def test_a_slower_reading_is_kept_longer() -> None:
    clock = StillClock()
    spared: Spared[int] = Spared(clock)
    reading = Reading(clock, 1.5)
    assert await spared.get("a", reading) == 1
    clock.now += 1.5 * FACTOR - 0.1
    assert await spared.get("a", reading) == 1
    assert await spared.get("b", Reading(clock, 0.2)) == 1
    assert await spared.get("a", reading) == 2


async def test_a_reading_that_fails_is_not_kept() -> None:
    clock = StillClock()
    spared: Spared[int] = Spared(clock)

    async def failing() -> int:
        clock.now += 2
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await spared.get("a", failing)
    assert await spared.get("a", Reading(clock, 1)) == 1


def test_a_revealed_text_is_found_by_its_name_for_a_minute() -> None:
    clock = StillClock()
    revealed = Revealed(clock)
    shown = ShownText("AQ", "number", "49151")
    name = revealed.keep(shown)
    assert name != revealed.keep(shown)
    assert revealed.get(name, "AQ") == shown
    assert revealed.get(name, "AR") is None
    assert revealed.get("", "AQ") is None
    clock.now += SHOWN_SECONDS
    assert revealed.get(name, "AQ") is None


def test_the_oldest_of_too_many_are_forgotten() -> None:
    revealed = Revealed(StillClock())
    names = [revealed.keep(ShownText("AQ", "text", str(n))) for n in range(MOST + 3)]
    assert [revealed.get(name, "AQ") is None for name in names[:4]] == [True, True, True, False]
