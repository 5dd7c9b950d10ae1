"""An owner of slots without a link and without sockets; slots are opened by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from secrets import token_bytes
from typing import Any
from uuid import UUID, uuid4

from tests.harness.patch import patched
from warouter.cluster.role import SlotEvent
from warouter.config import Settings
from warouter.link.wire import NEWEST, Message, Outcome, parse
from warouter.message_id import mint
from warouter.node import coreapp, end_simulator
from warouter.node.coreapp import Coreapp
from warouter.node.runtime import ProcessIdentity
from warouter.owner.slot import OwnedSlot
from warouter.store.beats import NodeRegistration, NodeSession
from warouter.store.journal import Journal
from warouter.systemd import Notifier
from warouter.upstream.protocol import (
    Answer,
    Claim,
    Claimed,
    Send,
    ToUpstream,
    Upstream,
    UpstreamHandler,
)

ME = uuid4()
EPOCH = 11
RECIPIENT = "4915112345678"


def session_of(settings: Settings, role: str, incarnation: UUID) -> NodeSession:
    """The session of a node that is registered with its first beat."""
    me = NodeRegistration(
        incarnation=incarnation, name=role, role=role, host="", port=1, version="", pid=1
    )
    return NodeSession(settings, me, lambda _what: None)


class FakeUpstream(Upstream):
    """An upstream that is not there; a test overrides what it hears of."""

    well = writable = True
    connected = False
    listener: UpstreamHandler

    def __init__(self) -> None:
        self.acked: list[tuple[int, int, list[int]]] = []

    def ack(self, slot: int, epoch: int, numbers: list[int]) -> None:
        self.acked.append((slot, epoch, numbers))


class Granting(FakeUpstream):
    """It grants every claim, keeps what it is sent, and ``answers`` for it or not."""

    connected = True

    def __init__(self, *, answers: bool = True) -> None:
        super().__init__()
        self.answers = answers
        self.sent: list[Send] = []

    def tell(self, message: ToUpstream) -> None:
        hear = partial(asyncio.get_running_loop().call_soon, self.listener.on_upstream)
        if isinstance(message, Claim):
            hear([Claimed(message.slot, message.epoch)])
        elif isinstance(message, Send):
            self.sent.append(message)
            if self.answers:
                hear([Answer(message.slot, message.id)])


class EndOfNothing:
    """The end of no message: there is nothing to settle."""

    def settle(self, _slot: OwnedSlot) -> None: ...


class Me(ProcessIdentity):
    """The owner's: always the same."""

    def __init__(self) -> None:
        self.incarnation, self.role, self.name, self.application = ME, "coreapp", "me", "test"


class Slots(Coreapp):
    """A coreapp whose link and beats nobody runs."""

    frames = NEWEST

    def __init__(self, settings: Settings, upstream: Any = None, journal: Any = None) -> None:
        parts = [
            (end_simulator, "SimulatorUpstream", lambda *_: upstream or FakeUpstream()),
            (coreapp, "Journal", lambda *_: journal or Journal(settings, ME, "test")),
        ]
        with patched(parts):
            super().__init__(settings, Me(), Notifier(""), self.now)
        self.upstream.listener = self.hearing
        self.moves = self.beats._moves
        self.outcomes: list[Outcome] = []

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def hold_leases(self) -> None:
        """No lease is renewed here: whatever is open may act."""
        vars(self.ownership)["may_act"] = lambda number: number in self.ownership.slots

    def open(self, number: int, epoch: int = EPOCH) -> OwnedSlot:
        slot = self.ownership.slots[number] = OwnedSlot(number, epoch)
        slot.happened(SlotEvent.OPENED)
        return slot

    def loops(self) -> list[asyncio.Task[None]]:
        """All that runs for as long as the owner does."""
        runs: list[Coroutine[Any, Any, None]] = [
            self.appender.run(),
            self.recorder.run(),
            self.receipts.run(),
            self.watch.run(),
            self.feed.run(),
        ]
        return [asyncio.create_task(run) for run in runs]

    def send(self, frame: bytes) -> None:
        outcome = parse(memoryview(frame))
        assert isinstance(outcome, Outcome)
        self.outcomes.append(outcome)

    def offer(self, number: int) -> None:
        self.offer_to(number, RECIPIENT, an_id(number))

    def offer_to(self, number: int, recipient: str, message_id: bytes | None = None) -> None:
        body, message_id = memoryview(b"{}"), message_id or mint(number, 1, token_bytes(12))
        message = Message(number, EPOCH, message_id, 0, recipient, body)
        self.appender.on_messages(self, [message])


def an_id(number: int) -> bytes:
    """The id of a message of this slot, always the same."""
    return mint(number, 1, bytes(12))


async def ended(loops: list[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


@asynccontextmanager
async def owning(settings: Settings, upstream: Granting) -> AsyncIterator[Slots]:
    """One that runs, and has slot 3 under the epoch in the table."""
    slots = Slots(settings, upstream=upstream)
    slots.hold_leases()
    loops = slots.loops()
    await slots.moves.open({3: EPOCH})
    try:
        yield slots
    finally:
        await ended(loops)
        await slots.journal.close()
