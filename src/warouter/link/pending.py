"""A message of a webapp that waits for its owner's answer.

Pure: times are the caller's.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from uuid import UUID

import msgspec

from warouter._hash import SLOTS
from warouter.errors import ApiError, NotReady, Overloaded
from warouter.link.wire import Outgoing
from warouter.message_id import text_of

MAX_HELD = 20_000
MAX_HELD_BYTES = 64 << 20
LEAST_WEIGHT = MAX_HELD_BYTES // MAX_HELD  # bytes that stand for the place of one message

# What becomes of a message: the id under which it is known, or why it is not accepted.
Done = Callable[[bytes | ApiError], None]


class Submitting(Protocol):
    """Takes messages to their owners and waits."""

    async def submit(self, message: Outgoing) -> bytes:
        """Returns the id (20 bytes) that the message is known under once it is durable.

        That is another one than its own if its key came before with the same request. Raises
        NotReady, Overloaded or KeyTaken.
        """


class WaitingMessage(Protocol):
    """One message that no owner has answered for yet, in the frame in which it goes to it.

    ``Pending`` is one, and what ``api.messages`` makes of a plain request.
    """

    @property
    def id(self) -> bytes: ...

    @property
    def slot(self) -> int: ...

    @property
    def size(self) -> int:
        """Bytes of the body."""

    @property
    def frame(self) -> bytes:
        """The frame in the newest version, under any epoch."""

    @property
    def deadline(self) -> float: ...

    @property
    def done(self) -> Done:
        """Called once, when this is no longer pending."""

    epoch: int  # under which it was offered last
    via: UUID | None  # to which coreapp it went then: the owner, or who relays
    offers: int  # how often it left
    refused: bool  # no owner could take the message: the sweep offers it again


class Pending(msgspec.Struct, eq=False):
    """A ``WaitingMessage`` message of any kind."""

    id: bytes
    slot: int
    size: int
    frame: bytes
    deadline: float
    done: Done
    epoch: int = -1
    via: UUID | None = None
    offers: int = 0
    refused: bool = False


def too_late(entry: WaitingMessage) -> NotReady:
    """Why a message ends that no owner has answered for in time."""
    if entry.offers:
        return NotReady(
            f"outcome unknown for message {text_of(entry.id)}: its shard did not answer"
        )
    return NotReady("not accepted: no coreapp owns the recipient's shard right now")


class HeldMessages:
    """All messages that wait for an answer, by id.

    From half of what may be held on no shard may have more than its even part: one whose owner is
    away leaves the rest to the others. ``entries`` and ``weights`` are written by the fast path as
    ``add`` does it, below that half.
    """

    def __init__(self) -> None:
        self.entries: dict[bytes, WaitingMessage] = {}
        # By slot, in bytes, with LEAST_WEIGHT for each entry; and last the bytes of all bodies.
        self.weights = array("q", [0] * (SLOTS + 1))

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[WaitingMessage]:
        """Iterate over the requests of this moment: a callback for one of them may end others."""
        return iter(list(self.entries.values()))

    @property
    def size(self) -> int:
        """Bytes of their bodies."""
        return self.weights[SLOTS]

    def get(self, message_id: bytes) -> WaitingMessage | None:
        return self.entries.get(message_id)

    def check(self, slot: int, size: int, shards: int) -> None:
        """Overloaded if there is no room for one more message of the slot, of ``size`` bytes."""
        count = len(self.entries)
        if count >= MAX_HELD or self.size + size > MAX_HELD_BYTES:
            raise Overloaded("too many messages are waiting for their shard; retry later")
        half = count >= MAX_HELD // 2 or self.size >= MAX_HELD_BYTES // 2
        if half and sum(self.weights[slot % shards : SLOTS : shards]) * shards >= MAX_HELD_BYTES:
            raise Overloaded("too many messages are waiting for this shard; retry later")

    def add(self, entry: WaitingMessage) -> None:
        self.entries[entry.id] = entry
        self.weights[entry.slot] += entry.size + LEAST_WEIGHT
        self.weights[SLOTS] += entry.size

    def take(self, message_id: bytes) -> WaitingMessage | None:
        """Take out a request that waits no longer; None if there is none."""
        return next(self.taken((message_id,)), None)

    def taken(self, ids: Iterable[bytes]) -> Iterator[WaitingMessage]:
        """Yield the requests of ``ids`` that waited, each taken out as its turn comes."""
        entries, weights = self.entries, self.weights
        for message_id in ids:
            entry = entries.pop(message_id, None)
            if entry is not None:
                size = entry.size
                weights[entry.slot] -= size + LEAST_WEIGHT
                weights[SLOTS] -= size
                yield entry
