"""What evidence has ended does not end by its age as well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.patch import patched
from warouter.flow.doubt.states import Issue
from warouter.flow.issues import Issues
from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Unpark
from warouter.message_id import minted_at, text_of
from warouter.owner import expiry as module
from warouter.owner.backlog import Backlog
from warouter.owner.expiry import AgedMessage, Expiry
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import ReadRow

LATE = LaneEntry(7, bytes(20), "4915100000000", 0, b"{}", parked=True, expires=1.0, timed=True)


async def _ended(issues: Issues) -> tuple[list[Any], list[LaneEntry]]:
    """The events that say so, and what was settled without one."""
    said: list[Any] = []
    settled: list[LaneEntry] = []

    async def with_status(_names: object) -> set[str]:
        return set()

    expiry = Expiry(
        SimpleNamespace(with_status=with_status),  # type: ignore[arg-type]
        SimpleNamespace(store=lambda _slot, event, _ending: said.append(event)),  # type: ignore[arg-type]
        lambda: 10.0,
        3600.0,
    )
    slot: Any = SimpleNamespace(slot=3, open=True, opened_at=0.0, issues=issues)
    settling = SimpleNamespace(ended=lambda _slot, entry: settled.append(entry))
    await expiry.end(slot, [LATE], settling)
    return said, settled


async def test_a_message_that_was_proven_taken_is_settled_and_not_said_to_have_expired() -> None:
    issues = Issues()
    issues.end(LATE.id)
    assert await _ended(issues) == ([], [LATE])


async def test_one_that_was_issued_counts_as_failed_while_that_is_being_written() -> None:
    """A status of it that is read meanwhile is not shown behind the failure."""
    issues = Issues()
    issues[LATE.id] = Issue(LATE.seq, LATE.id, LATE.recipient)
    said, settled = await _ended(issues)
    assert (len(said), settled) == (1, [])
    assert issues.fails(LATE.id)


@pytest.mark.parametrize(
    ("age", "minted", "asked"),
    [(31, 31, False), (31, 5, True), (5, 31, False), (5, 5, False)],
)
async def test_an_end_that_another_node_has_written_counts_where_this_clock_is_behind(
    age: int, minted: int, asked: bool
) -> None:
    """``age`` by the database's clock, ``minted`` by this node's; the ttl is 30 s."""
    journal = Ended()
    slot: Any = SimpleNamespace(issues=Issues())
    with patched([(module, "wall", lambda: minted_at(LATE.id) + minted)]):
        await journal.expiry.prove_ended(slot, [AgedMessage(0, 30, age, LATE.id)])
    assert journal.looked == ([text_of(LATE.id)] if asked else [])
    assert slot.issues.is_over(LATE.id) == asked


class Ended:
    """A journal with one message, 31 s old and with a ttl of 30, whose failure is on disk."""

    def __init__(self) -> None:
        me: Any = self
        receipts: Any = None  # nothing is said
        self.looked: list[str] = []
        self.expiry = Expiry(me, receipts, lambda: 1000.0, 3600.0)

    async def with_status(self, names: list[str]) -> set[str]:
        self.looked.extend(names)
        return set(names)

    async def page(self, *_place: int) -> list[ReadRow]:
        return [ReadRow(LATE.seq, LATE.id, LATE.recipient, 0, b"{}", 30, 31.0)]

    async def parked_of(self, *_place: object) -> list[dict[str, Any]]:
        place = {"seq": LATE.seq, "id": LATE.id, "recipient": LATE.recipient, "kind": 0}
        waits = {"ttl": 30, "age": 31.0, "reason": "retry", "attempts": 0, "failed": False}
        return [{**place, **waits, "body": b"{}", "issue_state": None}]


class Owner:
    """The backlog of one slot, by whose clock that message is young."""

    def __init__(self) -> None:
        me: Any = self
        self.tasks, self.parked = None, asyncio.Event()  # of the ownership
        self.slot = OwnedSlot(3, 1)
        journal: Any = Ended()
        self.backlog = Backlog(me, me, journal, me, journal.expiry, lambda: 1000.0, 3600.0)

    def moved(self, _slot: OwnedSlot) -> None: ...

    def found(self, _slot: OwnedSlot, _id: bytes, _row: object) -> None: ...

    def in_lane(self, _slot: OwnedSlot, _id: bytes) -> None: ...

    def touch(self, _slot: OwnedSlot) -> None: ...


@pytest.fixture
def owner() -> Iterator[Owner]:
    with patched([(module, "wall", lambda: minted_at(LATE.id) + 5)]):
        yield Owner()


async def test_a_message_read_back_is_settled_by_its_stored_end(owner: Owner) -> None:
    slot = owner.slot
    slot.messages.opened(LATE.seq - 1, [], LATE.seq + 1)
    for row in await owner.backlog.page(slot, LATE.seq, 10, 1_000):
        owner.backlog.take(slot, row)
    assert slot.messages.cursor.settled(LATE.seq)
    assert not slot.lanes.waiting


async def test_a_parked_message_that_has_ended_so_is_settled_as_it_is_taken_up(
    owner: Owner,
) -> None:
    slot, source = owner.slot, owner.backlog.parked.source
    read = await source.rows(slot, [LATE.recipient])
    rows, _ = read[LATE.recipient]
    chosen = source.choose(slot, rows, due=True)
    source.release(slot, chosen.entries, due=True)
    assert Unpark(LATE.seq) in slot.messages.changes
    assert not slot.lanes.waiting
