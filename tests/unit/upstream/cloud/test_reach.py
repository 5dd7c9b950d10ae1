"""When coreapps count as cut off from the Graph API: alone, or all of them in the same moment."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.still import StillClock
from warouter.cluster.trouble import LASTED, UPSTREAM
from warouter.upstream.cloud.graph.failed import CallAway
from warouter.upstream.cloud.graph.reach import PAUSE_SECONDS, TRYING_SECONDS, Reach
from warouter.upstream.cloud.graph.recovery import (
    ASK_SECONDS,
    AWAY,
    LOOK_SECONDS,
    THERE,
    Recovery,
)

STEP_SECONDS = 0.1
BEGIN = 100.0  # of the outage


class Coreapp:
    """It sends every ``every`` seconds from ``first`` on; ``away`` says when nothing answers."""

    def __init__(
        self,
        time: StillClock,
        away: Callable[[float], bool],
        said: list[str],
        every: float = float("inf"),
        first: float = 0.0,
        asks: float = 0.0,
    ) -> None:
        self.time, self.away, self.every, self.next = time, away, every, first
        self.reach = Reach(time)
        self.said = said
        self.recovery = Recovery(self.reach, self._probe, self._tell, time)
        self.asks = asks  # so long it waits for an answer
        self.looked = 0.0
        self.turns: list[float] = []

    async def _probe(self) -> None:
        self.time.now += self.asks
        if self.away(self.time.now):
            raise CallAway("refused")

    async def _tell(self, word: str) -> None:
        self.said.append(word)

    async def step(self) -> None:
        now = self.time.now
        if now >= self.next and self.every < float("inf"):
            self.next = now + self.every
            (self.reach.failed if self.away(now) else self.reach.answered)()
        if self.reach.turned.is_set() or now - self.looked >= LOOK_SECONDS:
            if self.reach.turned.is_set():
                self.turns.append(now)
            self.reach.turned.clear()
            self.looked = now
            await self.recovery.look()

    async def hear(self, word: str) -> None:
        self.recovery.on_word(word)
        await self.recovery.hear(self.recovery._since)


async def run(time: StillClock, coreapps: list[Coreapp], said: list[str], until: float) -> None:
    while time.now < until:
        time.now += STEP_SECONDS
        for coreapp in coreapps:
            await coreapp.step()
        words = said[:]
        said.clear()
        for word in words:
            for coreapp in coreapps:
                await coreapp.hear(word)


@pytest.mark.parametrize("later", [0.5, 4.0, 9.0])
async def test_all_count_at_the_same_time_where_it_is_away_for_all(later: float) -> None:
    """One that sends, one that fails later, and a spare one; and when it is there again."""
    time, said = StillClock(), list[str]()

    def away(now: float) -> bool:
        return BEGIN <= now < BEGIN + 40.0

    busy = Coreapp(time, away, said, every=0.3)
    late = Coreapp(time, away, said, every=0.7, first=BEGIN + later)
    spare = Coreapp(time, away, said)
    all_of_them = [busy, late, spare]
    await run(time, all_of_them, said, BEGIN + 80.0)
    assert [len(coreapp.turns) for coreapp in all_of_them] == [2, 2, 2]
    for at in zip(*(coreapp.turns for coreapp in all_of_them), strict=True):
        assert max(at) - min(at) < LASTED[UPSTREAM] / 2
    assert busy.turns[0] >= BEGIN + TRYING_SECONDS


async def test_a_coreapp_that_is_cut_off_alone_counts_alone() -> None:
    time, said = StillClock(), list[str]()
    cut = Coreapp(time, lambda now: now >= BEGIN, said, every=0.3)
    others = [Coreapp(time, lambda _now: False, said, every=n) for n in (0.3, float("inf"))]
    await run(time, [cut, *others], said, BEGIN + 40.0)
    assert len(cut.turns) == 1
    assert BEGIN + TRYING_SECONDS <= cut.turns[0] < BEGIN + TRYING_SECONDS + 1.0
    assert [other.turns for other in others] == [[], []]
    assert all(other.reach.well for other in others)


async def test_an_idle_coreapp_asks_when_others_begin_to_fail() -> None:
    time = StillClock()
    spare = Coreapp(time, lambda _now: True, [])
    time.now = BEGIN
    await spare.hear(f"{AWAY}3.0")
    assert (spare.reach.failing_since, spare.reach.well) == (BEGIN - 3.0, True)
    time.now += 7.0
    await spare.hear(f"{AWAY}10.0")
    assert not spare.reach.well


async def test_one_failure_some_seconds_ago_is_not_taken_for_the_others_trouble() -> None:
    time = StillClock()
    fine = Coreapp(time, lambda _now: False, [])
    fine.reach.failed()
    time.now += ASK_SECONDS
    await fine.hear(f"{AWAY}10.0")
    assert fine.reach.failing_since is None


@pytest.mark.parametrize("seconds", [0.0, ASK_SECONDS])
async def test_a_spare_one_has_its_answer_when_the_others_count(seconds: float) -> None:
    """Refused at once, or without any answer until the time is up."""
    time = StillClock()
    spare = Coreapp(time, lambda _now: True, [], asks=seconds)
    for said in (2.0, 5.0, 8.0, TRYING_SECONDS):
        time.now = max(time.now, said)
        await spare.hear(f"{AWAY}{time.now}")
    assert (spare.reach.well, time.now) == (False, TRYING_SECONDS)


async def test_a_probe_follows_another_owners_recovery() -> None:
    time, away = StillClock(), True
    spare = Coreapp(time, lambda _now: away, [])
    await spare.hear(f"{AWAY}12.0")
    assert not spare.reach.well
    away = False
    await spare.hear(THERE)
    assert spare.reach.well


def test_a_failure_before_a_pause_says_nothing_of_now() -> None:
    """It did: the first one after an hour without messages counted as an hour of failures."""
    time = StillClock()
    reach = Reach(time)
    reach.failed()
    time.now = PAUSE_SECONDS
    reach.failed()
    assert reach.well
    time.now += TRYING_SECONDS
    reach.failed()
    assert not reach.well


async def test_a_word_of_another_form_says_nothing() -> None:
    time = StillClock()
    spare = Coreapp(time, lambda _now: True, [])
    time.now = BEGIN
    spare.recovery.on_word(f"{AWAY}for long")
    assert (spare.recovery._came.is_set(), spare.reach.failing_since) == (False, None)
