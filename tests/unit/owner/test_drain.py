"""What was shown of a message is known until the journal tells it, whatever is read meanwhile."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from tests.harness.patch import patched
from warouter.cluster.role import SlotState
from warouter.flow.doubt.states import DoubtState, Issue
from warouter.flow.issues import Issues
from warouter.flow.recent import RecentMessages
from warouter.owner.cloud import acks, drain
from warouter.owner.cloud.acks import InboxAcks
from warouter.owner.cloud.drain import Drain
from warouter.owner.cloud.readings import Readings
from warouter.owner.cloud.rows import ASKED, Rows, order_of
from warouter.owner.cloud.straight_answers import StraightAnswers
from warouter.store.journal.inbox import DuplicateRequest, InboxRow
from warouter.upstream.cloud.batch import INBOUND, STATUS

ID = bytes((1, 3)) + bytes(18)
SLOT = 3


def row(n: int, status: str, *stored: str) -> InboxRow:
    """A status of the message; ``stored`` are those that the journal knew when it was read."""
    payload = msgspec.json.encode({"id": "wamid.1", "status": status, "timestamp": "1764000000"})
    key = f"wamid.1:{status}:1764000000"
    more: Any = (ID, 1, "wamid.1", "1", payload, None, "1", list(stored))
    return InboxRow(n, SLOT, STATUS, key, *more)


def text(n: int, timestamp: object) -> InboxRow:
    """An inbound message of this time."""
    payload = msgspec.json.encode({"id": f"wamid.{n}", "timestamp": timestamp, "type": "text"})
    more: Any = (None, None, f"wamid.{n}", "1", payload, None, None, None)
    return InboxRow(n, SLOT, INBOUND, f"wamid.{n}", *more)


class Journal:
    """It gives rows when the test says so."""

    def __init__(self) -> None:
        self.readings: asyncio.Queue[list[InboxRow]] = asyncio.Queue()
        self.deleted: list[int] = []

    async def inbox(self, _slots: list[int], known: list[int], limit: int) -> list[InboxRow]:
        return [one for one in await self.readings.get() if one.n not in known][:limit]

    async def drained(self, _owned: Any, numbers: list[int], _proofs: Any) -> list[Any]:
        self.deleted += numbers
        return []


class Slot(SimpleNamespace):
    """An open one."""


class Draining:
    """A drain that runs; ``shown`` are the names of the events that went on."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.slot = Slot(slot=SLOT, epoch=1, state=SlotState.ACTIVE, claimed=True, open=True)
        self.slot.issues = Issues()
        self.slot.recent = RecentMessages()
        self.slot.recorded = self.slot.last_record = 0
        owned = SimpleNamespace(slots={SLOT: self.slot}, tasks=SimpleNamespace(guard=_unguarded))
        self.out = frozenset[int]()
        upstream = SimpleNamespace(
            attempts_out=lambda _id: self.out, attempts_taken=lambda _id: frozenset()
        )
        hearsay: Any = SimpleNamespace(evidence=lambda *_: True, unheard=lambda *_: frozenset())
        finds: Any = SimpleNamespace(take=lambda *_: None)
        self.rows = Rows(cast("Any", upstream), hearsay, finds)
        ours: Any = owned, self.journal
        answers = StraightAnswers()
        self.acks = InboxAcks(*ours, answers)
        self.drain = Drain(*ours, self.rows, self.acks, Readings(time.monotonic), answers)
        self.shown: list[str] = []

    def congested(self) -> bool:
        return False

    def on_upstream(self, events: Any) -> None:
        self.shown += [event.key.split(":")[-2] for event in events]

    async def read(self, *rows: InboxRow) -> None:
        self.journal.readings.put_nowait(list(rows))
        await self.reading()

    async def reading(self) -> None:
        await self.drain._read_once([cast("Any", self.slot)], cast("Any", self))

    async def delete(self, *numbers: int) -> None:
        self.acks.ack(SLOT, 1, list(numbers))
        await self.acks._delete()
        assert set(numbers) <= set(self.journal.deleted)


async def _unguarded(_claim: Any, work: Any) -> None:
    await work


async def test_a_row_that_is_deleted_does_not_forget_what_another_has_shown() -> None:
    draining = Draining()
    await draining.read(row(1, "sent"))
    await draining.read(row(2, "read", "sent"))
    await draining.delete(1)  # ``read`` is shown, and not in the journal yet
    await draining.read(row(3, "delivered", "sent"))
    assert draining.shown == ["sent", "read"]


async def test_a_status_that_came_to_another_number_proves_nothing() -> None:
    draining = Draining()
    foreign = msgspec.structs.replace(row(1, "sent"), number=1, sent_by=2)
    await draining.read(foreign)
    assert (draining.shown, draining.rows.counts["foreign"]) == ([], 1)
    assert acks._proof(foreign) is None
    mine = msgspec.structs.replace(foreign, n=2, number=2)
    await draining.read(mine)
    assert draining.shown == ["sent"]
    proof = acks._proof(mine)
    assert proof is not None
    assert proof.number == 2


