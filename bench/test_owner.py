"""A batch inside the coreapp, without sockets and without the database: from the read to the acks.

40 messages of 16 slots come in one envelope, as they do with 256 connections over two owners; a
journal that says yes at once stands in for PostgreSQL. Divide by 40 for one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import uvloop

from bench.test_fastpath import BODY, KEY, Sink
from warouter.cluster.role import SlotEvent
from warouter.config import Timing
from warouter.flow.lanes import Lanes
from warouter.link import wire
from warouter.link.listen import LinkServer, WebappConnection
from warouter.message_id import mint
from warouter.owner.appender import Appender
from warouter.owner.claims import Claims
from warouter.owner.media.attachments import Attachments
from warouter.owner.ownership import Ownership
from warouter.owner.sender import Sender, SenderParts
from warouter.owner.slot import OwnedSlot

BATCH = 40
OWNED = range(0, 32, 2)


class Scene:
    """One owner of 16 slots and its link to a webapp."""

    def __init__(self) -> None:
        nothing: Any = None
        session: Any = SimpleNamespace(alive=True)
        self.ownership = Ownership(session, Timing(), lambda: 0.0)
        for number in OWNED:
            slot = self.ownership.slots[number] = OwnedSlot(number, 1)
            slot.happened(SlotEvent.OPENED)
        upstream: Any = SimpleNamespace(connected=False)
        claims = Claims(self.ownership, upstream, lambda: 0.0)
        attachments = Attachments(nothing, self.ownership.tasks)
        own = self.ownership, nothing, nothing, nothing, attachments, claims
        self.sender = Sender(SenderParts(*own, lambda: 0.0), upstream)
        journal: Any = SimpleNamespace(append=self._append)
        self.appender = Appender(self.ownership, journal, nothing, self.sender)
        server = LinkServer(b"", self.appender, nothing)
        self.webapp = WebappConnection(server)
        self.webapp._transport = self.sink = Sink()
        self.webapp._start_session(max(wire.FRAMES), KEY, sends=1)
        self.sealer = wire.Sealer(KEY, 0)

    async def _append(self, _owned: Any, _rows: Sequence[Any]) -> dict[int, Any]:
        return {}

    def envelope(self) -> bytes:
        """As a webapp writes it, and with room for what it makes."""
        for slot in self.ownership.slots.values():
            slot.lanes = slot.messages.held = Lanes()
        frames = [
            wire.message(
                slot := OWNED[n % len(OWNED)],
                1,
                mint(slot, 0, uuid4().bytes[:12]),
                0,
                f"49151123{n:05}",
                BODY,
            )
            for n in range(BATCH)
        ]
        return self.sealer.seal(frames)

    def turn(self, envelope: bytes) -> None:
        self.webapp.data_received(envelope)
        commit = self.appender._commit(self.appender._batch())
        with pytest.raises(StopIteration):
            commit.send(None)
        self.webapp._flush()


@pytest.mark.benchmark(group="40 messages in a coreapp, without sockets and database")
def test_turn(benchmark: Any) -> None:
    async def timed() -> None:
        scene = Scene()
        benchmark.pedantic(
            scene.turn, setup=lambda: ((scene.envelope(),), {}), rounds=2_000, warmup_rounds=50
        )
        assert scene.appender.appended == scene.sink.writes * BATCH > 0

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(timed())
