"""What the fast path needs beside its context, without a webapp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from warouter._hash import SLOTS
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.errors import ApiError
from warouter.link import wire
from warouter.link.address import LinkAddress
from warouter.link.client import Links
from warouter.link.wire import Outgoing

Outcome = bytes | ApiError
Offer = Callable[[Outgoing, Callable[[Outcome], None]], None]


@dataclass
class Registered:
    """The numbers that are registered."""

    known: set[int] = field(default_factory=lambda: {1, 2, 70_000})


class Owner:
    """The link to a coreapp that owns all slots; what comes over it goes to one function."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self.frames = wire.NEWEST
        self.address = LinkAddress(uuid4(), "coreapp-1", "127.0.0.1", 1, b"", None)
        self.sent: list[bytes] = []
        self.links = Links(10.0, lambda: None)
        self.own(1)
        connection: Any = self
        self.links.on_ready(connection)

    def own(self, epoch: int, *, all_of_them: bool = True) -> None:
        """A new shard map, in which this is the owner, or nobody."""
        self.epoch = epoch
        owner = self.address.incarnation if all_of_them else None
        slots = tuple(SlotOwner(slot, epoch, owner) for slot in range(SLOTS))
        self.links.set_map(ShardMap(epoch, 1, slots))

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)
        message = self.frames.parse(memoryview(frame))
        assert isinstance(message, wire.Message)
        assert message.epoch == self.epoch
        key = None if message.key is None else wire.IdempotencyKey(*message.key)
        offered = Outgoing(
            message.slot,
            message.id,
            message.recipient,
            message.kind,
            bytes(message.body),
            message.ttl,
            key,
            message.number,
        )

        assert frame == self.frames.message(
            offered.slot,
            message.epoch,
            offered.id,
            offered.kind,
            offered.recipient,
            offered.body,
            offered.ttl,
            offered.key,
            offered.number,
        )

        def done(outcome: Outcome) -> None:
            entry = self.links.held.get(offered.id)
            assert entry is not None
            self.links._end(entry, outcome)

        try:
            self._offer(offered, done)
        except ApiError as error:
            done(error)


def owned(offer: Offer) -> Links:
    """Links that offer each message to one function, as it came in its frame."""
    return Owner(offer).links