async def test_a_reading_that_began_before_the_journal_knew_shows_nothing_below() -> None:
    draining = Draining()
    await draining.read(row(1, "read"))
    reading = asyncio.create_task(draining.reading())
    await asyncio.sleep(0)
    await draining.delete(1)
    draining.journal.readings.put_nowait([row(2, "delivered")])  # of a snapshot before the commit
    await reading
    assert draining.shown == ["read"]


async def test_a_shown_status_is_forgotten_once_journalled() -> None:
    draining = Draining()
    await draining.read(row(1, "sent"))
    await draining.delete(1)
    await draining.read()
    assert draining.rows._seen == {}
    await draining.read(row(2, "sent", "sent"), row(3, "read", "sent"))
    assert draining.shown == ["sent", "read"]


async def test_a_status_without_a_journal_row_is_shown_by_the_next_epoch() -> None:
    draining = Draining()
    await draining.read(row(1, "read"))
    for part in (draining.drain, draining.acks):
        part.closed(cast("Any", draining.slot))  # before its event was stored
    await draining.read(row(1, "read"))
    assert draining.shown == ["read", "read"]


def test_messages_go_on_in_the_order_of_their_times_and_then_as_they_came() -> None:
    """After an outage Meta's repeats come in any order."""
    rows = [text(1, "1764000009"), text(2, "1764000003"), text(3, 1764000003), text(4, [])]
    assert [row.n for row in sorted(rows, key=order_of)] == [4, 2, 3, 1]


@pytest.mark.parametrize("state", [DoubtState.EXPIRED, DoubtState.REFUSED, DoubtState.SAYING])
@pytest.mark.parametrize("stored", [[], ["failed"]])
async def test_nothing_is_shown_behind_a_failure_that_is_being_written(
    stored: list[str], state: DoubtState
) -> None:
    """By the owner itself: no reading knows of it yet. If it dies before that is written, the next
    owner shows the row.
    """
    draining = Draining()
    draining.slot.issues.keep(Issue(1, ID, "1", state))
    await draining.read(row(1, "sent", *stored))
    await draining.acks._delete()
    assert draining.shown == []
    assert (1 in draining.journal.deleted) == bool(stored)


async def test_a_page_of_rows_that_wait_does_not_keep_others_from_being_read() -> None:
    draining = Draining()
    draining.out = frozenset({2})  # nobody knows yet what becomes of the second attempt
    waiting = [row(n, "failed") for n in range(1, drain.ROWS + 1)]
    other = msgspec.structs.replace(row(drain.ROWS + 1, "sent"), id=ID[:-1] + b"x")
    await draining.read(*waiting, other)
    await draining.read(*waiting, other)
    assert draining.shown == ["sent"]
    draining.out = frozenset()
    draining.drain._waiting.clear()  # it is time
    await draining.read(*waiting)
    assert draining.shown == ["sent", "failed"]


async def test_a_row_that_waits_is_looked_at_after_twice_as_long_each_time() -> None:
    """An operator's word to many that cannot hear it yet: others must get their place in the page
    of each reading.
    """
    draining = Draining()
    draining.out = frozenset({2})
    waits = []
    for _ in range(5):
        await draining.read(row(1, "failed"))
        waits.append(draining.drain._waiting[1].seconds)
        draining.drain._waiting[1] = draining.drain._waiting[1]._replace(until=0.0)
    assert waits == [0.5, 1.0, 2.0, 4.0, 4.0]


def word(n: int) -> InboxRow:
    """An operator's."""
    more: Any = (ID, None, None, None, b"hold", None, None, None)
    return InboxRow(n, SLOT, ASKED, f"asked:{n}", *more)


async def test_a_word_is_deleted_once_it_is_on_disk_what_it_did() -> None:
    """The next owner would find the message in doubt, and decide by its policy."""
    draining = Draining()

    def asked(slot: Any, _id: bytes, _word: str) -> bool:
        slot.last_record = 1
        return True

    def later(slot: Any, _id: bytes, _word: str) -> bool:
        slot.last_record = 2  # the first has begun, and brings what came before
        return True

    draining.rows._hearsay.asked = asked  # type: ignore[method-assign]
    await draining.read(word(1))
    slot: Any = draining.slot
    draining.rows._hearsay.asked = later  # type: ignore[method-assign]
    await draining.read(word(2))
    await draining.acks._delete()
    assert draining.journal.deleted == []
    slot.recorded = 1
    draining.acks.recorded(slot)
    await draining.acks._delete()
    assert draining.journal.deleted == [1]
    slot.recorded = 2
    draining.acks.recorded(slot)
    await draining.acks._delete()
    assert draining.journal.deleted == [1, 2]


async def test_a_word_that_did_nothing_is_deleted_at_once() -> None:
    draining = Draining()
    draining.rows._hearsay.asked = lambda *_: True  # type: ignore[method-assign]
    await draining.read(word(1))
    await draining.acks._delete()
    assert draining.journal.deleted == [1]


async def test_a_duplicate_is_counted_once_and_forgotten() -> None:
    counting = Draining().acks
    with patched([(acks, "MOST_TWICE", 3)]):
        for n in (1, 1, 2, 3, 4, 4):
            counting._note_twice([DuplicateRequest(ID, 2, f"wamid.{n}")])
    assert counting.duplicates == 4
    assert list(counting._twice) == ["wamid.2", "wamid.3", "wamid.4"]
