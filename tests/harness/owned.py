"""An owner of slots without a link and without sockets; slots are opened by hand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from warouter.app_settings import ApplicationSettings
from warouter.cluster.role import Happened
from warouter.config import Settings, Timing
from warouter.link.wire import FRAMES, Message, Outcome, parse
from warouter.message_id import mint
from warouter.owner.appender import Appender
from warouter.owner.callbacks.feed import CallbackFeed
from warouter.owner.claims import Claims
from warouter.owner.hearing import UpstreamListener
from warouter.owner.media.attachments import Attachments
from warouter.owner.moves import Moves
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.recorder import Recorder
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.store.nodes import NodeSession, Registration
from warouter.upstream.protocol import Answer, Claim, Claimed, Listener, Send, ToUpstream

ME = uuid4()
EPOCH = 11
RECIPIENT = "4915112345678"
NOBODY: Any = None


def session_of(settings: Settings, role: str, incarnation: UUID) -> NodeSession:
    """The session of a node that is registered with its first beat."""
    me = Registration(
        incarnation=incarnation, name=role, role=role, host="", port=1, version="", pid=1
    )
    return NodeSession(settings, me, lambda _what: None)


class FakeUpstream:
    """An upstream that is not there; a test overrides what it hears of."""

    well = writable = True
    connected = False

    def __init__(self) -> None:
        self.acked: list[tuple[int, int, list[int]]] = []

    def tell(self, message: ToUpstream) -> None:
        """Nobody listens."""

    def forget(self, slot: int) -> None:
        """Nothing is queued."""

    def ack(self, slot: int, epoch: int, numbers: list[int]) -> None:
        self.acked.append((slot, epoch, numbers))

    def abort(self) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing is open."""


class Granting(FakeUpstream):
    """It grants every claim, keeps what it is sent, and ``answers`` for it or not."""

    connected = True

    def __init__(self, *, answers: bool = True) -> None:
        super().__init__()
        self.answers = answers
        self.sent: list[Send] = []
        self.listener: Listener | None = None

    def tell(self, message: ToUpstream) -> None:
        assert self.listener is not None
        hear = partial(asyncio.get_running_loop().call_soon, self.listener.on_upstream)
        if isinstance(message, Claim):
            hear(Claimed(message.slot, message.epoch))
        elif isinstance(message, Send):
            self.sent.append(message)
            if self.answers:
                hear(Answer(message.slot, message.id))


class Heard:
    """Waits until an event of ours is on disk."""

    def __init__(self) -> None:
        self.on_disk = asyncio.Event()

    def stored(self, _slot: OwnedSlot) -> None:
        self.on_disk.set()


class Slots:
    """What a coreapp has, but for its link and its beats."""

    frames = FRAMES[2]

    def __init__(
        self,
        settings: Settings,
        pending: float = math.inf,
        upstream: Any = None,
        journal: Any = None,
    ) -> None:
        self.upstream = upstream or FakeUpstream()
        self.journal: Any = journal or Journal(settings, ME, "test")
        timing = Timing()
        self.ownership = Ownership(session_of(settings, "coreapp", ME), timing, self.now)
        self.recorder = Recorder(self.ownership, self.journal)
        self.moves = Moves(self.ownership, self.journal, self.recorder, timing, self.now, pending)
        self.feed = CallbackFeed(
            self.ownership, self.journal, self.recorder, ApplicationSettings, settings, self.now
        )
        self.receipts = Receipts(
            self.ownership, self.journal, self.recorder, self.feed, self.upstream
        )
        self.attachments = Attachments(NOBODY, self.ownership.tasks)
        self.claims = Claims(self.ownership, self.upstream, self.now)
        self.sender = Sender(
            self.ownership,
            self.journal,
            self.recorder,
            self.receipts,
            self.attachments,
            self.claims,
            self.upstream,
            self.now,
            pending,
        )
        self.appender = Appender(self.ownership, self.journal, self.recorder, self.sender)
        downloads: Any = self.receipts  # no media
        self.hearing = UpstreamListener(
            self.ownership, self.claims, downloads, self.receipts, self.sender
        )
        self.ownership.listeners = (self.feed, self.claims, self.sender, self.appender)
        self.outcomes: list[Outcome] = []

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def hold_leases(self) -> None:
        """No lease is renewed here: whatever is open may act."""
        vars(self.ownership)["may_act"] = lambda number: number in self.ownership.slots

    def open(self, number: int, epoch: int = EPOCH) -> OwnedSlot:
        slot = self.ownership.slots[number] = OwnedSlot(number, epoch)
        slot.happened(Happened.OPENED)
        return slot

    def loops(self) -> list[asyncio.Task[None]]:
        """All that runs for as long as the owner does."""
        runs: list[Coroutine[Any, Any, None]] = [
            self.appender.run(),
            self.recorder.run(),
            self.receipts.run(),
            self.sender.run_parked(),
            self.feed.run(),
        ]
        return [asyncio.create_task(run) for run in runs]

    def send(self, frame: bytes) -> None:
        outcome = parse(memoryview(frame))
        assert isinstance(outcome, Outcome)
        self.outcomes.append(outcome)

    def offer(self, number: int) -> None:
        body = memoryview(b"{}")
        self.appender.on_message(self, Message(number, EPOCH, an_id(number), 0, RECIPIENT, body))


def an_id(number: int) -> bytes:
    """The id of a message of this slot, always the same."""
    return mint(number, 1, bytes(12))


async def ended(loops: list[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


@asynccontextmanager
async def owning(
    settings: Settings, upstream: Granting, pending: float = math.inf
) -> AsyncIterator[Slots]:
    """One that runs, and has slot 3 under the epoch in the table."""
    slots = Slots(settings, pending, upstream)
    upstream.listener = slots.hearing
    slots.hold_leases()
    loops = slots.loops()
    await slots.moves.open({3: EPOCH})
    try:
        yield slots
    finally:
        await ended(loops)
        await slots.journal.close()
