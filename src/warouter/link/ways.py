"""By which link the owner of each slot is reached: its own, or that of a coreapp that relays."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple
from uuid import UUID

from warouter._hash import SLOTS
from warouter.cluster.shardmap import ShardMap
from warouter.link import wire
from warouter.link.detour import PATIENCE_SECONDS, Detours
from warouter.link.dial import CoreappConnection


class Way(NamedTuple):
    """How a slot's owner is reached under its epoch: by its own link, or by who relays to it."""

    epoch: int
    connection: CoreappConnection
    relayed_to: UUID | None


class Straight(NamedTuple):
    """The link to a slot's owner, of the newest version: what ``api.messages`` offers through."""

    epoch: int
    via: UUID  # the owner
    send: Callable[[bytes], None]


class Ways:
    """The shard map and the links that stand, brought together.

    ``straight`` has for each slot what is known of its way, if nothing stands in between.
    """

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self._clock = clock
        self._map: ShardMap | None = None
        self._ready: dict[UUID, CoreappConnection] = {}
        self._straight: dict[int, Way] = {}  # known ways without a detour, by slot
        self.straight: list[Straight | None] = [None] * SLOTS
        self._detours = Detours(random)

    @property
    def connected(self) -> int:
        return len(self._ready)

    @property
    def shards(self) -> int:
        return self._map.shards if self._map is not None else 1

    def to(self, slot: int) -> Way | None:
        """The slot's owner, and the link to it or to who relays; None: wait."""
        way = self._straight.get(slot)
        if way is not None:
            return way
        owner = self._map.slots[slot] if self._map is not None else None
        if owner is None or owner.owner is None or owner.successor is not None:
            # A slot on its way to a successor takes nothing any more: wait for the handover.
            return None
        connection = self._ready.get(owner.owner)
        if connection is not None:
            way = self._straight[slot] = Way(owner.epoch, connection, None)
            if connection.frames is wire.NEWEST:
                self.straight[slot] = Straight(owner.epoch, owner.owner, connection.send)
            return way
        via = self._detours.via(owner.owner, self._ready.keys(), self._clock())
        return Way(owner.epoch, self._ready[via], owner.owner) if via is not None else None

    def set_map(self, new: ShardMap) -> set[int]:
        """Adopt a newer map; the slots that changed hands."""
        old, self._map = self._map, new
        self._forget()
        return {
            s.slot
            for i, s in enumerate(new.slots)
            if old is None or (s.owner, s.epoch) != (old.slots[i].owner, old.slots[i].epoch)
        }

    def slots_of(self, coreapp: UUID) -> set[int]:
        if self._map is None:
            return set()
        return {s.slot for s in self._map.slots if s.owner == coreapp}

    def is_up(self, coreapp: UUID) -> bool:
        return coreapp in self._ready

    def up(self, connection: CoreappConnection) -> None:
        """Note that a link stands."""
        coreapp = connection.address.incarnation
        self._ready[coreapp] = connection
        self._forget()
        self._detours.up(coreapp)

    def lost(self, connection: CoreappConnection) -> bool:
        """A link is gone; whether it was the one in use."""
        coreapp = connection.address.incarnation
        if self._ready.get(coreapp) is not connection:
            return False
        del self._ready[coreapp]
        self._forget()
        return True

    def _forget(self) -> None:
        self._straight.clear()
        self.straight[:] = [None] * SLOTS

    def down(self, coreapp: UUID, patience: float = PATIENCE_SECONDS) -> float:
        """There is no link to a coreapp; until when it is waited for."""
        until = self._clock() + patience
        self._detours.down(coreapp, until)
        return until

    def forget(self, coreapp: UUID) -> None:
        """Forget a coreapp that is gone for good."""
        self._detours.forget(coreapp)

    def unreached(self) -> list[UUID]:
        """Coreapps without a link for more than a moment: what this webapp reports."""
        return self._detours.unreached(self._clock())

    def barren(self, slot: int, epoch: int, via: UUID) -> None:
        """``via`` did not reach the owner that the slot had under ``epoch``."""
        owner = self._map.slots[slot] if self._map is not None else None
        if owner is not None and owner.owner is not None and owner.epoch == epoch:
            self._detours.failed(owner.owner, via, self._clock())
