"""Group commit on a real PostgreSQL: who is acked, and what goes on to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest_asyncio

from tests.harness.owned import ME, RECIPIENT, Slots
from warouter.cluster.role import SlotEvent
from warouter.config import Settings
from warouter.link import wire
from warouter.owner.slot import OwnedSlot
from warouter.store.beats import Beat


class Side(Slots):
    """An owner whose sender sends nothing: what it would be told is kept."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.ready: list[wire.Message] = []
        self.told = asyncio.Event()  # after each commit
        vars(self.sender).update(
            committed=self.keep,
            pump_moved=self.told.set,
        )

    def keep(self, slot: OwnedSlot, rows: Sequence[wire.Message]) -> None:
        self.ready += [row for row in rows if slot.messages.appended(row.seq)]

    def hear(self, number: int, epoch: int, n: int, *more: object) -> None:
        body = memoryview(b"{}")
        message = wire.Message(number, epoch, message_id(n), 0, RECIPIENT, body, *more)
        self.appender.on_messages(self, [message])

    async def drain(self) -> None:
        """Until nothing is queued and the last commit was told."""
        task = asyncio.create_task(self.appender.run())
        while self.appender.queued or any(s.appending for s in self.ownership.slots.values()):
            self.told.clear()
            await self.told.wait()
        task.cancel()


def message_id(n: int) -> bytes:
    return bytes((1, 3)) + n.to_bytes(18, "big")


@pytest_asyncio.fixture
async def side(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Side]:
    await pool.execute("update slot set owner = $1, epoch = 11 where slot = 3", ME)
    side = Side(settings)
    yield side
    await side.journal.close()


async def test_one_frame_acks_all_slots_of_an_epoch(side: Side, pool: asyncpg.Pool) -> None:
    """A relay knows what it has asked by id and epoch, so each epoch has a frame of its own."""
    epochs = {3: 11, 5: 11, 6: 12}
    sql = "update slot set owner = $1, epoch = $2 where slot = $3"
    for n, (number, epoch) in enumerate(epochs.items()):
        await pool.execute(sql, ME, epoch, number)
        side.open(number, epoch)
        side.hear(number, epoch, n)
    await side.drain()
    assert sorted((o.outcome, o.epoch, o.ids) for o in side.outcomes) == [
        (wire.ACKED, 11, [message_id(0), message_id(1)]),
        (wire.ACKED, 12, [message_id(2)]),
    ]


async def test_one_id_under_an_ended_epoch_and_anew_in_one_batch(side: Side) -> None:
    """The frame of the ended epoch has no row: the row belongs to the one that was offered anew."""
    old = side.open(3, 10)
    side.hear(3, 10, 1)
    side.ownership.close(old, SlotEvent.DOUBTED)
    new = side.open(3, 11)
    side.hear(3, 11, 1)
    side.hear(3, 11, 2)
    await side.drain()
    assert [row.id for row in side.ready] == [message_id(1), message_id(2)]
    assert {(o.outcome, o.epoch) for o in side.outcomes} == {(wire.ACKED, 11), (wire.NOT_OWNER, 10)}
    assert new.messages.committed == new.messages.loaded == 2


async def test_a_verdict_on_an_ended_epoch_does_not_end_the_new_one(side: Side) -> None:
    old = side.open(3, 10)
    side.ownership.close(old, SlotEvent.DOUBTED)
    new = side.open(3, 11)
    side.ownership.close(old, SlotEvent.FENCED)
    assert side.ownership.slots[3] is new


async def test_a_repeat_is_acked_and_uses_up_its_place(side: Side) -> None:
    slot = side.open(3, 11)
    side.hear(3, 11, 1)
    await side.drain()
    side.hear(3, 11, 1)
    await side.drain()
    assert [o.outcome for o in side.outcomes] == [wire.ACKED, wire.ACKED]
    assert [row.seq for row in side.ready] == [1]
    assert slot.messages.cursor.settled(2)


async def test_frames_that_come_before_their_epoch_are_kept(side: Side) -> None:
    side.hear(3, 11, 1)
    assert side.outcomes == []
    renewed = Beat({3: 11}, {}, 1, 1, 1)
    side.appender.beaten(renewed)  # it is ours, says the beat: it is being opened
    assert side.outcomes == []
    side.appender.opened(side.open(3, 11))
    await side.drain()
    assert [o.outcome for o in side.outcomes] == [wire.ACKED]
    side.hear(4, 5, 2)
    side.appender.beaten(renewed)
    assert side.outcomes[-1].outcome == wire.NOT_OWNER


async def test_requests_that_come_again_are_answered_with_the_first_id(side: Side) -> None:
    """Their places stay empty and are settled; only what is new goes on to be sent."""
    slot = side.open(3, 11)
    key, other = (wire.IdempotencyKey(b"k" * 32, request * 32) for request in (b"a", b"b"))
    for n, wanted in enumerate((key, key, other, None)):
        side.hear(3, 11, n, 60, wanted)
    await side.drain()
    answers = {o.outcome: o.ids for o in side.outcomes}
    assert answers == {
        wire.ACKED: [message_id(0), message_id(3)],
        wire.ALREADY: [message_id(1), message_id(0)],
        wire.CLASHED: [message_id(2)],
    }
    assert [(row.seq, row.ttl) for row in side.ready] == [(1, 60), (4, 60)]
    assert slot.messages.cursor.settled(2)
    assert slot.messages.cursor.settled(3)


async def test_a_row_that_cannot_go_on_takes_nobody_s_ack_away(side: Side) -> None:
    """A fault of ours with one row of a batch: all are on disk and acked; its slot is doubted."""
    slot = side.open(3, 11)

    def broken(_slot: OwnedSlot, _rows: Sequence[wire.Message]) -> None:
        raise KeyError("ours")

    vars(side.sender)["committed"] = broken
    for n in range(3):
        side.hear(3, 11, n)
    await side.drain()
    assert [(o.outcome, len(o.ids)) for o in side.outcomes] == [(wire.ACKED, 3)]
    assert not slot.open
