"""Progress of the logs in one fenced commit, and the form in which the database takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from warouter.flow.aside import AsideRow
from warouter.flow.progress import (
    Dead,
    LogProgress,
    Park,
    RareChange,
    Reopened,
    Stated,
    Took,
    Unaside,
    Unissued,
    Unpark,
)
from warouter.kinds import EVENT_KINDS, INBOUND, STATUS
from warouter.store.journal.sessions import JournalSessions, columns_of, numbered, unless_ones

_RECORD = f"select record_progress({numbered(20)}) as held"


class SlotProgress(NamedTuple):
    """How far the three logs of a slot are."""

    slot: int
    messages: LogProgress
    statuses: LogProgress
    inbound: LogProgress


class TakenRow(NamedTuple):
    """A request that was taken, as `record_taken` takes it; ``seq`` 0 settles nothing."""

    slot: int
    seq: int
    id: bytes
    attempt: int
    wamid: str
    wa_id: str | None
    user_id: str | None
    held: bool
    number: int


class ProgressColumns(NamedTuple):
    """Progress as `record_progress` takes it: cursors by slot, or by slot and kind; changes."""

    send: dict[int, tuple[int, list[int]]]
    events: dict[tuple[int, int], tuple[int, list[int]]]
    rare: dict[str, list[dict[str, Any]]]
    taken: Sequence[TakenRow] = ()

    def arguments(self) -> tuple[Any, ...]:
        """The arguments of `record_progress` behind those of the fence."""
        send, events, rare, rows = self
        *taken, of_numbers = columns_of(rows, len(TakenRow._fields))
        return (
            list(send),
            [mark for mark, _ in send.values()],
            [_ranges(flat) for _, flat in send.values()],
            [slot for slot, _ in events],
            [kind for _, kind in events],
            [mark for mark, _ in events.values()],
            [_ranges(flat) for _, flat in events.values()],
            *taken,
            unless_ones(of_numbers),
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
    taken = [
        _taken(s.slot, change)
        for s in slots
        for change in s.messages.changes
        if isinstance(change, Took)
    ]
    return ProgressColumns(send, events, changes(slots), taken)


def changes(slots: Sequence[SlotProgress]) -> dict[str, list[dict[str, Any]]]:
    """The changes that do not come with each message, as ``record_progress`` takes them: see
    `schema/functions/record_progress.sql`.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for slot, messages, statuses, inbound in slots:
        for kind, log in ((None, messages), (STATUS, statuses), (INBOUND, inbound)):
            for change in log.changes:
                if not isinstance(change, Took):
                    found.setdefault(_name(change, kind), []).append(
                        _place(slot, kind, change) | _fields(change)
                    )
    if "issues" in found:  # an update takes any of several rows: the last one is true
        found["issues"] = list({(i["slot"], i["seq"]): i for i in found["issues"]}.values())
    return found


def _taken(slot: int, took: Took) -> TakenRow:
    ids = took.wamid, took.wa_id, took.user_id
    message_id = bytes.fromhex(took.id)
    return TakenRow(slot, took.seq, message_id, took.attempt, *ids, took.held, took.number)


def _name(change: RareChange, kind: int | None) -> str:
    match change:
        case Park():
            return "park" if kind is None else "park_events"
        case Unpark():
            return "unpark" if kind is None else "unpark_events"
        case Reopened():
            return "reopen"
        case Dead():
            return "dead"
        case Stated():
            return "issues"
        case Unissued():
            return "unissue"
        case AsideRow():
            return "aside"
        case Unaside():
            return "unaside"


def _place(slot: int, kind: int | None, change: RareChange) -> dict[str, Any]:
    """The log of a change; ``kind`` None: of messages, which are log 0 of those that are aside."""
    if isinstance(change, AsideRow | Unaside):
        return {"slot": slot, "log": 0 if kind is None else 1 + kind}
    return {"slot": slot} if kind is None else {"slot": slot, "kind": kind}


def _fields(change: RareChange) -> dict[str, Any]:
    fields = change._asdict()
    if fields.get("ends_ms", 0) is None:
        del fields["ends_ms"]
    return fields


def _ranges(flat: Sequence[int]) -> str:
    """Ranges as an array literal: they differ in length, and PostgreSQL has no ragged arrays."""
    return "{" + ",".join(map(str, flat)) + "}"
