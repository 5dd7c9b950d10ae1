"""Planned moves that leave no doubt: a slot is quiet before its successor is named.

The Cloud API cannot tell a request that is made once more from a new one, and a request may take
longer than a lease. So a slot that is to move is marked first: its owner is still renewed, still
accepts and acknowledges, but begins no request, and says when none is out. Then its successor is
named, and the handover runs as with the simulator.

Rules of this file:
  * only a planned move of a living owner waits; what is dead is taken over at once;
  * a mark that nobody wants any more is taken back;
  * an owner that does not become quiet holds up no move for ever.
"""

from __future__ import annotations

import msgspec

from warouter.cluster.shardmap import MARKED, QUIET, SlotOwner

QUIET_SECONDS = 22.0  # above the longest request to the Graph API, 20 s
TROUBLED_SECONDS = 2.0  # an owner in trouble accepts or sends nothing meanwhile


def not_quiet(slot: SlotOwner, marked_for: float, *, troubled: bool) -> bool:
    """True if requests of the slot may be out that are worth waiting for.

    ``marked_for``: seconds since it was marked; ``troubled``: its owner is of no use now.
    """
    patience = TROUBLED_SECONDS if troubled else QUIET_SECONDS
    return slot.moving != QUIET and marked_for < patience


def quiet_first(was: SlotOwner, planned: SlotOwner, *, waits: bool) -> SlotOwner:
    """The next state of a slot for which ``planned`` is planned.

    ``waits``: its owner is to be waited for, so no successor is named yet.
    """
    if planned.epoch != was.epoch or was.successor is not None:
        return planned
    if planned.successor is None:
        return _marked(was, 0)
    return _marked(was, was.moving or MARKED) if waits else planned


def to_be_quiet(slot: SlotOwner) -> bool:
    """True if the slot waits for its owner, and has no successor yet."""
    return slot.moving != 0 and slot.successor is None


def until_begun(was: SlotOwner, wanted: SlotOwner) -> SlotOwner:
    """The next state of a slot that is wanted so, while others are waited for: it is not named yet,
    but keeps its mark, or gets one, if it is to move with them.
    """
    if was.successor is not None or wanted.epoch != was.epoch:
        return was
    moves = wanted.successor is not None or to_be_quiet(wanted)
    return _marked(was, (was.moving or MARKED) if moves else 0)


def _marked(slot: SlotOwner, moving: int) -> SlotOwner:
    return slot if slot.moving == moving else msgspec.structs.replace(slot, moving=moving)
