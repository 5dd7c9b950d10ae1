"""Holds back the messages of numbers that are paused, where they are about to go.

Most of such a number are aside (``owner.asides``). What comes up all the same, as it was out before
or as an owner before this one had it out, is parked; nothing of it is taken up before the number is
active.
"""

from __future__ import annotations

from collections.abc import Sequence

from warouter.flow.lanes import LaneEntry
from warouter.owner.backlog import Backlog
from warouter.owner.slot import OwnedSlot

PAUSED = "the number is paused"


def hold_back(backlog: Backlog, slot: OwnedSlot, head: LaneEntry) -> None:
    """Park the lane of a message that counts as out and was not told to the upstream."""
    slot.lanes.withhold(head.id)
    backlog.park(slot, slot.lanes.block(head.lane), 0.0, PAUSED)


def unstopped(backlog: Backlog, slot: OwnedSlot, heads: Sequence[LaneEntry]) -> list[LaneEntry]:
    """Return those of the heads that go; the others are held back."""
    for head in heads:
        if head.number in slot.stopped:
            hold_back(backlog, slot, head)
    return [head for head in heads if head.number not in slot.stopped]
