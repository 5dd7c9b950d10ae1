"""Progress of the logs in one fenced commit, and the form in which the database takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from warouter.flow.progress import (
    Change,
    Dead,
    LogProgress,
    Park,
    Reopened,
    Stated,
    Took,
    Unissued,
    Unpark,
)
from warouter.kinds import EVENT_KINDS, INBOUND, STATUS
from warouter.store.journal.sessions import JournalSessions

_RECORD = "select record_progress($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) as held"


class SlotProgress(NamedTuple):
    """How far the three logs of a slot are."""

    slot: int
    messages: LogProgress
    statuses: LogProgress
    inbound: LogProgress


class ProgressColumns(NamedTuple):
    """Progress as `record_progress` takes it: cursors by slot, or by slot and kind; changes."""

    send: dict[int, tuple[int, list[int]]]
    events: dict[tuple[int, int], tuple[int, list[int]]]
    rare: dict[str, list[dict[str, Any]]]

    def arguments(self) -> tuple[Any, ...]:
        """The arguments of `record_progress` behind those of the fence."""
        send, events, rare = self
        return (
            list(send),
            [mark for mark, _ in send.values()],
            [_ranges(flat) for _, flat in send.values()],
            [slot for slot, _ in events],
            [kind for _, kind in events],
            [mark for mark, _ in events.values()],
            [_ranges(flat) for _, flat in events.values()],
            msgspec.json.encode(rare).decode() if rare else None,
        )


class Recording(JournalSessions):
    """Writes progress of slots into the database."""

    async def record(self, owned: Mapping[int, int], slots: Sequence[SlotProgress]) -> set[int]:
        """Record progress in one commit; returns the slots that this incarnation still held."""
        return await self.write(owned, progress_columns(slots))

    async def write(self, owned: Mapping[int, int], wire: ProgressColumns) -> set[int]:
        """The commit itself."""
        rows = await self._fenced(self._records, _RECORD, owned, *wire.arguments())
        return set(rows[0]["held"])


def progress_columns(slots: Sequence[SlotProgress]) -> ProgressColumns:
    """The progress of slots in the form in which the database takes it."""
    send = {s.slot: (s.messages.mark, s.messages.ranges) for s in slots}
    events = {
        (s.slot, kind): (log.mark, log.ranges)
        for s in slots
        for kind, log in zip(EVENT_KINDS, (s.statuses, s.inbound), strict=True)
    }
    return ProgressColumns(send, events, changes(slots))


def changes(slots: Sequence[SlotProgress]) -> dict[str, list[dict[str, Any]]]:
    """The changes as ``record_progress`` takes them: see `schema/functions/record_progress.sql`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for slot, messages, statuses, inbound in slots:
        for kind, log in ((None, messages), (STATUS, statuses), (INBOUND, inbound)):
            of_log = {"slot": slot} if kind is None else {"slot": slot, "kind": kind}
            for change in log.changes:
                found.setdefault(_name(change, kind), []).append(of_log | _fields(change))
    if "issues" in found:  # an update takes any of several rows: the last one is true
        found["issues"] = list({(i["slot"], i["seq"]): i for i in found["issues"]}.values())
    return found


def _name(change: Change, kind: int | None) -> str:
    match change:
        case Park():
            return "park" if kind is None else "park_events"
        case Unpark():
            return "unpark" if kind is None else "unpark_events"
        case Reopened():
            return "reopen"
        case Dead():
            return "dead"
        case Took():
            return "took"
        case Stated():
            return "issues"
        case Unissued():
            return "unissue"


def _fields(change: Change) -> dict[str, Any]:
    fields = change._asdict()
    if fields.get("ends_ms", 0) is None:
        del fields["ends_ms"]
    return fields


def _ranges(flat: Sequence[int]) -> str:
    """Ranges as an array literal: they differ in length, and PostgreSQL has no ragged arrays."""
    return "{" + ",".join(map(str, flat)) + "}"
