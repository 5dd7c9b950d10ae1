"""Statuses inside the coreapp, without sockets and the database: from the read to the end of POSTs.

480 statuses of 16 slots come in reads of 48 and are stored in one commit, about as at full load; a
journal and a receiver that say yes at once stand in for PostgreSQL and the business. Divide by 480
for one status, by 160 for those of one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import uvloop

from bench.test_fastpath import Sink
from warouter import _batch
from warouter.app_settings import ApplicationSettings, StatusSwitches, Webhooks
from warouter.cluster.role import SlotEvent
from warouter.config import Timing
from warouter.kinds import STATUS
from warouter.lab.simulator.statuses import ALL, payload
from warouter.message_id import mint, text_of
from warouter.owner.callbacks.feed import CallbackFeed
from warouter.owner.claims import Claims
from warouter.owner.hearing import UpstreamListener
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.recorder import Recorder
from warouter.owner.slot import Claiming, OwnedSlot
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.protocol import Event, encode
from warouter.webhook.post import SUCCESS, Ended

STATUSES, OF_A_READ = 480, 48
OWNED = range(0, 32, 2)
URL = "http://127.0.0.1/"
AT = 1_770_000_000
SETTINGS = ApplicationSettings(webhooks=Webhooks(url=URL, message=StatusSwitches(sent=True)))


class Scene:
    """One owner of 16 slots, the upstream that it listens to, and its webhook."""

    def __init__(self) -> None:
        nothing: Any = None
        session: Any = SimpleNamespace(alive=True)
        self.ownership = Ownership(session, Timing(), lambda: 0.0)
        for number in OWNED:
            slot = self.ownership.slots[number] = OwnedSlot(number, 1)
            slot.happened(SlotEvent.OPENED)
            slot.claim = Claiming.GRANTED
        self.ownership.renewed(0.0, dict.fromkeys(OWNED, 1))
        self.journal: Any = SimpleNamespace(append_events=self._append)
        recorder = Recorder(self.ownership, self.journal)
        self.upstream = SimulatorUpstream("nobody", 1, "bench", "bench")
        self.feed = self._feed(recorder)
        owned, upstream = self.ownership, self.upstream
        self.receipts = Receipts(owned, self.journal, recorder, self.feed, upstream)
        claims = Claims(owned, upstream, lambda: 0.0)
        upstream._listener = UpstreamListener(owned, claims, nothing, self.receipts, nothing)
        upstream._listener.congested = lambda: False
        upstream._transport = Sink()
        self.numbers = dict.fromkeys(OWNED, 0)

    def _feed(self, recorder: Recorder) -> CallbackFeed:
        settings: Any = SimpleNamespace(
            webhook_allow_http=True,
            allow_private="127.0.0.0/8",
            allowed_webhook_ports=None,
            webhook_client_cert="",
            webhook_client_key="",
        )
        feed = CallbackFeed(
            self.ownership, self.journal, recorder, lambda _: SETTINGS, settings, lambda: 0.0
        )
        feed.callbacks.receiver.post = self._post
        feed.settings_changed()
        return feed

    async def _append(self, _owned: Any, _rows: Any) -> dict[int, Any]:
        return {}

    async def _post(self, *_: Any) -> Ended:
        return Ended(SUCCESS, SUCCESS, 200)

    def reads(self) -> list[bytes]:
        """As the upstream writes them: all that were sent, then delivered, then read."""
        frames: list[bytes] = []
        ids = [mint(OWNED[n % 16], 0, uuid4().bytes[:12]) for n in range(STATUSES // len(ALL))]
        for status in ALL:
            for n, message_id in enumerate(ids):
                slot, name, to = message_id[1], text_of(message_id), f"49151{n:08}"
                self.numbers[slot] += 1
                key = f"{name}:{status}:{AT}"
                event = payload(status, name, to, AT)
                frames.append(encode(Event(slot, self.numbers[slot], "status", key, to, event)))
        return [_batch.pack(frames[n : n + OF_A_READ]) for n in range(0, STATUSES, OF_A_READ)]

    def turn(self, reads: list[bytes]) -> None:
        for read in reads:
            self.upstream.data_received(read)
        ended(self.receipts._commit(self.receipts._batch()))
        self.upstream._flush()
        at_once: Any = SimpleNamespace(create_task=ended)
        connections: Any = None
        self.feed.callbacks._start_posts(connections, at_once, 0.0)


def ended(work: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing."""
    with pytest.raises(StopIteration):
        work.send(None)


@pytest.mark.benchmark(group="480 statuses in a coreapp, without sockets and database")
def test_turn(benchmark: Any) -> None:
    async def timed() -> None:
        scene = Scene()
        benchmark.pedantic(
            scene.turn, setup=lambda: ((scene.reads(),), {}), rounds=300, warmup_rounds=10
        )
        slots = scene.ownership.slots.items()
        marks = {number: slot.events[STATUS].cursor.mark for number, slot in slots}
        assert marks == scene.numbers  # every status that was read was called back

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(timed())
