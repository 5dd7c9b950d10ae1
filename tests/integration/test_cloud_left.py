"""What the Cloud API leaves to owners with the simulator, after `warouter cloud switch --force`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_bytes

import asyncpg
import msgspec

from tests.harness.cloud_owned import (
    RECIPIENT,
    SLOT,
    ask,
    cut,
    hear,
    issues,
    own,
    owning_cloud,
    settled,
    shown,
    silent,
)
from tests.harness.owned import Granting, Slots, ended
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.link.wire import Message
from warouter.message_id import mint, text_of
from warouter.store.database import connect
from warouter.store.journal.issues import DOUBTED, KEPT
from warouter.store.upstream import heard_of_the_cloud, switch
from warouter.upstream.protocol import Event

PENDING = 24 * 3600
INBOX = "select count(*) from cloud_inbox"


class LeftSlots(Slots):
    """With the simulator, on a database in which the Cloud API has left something."""

    def __init__(self, settings: Settings, upstream: Granting) -> None:
        self.ahead = 0.0
        self.simulator = upstream
        super().__init__(settings, upstream, left=True)
        self.hold_leases()

    def now(self) -> float:
        return super().now() + self.ahead

    def loops(self) -> list[asyncio.Task[None]]:
        return [*super().loops(), *(asyncio.create_task(run) for run in self.end.work().values())]

    def message(self) -> bytes:
        message_id = mint(SLOT, 1, token_bytes(12))
        epoch = self.ownership.slots[SLOT].epoch
        row = Message(SLOT, epoch, message_id, 0, RECIPIENT, memoryview(b"{}"))
        self.appender.on_messages(self, [row])
        return message_id

    @property
    def sent(self) -> list[str]:
        return [send.id for send in self.simulator.sent]


@asynccontextmanager
async def owning_left(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[LeftSlots]:
    assert await heard_of_the_cloud(pool)
    slots = LeftSlots(settings, Granting())
    loops = slots.loops()
    await slots.moves.open({SLOT: await own(pool)})
    await soon(lambda: slots.ownership.slots[SLOT].claimed)
    try:
        yield slots
    finally:
        await ended(loops)
        await slots.journal.close()


async def switched(settings: Settings, pool: asyncpg.Pool) -> tuple[bytes, bytes]:
    """A message that the Cloud API may have taken and one behind it: back to the simulator."""
    async with owning_cloud(settings, pool, cut) as me:
        first, behind = me.message(), me.message()
        await soon(lambda: pool.fetchval("select count(*) = 2 from parked_message"))
        assert await issues(pool) == [(first, 1, 1, DOUBTED)]
    connection = await connect(settings, "test")
    assert (await switch(connection, "simulator", force=True)).shut_out
    await connection.close()
    assert await issues(pool) == [(first, 1, 1, KEPT)]
    return first, behind


async def test_what_may_have_been_taken_is_held_and_those_behind_it_go(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    first, behind = await switched(settings, pool)
    async with owning_left(settings, pool) as me:
        await soon(lambda: pool.fetchval("select count(*) = 0 from parked_message"))
        assert me.sent == [text_of(behind)]
    async with owning_left(settings, pool) as me:  # nor by its next owner
        after = me.message()
        await soon(lambda: me.sent)
        assert me.sent == [text_of(after)]
        assert [row[0::2] for row in await issues(pool)] == [(first, 1)]
        assert [row[3] for row in await issues(pool)] == [KEPT]


async def test_it_is_sent_by_an_operators_word(settings: Settings, pool: asyncpg.Pool) -> None:
    first, behind = await switched(settings, pool)
    async with owning_left(settings, pool) as me:
        await ask(me, first)
        await settled(pool, 2)
        assert me.sent == [text_of(behind), text_of(first)]
    assert not await heard_of_the_cloud(pool)


async def test_or_fails_by_one(settings: Settings, pool: asyncpg.Pool) -> None:
    first, behind = await switched(settings, pool)
    async with owning_left(settings, pool) as me:
        await ask(me, first, "fail")
        await settled(pool, 2)
        assert await shown(pool, first) == ["failed"]
        assert me.sent == [text_of(behind)]


async def test_or_with_its_time(settings: Settings, pool: asyncpg.Pool) -> None:
    first, _ = await switched(settings, pool)
    async with owning_left(settings, pool) as me:
        me.ahead = PENDING + 1.0
        await settled(pool, 2)
        assert await shown(pool, first) == ["failed"]


async def test_what_webhooks_brought_before_is_heard(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """It proves that the message was taken; each side's events are acknowledged to it alone."""
    first, behind = await switched(settings, pool)
    await hear(pool, (first, 1))
    async with owning_left(settings, pool) as me:
        payload = msgspec.json.encode({"id": text_of(behind), "status": "sent", "timestamp": "1"})
        key = f"{text_of(behind)}:sent:1"
        me.hearing.on_upstream([Event(SLOT, 1, "status", key, RECIPIENT, payload)])
        await settled(pool, 2)
        await soon(lambda: pool.fetchval(f"select ({INBOX}) = 0"))
        assert [await shown(pool, each) for each in (first, behind)] == [["sent"], ["sent"]]
        assert me.sent == [text_of(behind)]
        assert [numbers for _, _, numbers in me.simulator.acked] == [[1]]


async def test_what_is_out_at_the_switch_is_held_and_heard(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """Those behind it were never parked."""
    async with owning_cloud(settings, pool, silent) as me:
        first, behind = me.message(), me.message()
        await me.begun(1)
        await soon(lambda: pool.fetchval("select count(*) = 2 from message"))
    connection = await connect(settings, "test")
    assert (await switch(connection, "simulator", force=True)).doubtful == 1
    await connection.close()
    for status in ("sent", "delivered", "read"):
        await hear(pool, (first, 1), status)
    async with owning_left(settings, pool) as me:
        await settled(pool, 2)
        await soon(lambda: pool.fetchval(f"select ({INBOX}) = 0"))
        assert me.sent == [text_of(behind)]
        assert await shown(pool, first) == ["sent", "delivered", "read"]
