"""When a message ends unsent, whatever one clock of two has done."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.journals import RECIPIENT, an_id
from warouter.cluster.role import SlotEvent
from warouter.flow.lanes import LaneEntry
from warouter.kinds import MESSAGE, READ_MARK
from warouter.message_id import mint, text_of
from warouter.owner import expiry
from warouter.owner.expiry import Expiry
from warouter.owner.slot import OwnedSlot

NOW = 1_800_000_000.0  # true time
PENDING = 86_400.0
STEP = st.floats(-4000, 4000)


def of(age: float, ttl: int | None, *, database: float = 0.0, node: float = 0.0) -> float:
    """In how many seconds it ends, whose true age this is, after clocks were set so much forward.

    It was appended, and its id was minted, before.
    """
    nobody: Any = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiry, "wall", lambda: NOW + node)
        raw = mint(3, int((NOW - age) * 1000), bytes(12))
        said = max(0.0, age + database)  # as the statements say it
        ends, timed = Expiry(nobody, nobody, lambda: 500.0, PENDING).end_of(0, ttl, said, raw)
    assert timed == (ttl is not None)
    return ends - 500.0


@pytest.mark.parametrize("clock", ["database", "node"])
@given(age=st.floats(0.001, 5000), ttl=st.integers(1, 5000), by=STEP)
def test_no_message_ends_early_for_one_of_the_clocks(
    clock: str, age: float, ttl: int, by: float
) -> None:
    ends = of(age, ttl, **{clock: by})
    assert ends >= ttl - age - 0.002
    assert ends <= min(ttl, ttl - age + abs(by)) + 0.002  # nor later than its whole ttl


def test_without_the_second_clock_it_would() -> None:
    """The build without the mechanism: as if the node's clock had gone with the database's."""
    assert of(10.0, 60, database=3600.0, node=3600.0) < 0


@pytest.mark.parametrize("options", [0, 0b111_000, 0b1_000_000])
def test_a_read_mark_waits_as_long_as_it_takes(options: int) -> None:
    """Whatever a later build says of it besides."""
    nobody: Any = None
    ends = Expiry(nobody, nobody, lambda: 0.0, PENDING).end_of
    assert ends(READ_MARK | options, None, 5.0, bytes(20)) == (math.inf, False)
    assert ends(MESSAGE | options, None, 5.0, bytes(20))[0] < PENDING


class Endings:
    """Receipts and whoever settles: what was failed, and what was settled without that."""

    def __init__(self) -> None:
        self.failed: dict[str, dict[str, Any]] = {}
        self.settled: list[bytes] = []

    def store(self, _slot: OwnedSlot, event: Any, _told: Any) -> None:
        [error] = msgspec.json.decode(event.payload)["errors"]
        self.failed[event.key.partition(":")[0]] = error

    def ended(self, _slot: OwnedSlot, entry: LaneEntry) -> None:
        self.settled.append(entry.id)


def late(seq: int, *, timed: bool = True, told: bool = False) -> LaneEntry:
    return LaneEntry(seq, an_id(seq), RECIPIENT, 0, b"{}", timed=timed, told=told)


async def ended(late: list[LaneEntry], taken: set[str], unknown: set[bytes]) -> Endings:
    """What becomes of these, of which the journal has a status of the ``taken`` ones."""

    async def with_status(_ids: list[str]) -> set[str]:
        return taken

    endings: Any = Endings()
    journal: Any = SimpleNamespace(with_status=with_status)
    slot = OwnedSlot(3, 1)
    slot.happened(SlotEvent.OPENED)
    asked = Expiry(journal, endings, lambda: 9.0, PENDING, lambda _, entry: entry.id in unknown)
    slot.opened_at = 0.0
    await asked.end(slot, late, endings)
    result: Endings = endings
    return result


async def test_a_message_that_may_have_been_taken_ends_as_unknown() -> None:
    entries = [late(1), late(2), late(3, timed=False), late(4, timed=False), late(5)]
    unknown = {an_id(2), an_id(4), an_id(5)}
    found = await ended(entries, {text_of(an_id(5))}, unknown)
    assert found.settled == [an_id(5)]  # a status says what became of it
    said = {name: (e["code"], e["title"], e["details"]) for name, e in found.failed.items()}
    late_ones, old_ones = (410, "Message expired"), (408, "Message is not valid")
    assert said == {
        text_of(an_id(1)): (*late_ones, "the ttl passed before the message could be sent"),
        text_of(an_id(2)): (*late_ones, "outcome unknown"),
        text_of(an_id(3)): (*old_ones, "the message was pending for too long"),
        text_of(an_id(4)): (*old_ones, "outcome unknown"),
    }
