"""What evidence has ended does not end by its age as well."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from warouter.flow.doubt.states import Issue
from warouter.flow.issues import Issues
from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Unpark
from warouter.owner.backlog import Backlog
from warouter.owner.expiry import Expiry
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import ReadRow, Stretch

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


class Stored:
    """A journal with one message."""

    async def pages(self, stretches: list[Stretch], *_most: int) -> dict[int, list[ReadRow]]:
        row = ReadRow(LATE.seq, LATE.id, LATE.recipient, 0, b"{}", 30, 31.0, 1)
        return {stretch.slot: [row] for stretch in stretches}

    async def parked_of(self, *_place: object) -> list[dict[str, Any]]:
        place = {"seq": LATE.seq, "id": LATE.id, "lane": LATE.lane, "number": 1, "kind": 0}
        waits = {"ttl": 30, "age": 31.0, "reason": "retry", "attempts": 0}
        return [{**place, **waits, "body": b"{}", "issue_state": None}]


class Owner:
    """The backlog of one slot, to which evidence came while that message was being read."""

    def __init__(self) -> None:
        me: Any = self
        self.tasks, self.parked = None, asyncio.Event()  # of the ownership
        self.slot = OwnedSlot(3, 1)
        self.slot.issues.end(LATE.id)
        journal: Any = Stored()
        expiry = Expiry(journal, me, lambda: 1000.0, 3600.0)
        self.backlog = Backlog(me, me, journal, me, expiry, lambda: 1000.0, 3600.0)

    def moved(self, _slot: OwnedSlot) -> None: ...

    def found(self, _slot: OwnedSlot, _id: bytes, _row: object) -> None: ...

    def in_lane(self, _slot: OwnedSlot, _id: bytes) -> None: ...

    def touch(self, _slot: OwnedSlot) -> None: ...


async def test_a_message_that_ended_while_it_was_read_is_settled() -> None:
    owner = Owner()
    slot = owner.slot
    slot.messages.opened(LATE.seq - 1, [], LATE.seq + 1)
    stretch = Stretch(slot.slot, LATE.seq - 1, LATE.seq)
    for row in (await owner.backlog.pages([stretch], 10, 1_000))[slot.slot]:
        owner.backlog.take(slot, row)
    assert slot.messages.cursor.settled(LATE.seq)
    assert not slot.lanes.waiting


async def test_a_parked_message_that_has_ended_so_is_settled_as_it_is_taken_up() -> None:
    owner = Owner()
    slot, source = owner.slot, owner.backlog.parked.source
    read = await source.rows(slot, [LATE.recipient])
    rows, _ = read[LATE.recipient]
    chosen = source.choose(slot, rows, due=True)
    source.release(slot, chosen.entries, due=True)
    assert Unpark(LATE.seq) in slot.messages.changes
    assert not slot.lanes.waiting
