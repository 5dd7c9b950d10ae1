"""Chooses the next head where an owner sends by a budget: its slots take turns, a head a token.

A slot is here while one of its heads may go: among those with priority, among the others, or both.
Heads with priority are asked for first and have half of the tokens while others wait; so no token
is left unused, and neither kind can starve the other. Within a slot ``Lanes.peek`` knows the head.

    while turn := turns.next(now):
        head = turn.slot.lanes.peek(priority=turn.priority)
        if head is None:
            turns.withdraw(turn)  # until something of this kind may go again: ``offer``
        elif wait := pairs.take(head.recipient, now):
            lanes.put_off(head, now + wait)
        else:
            lanes.go(head)
            turns.spend(turn, now)
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from warouter.flow.budget import Budget

Slot = TypeVar("Slot")


class Turn(NamedTuple, Generic[Slot]):
    """A slot, and of which kind its head is to go."""

    slot: Slot
    priority: bool


class Turns(Generic[Slot]):
    """The slots of one owner that have something to send, in the order of their turns."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._urgent: dict[Slot, None] = {}
        self._others: dict[Slot, None] = {}

    def offer(self, turn: Turn[Slot]) -> None:
        """Queue a slot that has something of this kind to send, behind those that wait already."""
        self._of(turn).setdefault(turn.slot)

    def withdraw(self, turn: Turn[Slot]) -> None:
        """Take a slot out that has nothing of this kind to send; no harm if it was out."""
        self._of(turn).pop(turn.slot, None)

    def leave(self, slot: Slot) -> None:
        """Take a slot out altogether."""
        for slots in (self._urgent, self._others):
            slots.pop(slot, None)

    def next(self, now: float) -> Turn[Slot] | None:
        """The next turn; the same one until it is spent or withdrawn. None: no token, or nobody."""
        if self._urgent and self._budget.has(now, priority=True, others=bool(self._others)):
            return Turn(next(iter(self._urgent)), True)
        if self._others and self._budget.has(now):
            return Turn(next(iter(self._others)), False)
        return None

    def spend(self, turn: Turn[Slot], now: float) -> None:
        """The head went: the slot has its next turn of this kind after all others."""
        self._budget.take(now, priority=turn.priority, others=bool(self._others))
        slots = self._of(turn)
        if turn.slot in slots:
            del slots[turn.slot]
            slots[turn.slot] = None

    def due(self, now: float) -> float | None:
        """Seconds until ``next`` has one; None: not before an offer."""
        return self._budget.due(now) if self._urgent or self._others else None

    def _of(self, turn: Turn[Slot]) -> dict[Slot, None]:
        return self._urgent if turn.priority else self._others
