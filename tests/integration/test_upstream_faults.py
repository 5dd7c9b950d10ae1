"""Answers of the upstream that are lost, frames of it that nobody can read: the rest goes on.

A real coreapp with its database and a simulator that misbehaves. Before, a lost answer was waited
for without limit, and one frame that did not decode stopped its slot for ever.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.coreapps import give, started
from tests.harness.wait import soon
from warouter._hash import slot_of
from warouter.config import Settings
from warouter.lab.simulator.faults import Faults
from warouter.lab.simulator.server import Simulator
from warouter.link.wire import NEWEST, Message
from warouter.message_id import mint
from warouter.node.coreapp import Coreapp
from warouter.owner import sender
from warouter.owner.slot import Claiming
from warouter.upstream.protocol import Event, encode

SLOT = 3
RECIPIENTS = [str(n) for n in range(4915112340000, 4915112350000) if slot_of(str(n)) == SLOT]


class World:
    """One owner of one slot, its upstream, and its database."""

    frames = NEWEST

    def __init__(self, coreapp: Coreapp, simulator: Simulator, pool: asyncpg.Pool) -> None:
        self.coreapp = coreapp
        self.simulator = simulator
        self.pool = pool
        self.sent = 0

    @property
    def slot(self) -> Any:
        return self.coreapp.ownership.slots[SLOT]

    def send(self, _frame: bytes) -> None:
        """What a webapp is answered."""

    def offer(self, count: int, *, to: int = 0, ttl: int | None = None) -> None:
        """Messages to as many recipients, from the ``to``-th on."""
        for n in range(to, to + count):
            self.sent += 1
            body = memoryview(b'{"to":"%b"}' % RECIPIENTS[n].encode())
            name = mint(SLOT, 1, self.sent.to_bytes(12, "big"))
            message = Message(SLOT, self.slot.epoch, name, 0, RECIPIENTS[n], body, ttl)
            self.coreapp.appender.on_messages(self, [message])

    def use(self, **switches: Any) -> None:
        self.simulator.use(Faults(**switches))

    async def settled(self) -> None:
        """Until everything that was offered has its end, and its end is on disk."""
        await soon(
            lambda: self.slot.messages.cursor.mark == self.sent and not self.slot.messages.parked
        )

    async def statuses(self) -> list[str]:
        rows = await self.pool.fetch("select split_part(key, ':', 2) as s from event order by seq")
        return [row["s"] for row in rows]


@pytest_asyncio.fixture
async def world(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(sender, "ANSWER_SECONDS", 0.2, raising=False)
    monkeypatch.setattr(sender, "UNANSWERED_MS", 300, raising=False)
    simulator = Simulator()
    addresses = await simulator.start()
    async with started(settings, upstream_address=f"127.0.0.1:{addresses.port}") as coreapp:
        slot = await give(coreapp, pool, SLOT)
        await soon(lambda: slot.claimed)
        yield World(coreapp, simulator, pool)
    await simulator.stop()


async def test_a_lost_answer_is_asked_for_again(world: World) -> None:
    world.use(lost_answers=1.0)
    world.offer(9)
    await soon(lambda: world.simulator.exchange.record.counters.received >= 9)
    world.use()
    await world.settled()
    counters = world.simulator.exchange.record.counters
    assert counters.unique == 9
    assert counters.repeats >= 9  # each was told again, and dropped by its id
    assert world.coreapp.sender.asked_again >= 9
    await soon(lambda: world.slot.events[0].committed == 27)


async def test_more_lost_answers_than_the_window_holds_stop_nobody_else(world: World) -> None:
    """Those recipients are parked and give their places back."""
    world.use(lost_answers=1.0)
    world.offer(70)
    # One answer at a time is heard from now on: that of the recipient who has no part in it.
    await soon(lambda: len(world.slot.messages.parked) >= 64)
    world.use()
    world.offer(1, to=75)
    await world.settled()
    assert world.simulator.exchange.record.counters.unique == 71


async def test_a_lost_claim_is_asked_for_again(world: World) -> None:
    world.use(lost_answers=1.0, disconnect=True)
    await soon(lambda: not world.slot.claimed)
    await soon(lambda: world.slot.claim is Claiming.ASKED)
    claims = world.simulator.exchange.record.counters.claims
    await soon(lambda: world.simulator.exchange.record.counters.claims > claims)
    world.use()
    await soon(lambda: world.slot.claimed)


async def test_events_that_nobody_can_read_hold_up_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.use(broken_events=1.0)
    world.offer(20)
    await world.settled()
    await soon(lambda: world.slot.events[0].committed == 60)
    assert world.coreapp.upstream.connected
    await soon(lambda: world.simulator.exchange.unacked() == 0)
    broken, refused = world.coreapp.hearing.broken, world.coreapp.receipts.refused
    assert broken["event"] + refused == 60
    assert broken["other"] == 60  # the noise before each
    lines = [r for r in caplog.records if r.message == "upstream frame decoding failed"]
    assert len(lines) == broken["event"] + broken["other"]
    assert all(line.levelno == logging.ERROR and vars(line)["frame"] for line in lines)


async def test_an_answer_of_garbage_ends_no_connection(world: World) -> None:
    [peer] = world.simulator.exchange.peers
    peer.tell(encode(Event(SLOT, 1, "status", "x", "", b"", b"")))
    peer.tell(msgspec.msgpack.encode(["answer", SLOT, "no id at all", 0, "", "", -1]))
    peer.tell(msgspec.msgpack.encode(["answer", SLOT, 7]))
    world.offer(1)
    await world.settled()
    assert world.coreapp.hearing.broken == {"answer": 2}
    assert world.coreapp.receipts.refused == 1
