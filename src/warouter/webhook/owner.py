"""The owner of the slots, as the delivery of their events sees it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from warouter.flow.event import EventRow


class EventOwner(Protocol):
    """Holds the leases, and records the end of every event; called on the loop."""

    def may_act(self, slot: int) -> bool:
        """True while the slot's lease holds."""

    def on_settled(self, items: list[EventRow]) -> None:
        """Called once these events were delivered."""

    def on_park(self, items: list[EventRow], delay_ms: int, reason: str) -> None:
        """The first failed alone, and the others wait behind it.

        The ``attempts`` and ``first_at`` of the first are set, and their lane is blocked until
        ``Callbacks.unblock``.
        """

    def on_dead(self, items: list[EventRow], reason: str) -> None:
        """Called for events tried for seven days, or a while under ``callback_persist: false``."""

    def on_broken(self, slots: Collection[int], error: Exception) -> None:
        """An unexpected error, most likely of one of these calls: forget the slots, begin anew."""
