"""The interface of those that hear of a slot's life, and of each beat.

A part of the owner inherits ``SlotListener`` and overrides what it reacts to. The order in which
the parts hear is that of ``Ownership.listeners``, which ``node.coreapp`` sets.
"""

from __future__ import annotations

from typing import Protocol

from warouter.owner.slot import OwnedSlot
from warouter.store.beats import Beat


class SlotListener:
    """Reacts to the life of every slot; by default not at all."""

    def opened(self, slot: OwnedSlot) -> None:
        """An epoch has begun: its first write is committed, its journal's positions are known."""

    def closed(self, slot: OwnedSlot) -> None:
        """The epoch has ended, for whatever reason; nothing more may be done for it."""

    def recorded(self, slot: OwnedSlot) -> None:
        """Progress of the slot is on disk, so its window may have room again."""

    def lapsed(self) -> None:
        """The lease of a slot that may have been sending has ended without being renewed."""

    def idle(self, slot: OwnedSlot) -> bool:
        """True if nothing of the slot is on its way, so that it can be handed over."""
        return True

    def quiet(self, slot: OwnedSlot) -> bool:
        """True if no request of the slot is out that a successor might make once more."""
        return True

    def take_back(self, slot: OwnedSlot) -> None:
        """The slot is to move: what was issued and has not begun will not begin."""


class BeatListener(Protocol):
    """Hears of every beat that was confirmed."""

    def beaten(self, beat: Beat) -> None: ...
