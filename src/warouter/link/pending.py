"""A message of a webapp that waits for its owner's answer.

Pure: times are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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


class Pending(msgspec.Struct, eq=False):
    """One message that no owner has answered for yet."""

    message: Outgoing
    deadline: float
    done: Done  # called once, when this is no longer pending
    epoch: int = -1  # under which it was offered last
    via: UUID | None = None  # to which coreapp it went then: the owner, or who relays
    offers: int = 0  # how often it left
    refused: bool = False  # nobody could take it: the sweep offers it again
    old_link: bool = False  # the way to the owner has no place for its ttl or key

    @property
    def slot(self) -> int:
        return self.message.slot

    def too_late(self) -> NotReady:
        if self.offers:
            return NotReady(
                f"outcome unknown for message {text_of(self.message.id)}: its shard did not answer"
            )
        if self.old_link:
            return NotReady(
                "not accepted: the recipient's shard is on a coreapp whose version supports"
                " neither ttl nor Idempotency-Key"
            )
        return NotReady("not accepted: no coreapp owns the recipient's shard right now")


class Held:
    """All of them, by id.

    From half of what may be held on no shard may have more than its even part: one whose owner is
    away leaves the rest to the others.
    """

    def __init__(self) -> None:
        self._entries: dict[bytes, Pending] = {}
        self._bytes = 0
        self._weights = [0] * SLOTS  # by slot

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Pending]:
        """Iterate over the requests of this moment: a callback for one of them may end others."""
        return iter(list(self._entries.values()))

    @property
    def size(self) -> int:
        """Bytes of their bodies."""
        return self._bytes

    def get(self, message_id: bytes) -> Pending | None:
        return self._entries.get(message_id)

    def check(self, slot: int, size: int, shards: int) -> None:
        """Overloaded if there is no room for one more message of the slot, of ``size`` bytes."""
        count = len(self._entries)
        if count >= MAX_HELD or self._bytes + size > MAX_HELD_BYTES:
            raise Overloaded("too many messages are waiting for their shard; retry later")
        half = count >= MAX_HELD // 2 or self._bytes >= MAX_HELD_BYTES // 2
        if half and sum(self._weights[slot % shards :: shards]) * shards >= MAX_HELD_BYTES:
            raise Overloaded("too many messages are waiting for this shard; retry later")

    def add(self, entry: Pending) -> None:
        message = entry.message
        size = len(message.body)
        self._entries[message.id] = entry
        self._bytes += size
        self._weights[message.slot] += size + LEAST_WEIGHT

    def take(self, message_id: bytes) -> Pending | None:
        """Take out a request that waits no longer; None if there is none."""
        return next(self.taken((message_id,)), None)

    def taken(self, ids: Iterable[bytes]) -> Iterator[Pending]:
        """Yield the requests of ``ids`` that waited, each taken out as its turn comes."""
        entries, weights = self._entries, self._weights
        for message_id in ids:
            entry = entries.pop(message_id, None)
            if entry is not None:
                message = entry.message
                size = len(message.body)
                self._bytes -= size
                weights[message.slot] -= size + LEAST_WEIGHT
                yield entry
