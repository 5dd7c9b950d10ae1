"""Which messages of a commit may leave right after it: their issue rows are written with it."""

from __future__ import annotations

from collections.abc import Sequence

from warouter.flow.doubt.events import RowAsked
from warouter.flow.doubt.machine import step
from warouter.flow.doubt.states import Issue
from warouter.kinds import MESSAGE, base_of
from warouter.link.wire import Message
from warouter.owner.cloud.rate.pace import Pace
from warouter.owner.slot import OwnedSlot


def reservable(rows: Sequence[Message], places: int, pace: Pace, now: float) -> list[Message]:
    """At most ``places`` of the rows, which have their tokens now and count as unbegun."""
    chosen: list[Message] = []
    if places <= 0 or not _plain(rows):
        return chosen  # their statement writes no issue rows
    taken: set[str] = set()
    room: dict[OwnedSlot, int] = {}  # places in the window
    for row in rows:
        slot = row.owned
        if (
            base_of(row.kind) != MESSAGE
            or row.lane in taken
            or room.setdefault(slot, slot.lanes.room) <= 0
            or not _may_leave(slot, row, pace, now)
        ):
            continue
        taken.add(row.lane)
        chosen.append(row)
        issue = Issue(row.seq, row.id, row.recipient, number=row.number)
        issue, _ = step(issue, RowAsked(), now)
        slot.issues.keep(issue)
        room[slot] -= 1
        if len(chosen) == places:
            break
    return chosen


def _may_leave(slot: OwnedSlot, row: Message, pace: Pace, now: float) -> bool:
    log = slot.messages
    if not (slot.accepts and slot.claimed and log.caught_up and log.has_room):
        return False
    if row.number in slot.stopped or not slot.takes(row.number, row.seq):
        return False
    if slot.quiet or row.id in slot.issues or not slot.lanes.free(row.lane):
        return False
    return not log.cursor.full and pace.take(row.recipient, now)


def _plain(rows: Sequence[Message]) -> bool:
    """None of them has a ttl or a key."""
    return all(row.ttl is None and row.key is None for row in rows)
