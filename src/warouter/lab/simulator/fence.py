"""The fence of each slot: who holds it, and the validity of a send. Pure.

The newest claim wins. A claim is the pair (epoch, incarnation): an epoch below the newest is
refused, an equal one of another incarnation is a conflict, an equal one of the same incarnation is
a reconnect and moves the slot to the new connection. What was claimed is never forgotten, so a
release or a lost connection lets nobody in under an older epoch.
"""

from __future__ import annotations

import enum
from typing import Generic, TypeVar

from warouter._hash import SLOTS

Holder = TypeVar("Holder")


class ClaimVerdict(enum.Enum):
    """The outcome of a claim."""

    GRANTED = enum.auto()
    BELOW = enum.auto()
    CONFLICT = enum.auto()


class SendStanding(enum.Enum):
    """The validity of a send: by the holder, by a former holder, or by another."""

    HOLDS = enum.auto()
    STALE = enum.auto()
    UNCLAIMED = enum.auto()


class Fence(Generic[Holder]):
    """The newest claim of each slot; a holder is the connection that made it."""

    def __init__(self) -> None:
        self._claims: list[_Claim[Holder]] = [_Claim() for _ in range(SLOTS)]

    def claim(self, slot: int, epoch: int, incarnation: str, holder: Holder) -> ClaimVerdict:
        """Give the slot to the claimant if its epoch is the newest; otherwise nothing changes."""
        claim = self._claims[slot]
        if epoch < claim.epoch:
            return ClaimVerdict.BELOW
        if epoch == claim.epoch and incarnation != claim.incarnation:
            return ClaimVerdict.CONFLICT
        claim.epoch, claim.incarnation, claim.holder = epoch, incarnation, holder
        return ClaimVerdict.GRANTED

    def standing(self, slot: int, epoch: int, incarnation: str, holder: Holder) -> SendStanding:
        """The standing of a send by ``incarnation`` under ``epoch``
        over the connection ``holder``.
        """
        claim = self._claims[slot]
        if claim.holder is holder and claim.epoch == epoch:
            return SendStanding.HOLDS
        if epoch < claim.epoch or (claim.epoch and incarnation != claim.incarnation):
            return SendStanding.STALE
        return SendStanding.UNCLAIMED

    def release(self, slot: int, epoch: int, holder: Holder) -> bool:
        """Remove the holder of the slot if it is this one under this epoch."""
        claim = self._claims[slot]
        if claim.holder is not holder or claim.epoch != epoch:
            return False
        claim.holder = None
        return True

    def gone(self, holder: Holder) -> None:
        """The connection is closed: its slots have no holder any more."""
        for claim in self._claims:
            if claim.holder is holder:
                claim.holder = None

    def seen(self, slot: int) -> int:
        """The newest epoch that was claimed; 0 if none was."""
        return self._claims[slot].epoch

    def holder(self, slot: int) -> Holder | None:
        """The connection that holds the slot."""
        return self._claims[slot].holder

    def held(self) -> dict[int, int]:
        """The epoch of each slot that has a holder."""
        return {s: claim.epoch for s, claim in enumerate(self._claims) if claim.holder is not None}


class _Claim(Generic[Holder]):
    __slots__ = ("epoch", "holder", "incarnation")

    def __init__(self) -> None:
        self.epoch = 0
        self.incarnation = ""
        self.holder: Holder | None = None
