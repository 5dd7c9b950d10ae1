"""What PostgreSQL stores, and the functions of the migrations over it: the journals.

A function runs here at the moment of its commit, while it holds its locks: what it has checked then
still holds. ``aged`` is there to be taken out by a mutant.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from tests.campaigns.simulation.cloud.inbox import Inbox
from tests.campaigns.simulation.cloud.issues import Issue, Issues
from tests.campaigns.simulation.cloud.number import Number
from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.journals import Event, Journal, Message, Parked
from tests.campaigns.simulation.owners import Owners
from warouter._hash import SLOTS
from warouter.flow.aside import AsideRow
from warouter.flow.lane_key import lane_of
from warouter.message_id import parse, text_of
from warouter.owner.parked.messages import TOLD
from warouter.store.journal.progress import TakenRow

TOO_LATE = (408, 410)
_FACTS = "attempt doubts spared state age cause look_in fresh wamid number"
ISSUE_COLUMNS = tuple(f"issue_{fact}" for fact in _FACTS.split())
TEN_MINUTES = 600.0


class Tables(Owners):
    """The database's contents."""

    def __init__(self, history: History, shards: int) -> None:
        super().__init__(history, shards)
        self.aged = self.spares = True
        self.youngest = TEN_MINUTES  # that retention deletes
        self.messages = [Journal() for _ in range(SLOTS)]
        self.places: dict[bytes, tuple[int, int]] = {}
        self.stored: dict[bytes, float] = {}  # when, in true time
        self.requests: dict[bytes, tuple[bytes, bytes]] = {}  # key -> id, hash of the request
        self.events = [(Journal(), Journal()) for _ in range(SLOTS)]
        self.keys: dict[tuple[str, int], tuple[int, int, int]] = {}  # by key and number
        # Consumers that are aside, by slot, log and consumer.
        self.aside: dict[tuple[int, int, int], dict[str, Any]] = {}
        self.asked: dict[tuple[int, int, int], Event] = {}  # dead letters, all to be replayed
        self.shown: dict[str, list[str]] = {}  # names of the statuses of a message
        self.issues = Issues()
        self.inbox = Inbox(self.issues, lambda message_id: self.shown.get(text_of(message_id), []))
        self.number = Number(self.inbox, self.owners)

    def is_failed(self, message_id: bytes) -> bool:
        """It was told to have failed."""
        return "failed" in self.shown.get(text_of(message_id), ())

    def told(self, slot: int, seq: int) -> bool:
        """A message is parked that the upstream was told, and has not answered."""
        row = self.messages[slot].parked.get(seq)
        return row is not None and row.reason == TOLD

    def append_messages(self, now: float, inc: UUID, *a: list[Any]) -> list[dict[str, Any]]:
        nothing = [None] * len(a[2])
        columns = [*a[:6], a[6] or [0] * len(a[2]), *a[7:10]]
        return self.append_requests(now, inc, *columns, nothing, nothing, nothing)

    def append_issued(self, now: float, inc: UUID, *a: list[Any]) -> list[dict[str, Any]]:
        outcomes = self.append_messages(now, inc, *a[:10])
        if not outcomes:
            *columns, numbers = a[10:]
            self.issues.append(now, zip(*columns, numbers or [1] * len(columns[0]), strict=True))
        return outcomes

    def issue_requests(self, now: float, inc: UUID, *a: list[Any]) -> list[dict[str, int]]:
        held = self.held(inc, a[0], a[1])
        return self.issues.issue(now, held, self.inbox.heard(), a[2:])

    def open_issues(
        self, now: float, inc: UUID, slots: list[int], epochs: list[int]
    ) -> list[dict[str, None]]:
        held = self.held(inc, slots, epochs)
        if unsure := held & self.unsure:
            self.issues.doubt_heads(now, unsure, self._heads(unsure))
            self.unsure -= unsure
        self.issues.doubt(now, held)
        return [{"open_issues": None}]

    def due_issues(self, now: float, slots: list[int], most: list[int]) -> list[tuple[Any, ...]]:
        """The rows of these slots that are to be looked at first, so many of each."""
        return [self.with_message(now, row) for row in self.issues.due(now, slots, most)]

    def with_message(self, now: float, row: Issue) -> tuple[Any, ...]:
        """A row as it is read with what says how its message is treated."""
        message = self.messages[row.slot].rows.get(row.seq)
        if message is None:
            self._history.broken("I22", f"{row.id[-6:].hex()} is gone, and was not settled")
        body = message.body if message is not None and b'"template"' in message.body else None
        of_it = (message.kind, body, message.ttl) if message else (None, None, None)
        age = max(now - message.accepted, 0.0) if message else 0.0  # greatest() leaves nulls out
        place = row.slot, row.seq, row.id, row.recipient
        return (*place, *of_it, age, message is not None, *self.issue_columns(now, row))

    def issue_columns(self, now: float, row: Issue | None) -> tuple[Any, ...]:
        """What a statement that reads messages says of the row of each."""
        if row is None:
            return (*[None] * 4, 0.0, *[None] * 5)  # greatest() leaves nulls out
        wamid = max((each.wamid for each in self.issues.attempts.get(row.id, ())), default=None)
        look = None if row.look is None else row.look - now
        fresh = None if row.look is None else row.look == row.at
        of_it = row.attempt, row.doubts, row.spared, row.state
        return (*of_it, max(now - row.at, 0.0), row.cause, look, fresh, wamid, row.number)

    def _heads(self, slots: set[int]) -> Iterator[tuple[int, Message]]:
        """Of each lane, by slot: what may be issued where commits may be lost."""
        for slot in sorted(slots):
            journal = self.messages[slot]
            left = [row for seq, row in sorted(journal.rows.items()) if self._waits(slot, seq)]
            first = [row for p, row in journal.waiting() if p.look is not None]
            rows = [row for row in (*left, *first) if row.kind & 7 != 1]
            lanes: dict[str, Message] = {}
            for row in sorted(rows, key=lambda row: row.seq):
                lanes.setdefault(row.lane, row)
            for _, row in sorted(lanes.items()):
                yield slot, row

    def unsettled_before(self, row: Issue) -> list[bytes]:
        """The messages of its lane that it may not overtake, and that have no end yet."""
        journal = self.messages[row.slot]
        slot, rows = row.slot, journal.rows.items()
        mine = [m for seq, m in rows if seq < row.seq and self._waits(slot, seq)]
        mine += [m for p, m in journal.waiting() if p.seq < row.seq]
        return [m.id for m in mine if m.lane == row.lane and m.kind & 7 != 1]

    def drain_inbox(self, now: float, inc: UUID, *a: list[Any]) -> list[tuple[Any, ...]]:
        held = self.held(inc, a[0], a[1])
        twice = self.issues.prove(now, inc, held, a[3:])
        self.inbox.delete(a[2], held)
        return twice

    def prune(
        self, now: float, inc: UUID, slots: list[int], epochs: list[int], *_: Any
    ) -> list[dict[str, int]]:
        """Of the messages; events of the Cloud API stay for longer than a run takes."""
        total = 0
        for slot in sorted(self.held(inc, slots, epochs)):
            journal = self.messages[slot]
            old = [
                seq
                for seq, row in journal.rows.items()
                if seq <= journal.mark
                and row.accepted < now - self.youngest
                and not (self.spares and self._pointed_at(row.id))
                and not (self.spares and self.is_aside(slot, 0, row.number, seq))
            ]
            journal.prune(old)
            total += len(old)
        return [{"gone": (total, [None, None, None])}]

    def _pointed_at(self, message_id: bytes) -> bool:
        slot, seq = self.places[message_id]
        parked = seq in self.messages[slot].parked
        return parked or message_id in self.issues.ids or bool(self.inbox.of.get(message_id))

    def recipient_of(self, message_id: bytes) -> str | None:
        """Of a message that is, or was, in the journal."""
        if (place := self.places.get(message_id)) is None:
            return None
        journal, seq = self.messages[place[0]], place[1]
        return str((journal.rows.get(seq) or journal.pruned[seq]).recipient)

    def sent(self, told: Any) -> tuple[str | None, int | None]:
        """The recipient and the number of the message that a row of the inbox speaks of, if it is
        ours.
        """
        place = self.places.get(told.id)
        row = self.messages[place[0]].rows.get(place[1]) if place is not None else None
        if row is not None:
            return str(row.recipient), row.number
        known = self.issues.attempts.get(told.id)
        if known:
            return told.recipient or known[0].wa_id, known[0].number
        issue = self.issues.ids.get(told.id)
        return None, None if issue is None else self.issues.rows[issue].number

    def append_requests(self, now: float, inc: UUID, *a: list[Any]) -> list[dict[str, Any]]:
        held = self.held(inc, a[0], a[1])
        numbers, asides = a[8] or [1] * len(a[2]), a[9] or [False] * len(a[2])
        rows = list(zip(*a[2:8], a[10], numbers, asides, strict=True))
        first = self._first_requests(held, a)
        fresh: dict[bytes, int] = {}  # its ordinal
        for n, (slot, seq, message_id, *_) in enumerate(rows):
            own = slot in held and first[n][0] == message_id
            if own and message_id not in self.places and message_id not in fresh:
                taken = (rows[m][:2] == (slot, seq) for m in fresh.values())
                self.messages[slot].free(seq, taken)
                fresh[message_id] = n
        for n in fresh.values():
            slot, seq, message_id, recipient, kind, body, ttl, number, aside = rows[n]
            of_it = seq, message_id, recipient, kind, bytes(body), ttl, now
            self.messages[slot].add(Message(*of_it, number, aside))
            self.places[message_id] = (slot, seq)
            self.stored[message_id] = self._history.now()
        for n, (slot, *_) in enumerate(rows):
            if a[11][n] is not None and slot in held:
                self.requests.setdefault(a[11][n], first[n])
        outcomes: list[dict[str, Any]] = []
        for n, (slot, seq, message_id, *_) in enumerate(rows):
            if slot not in held:
                outcomes.append({"ordinal": n, "outcome": 2})
            elif self.places.get(message_id) != (slot, seq):
                same = 4 if first[n][1] == a[12][n] else 5
                outcome = 1 if first[n][0] == message_id else same
                outcomes.append({"ordinal": n, "outcome": outcome, "first": first[n][0]})
        return outcomes

    def _first_requests(self, held: set[int], a: tuple[Any, ...]) -> list[tuple[bytes, bytes]]:
        """For each row the id and the request that came first with its key; its own without one."""
        came: dict[bytes, tuple[bytes, bytes]] = {}
        first = []
        for slot, message_id, key, request in zip(a[2], a[4], a[11], a[12], strict=True):
            mine = (message_id, request)
            if key is None or slot not in held:
                first.append(mine)
            else:
                first.append(self.requests.get(key) or came.setdefault(key, mine))
        return first

    def append_events(self, inc: UUID, *a: list[Any]) -> list[dict[str, int]]:
        held = self.held(inc, a[0], a[1])
        outcomes: list[dict[str, int]] = []
        kinds, contacts = a[4] or [0] * len(a[2]), a[8] or [None] * len(a[2])
        numbers, asides = a[9] or [1] * len(a[2]), a[10] or [False] * len(a[2])
        rows = list(zip(*a[2:4], kinds, *a[5:8], contacts, numbers, asides, strict=True))
        fresh: dict[tuple[str, int], tuple[int, int, int]] = {}
        for slot, seq, kind, key, *_, number, _ in rows:
            known = key, number
            if slot in held and known not in self.keys and known not in fresh:
                place = (slot, kind, seq)
                self.events[slot][kind].free(seq, (each == place for each in fresh.values()))
                fresh[known] = place
        for n, (slot, *row) in enumerate(rows):
            seq, kind, key, recipient, payload, contact, number, aside = row
            place, known = (slot, kind, seq), (key, number)
            if fresh.get(known) == place and known not in self.keys:
                self.events[slot][kind].add(
                    Event(seq, kind, key, recipient, bytes(payload), contact, number, aside)
                )
                self.keys[known] = place
                name, _, status = key.partition(":")
                if kind == 0:
                    self.shown.setdefault(name, []).append(status.partition(":")[0])
                if key.endswith(":failed") and json.loads(payload)["errors"][0]["code"] in TOO_LATE:
                    self._history.expired[parse(key.partition(":")[0])] = self._history.now()
            elif slot not in held or self.keys.get(known, fresh.get(known)) != place:
                outcomes.append({"ordinal": n, "outcome": 1 if slot in held else 2})
        return outcomes

    def record_progress(self, now: float, inc: UUID, *a: Any) -> list[dict[str, Any]]:
        held = self.held(inc, a[0], a[1])
        rare = json.loads(a[18]) if a[18] else {}
        self._aside(held, rare)
        for slot, mark, ranges in zip(*a[2:5], strict=True):
            if slot in held:
                self.messages[slot].settle(mark, ranges)
        for slot, kind, mark, ranges in zip(*a[5:9], strict=True):
            if slot in held:
                self.events[slot][kind].settle(mark, ranges)
        if rare:
            self._rare(now, held, rare)
            self.issues.record(now, held, rare)
        taken = [*a[9:17], a[17] or [1] * len(a[9])]
        self.issues.take(now, held, [TakenRow(*row) for row in zip(*taken, strict=True)])
        return [{"held": list(held)}]

    def append_endings(self, now: float, inc: UUID, *a: Any) -> list[dict[str, int]]:
        outcomes = self.append_events(inc, *a[:11])
        self.record_progress(now, inc, *a[:2], *a[11:])
        return outcomes

    def take_up_letters(
        self, now: float, inc: UUID, slots: list[int], epochs: list[int], tried: float, limit: int
    ) -> list[tuple[int, int, int, str, int]]:
        held = self.held(inc, slots, epochs)
        taken = sorted(place for place in self.asked if place[0] in held)[:limit]
        lanes: Counter[tuple[int, int, int, str]] = Counter()
        for slot, kind, seq in taken:
            row = self.asked.pop((slot, kind, seq))
            parked = self.events[slot][kind].parked
            if seq not in parked:
                place = seq, row.recipient, 1, now, now - tried, now, "replayed"
                parked[seq] = Parked(*place, number=row.number)
                lanes[slot, kind, row.number, row.recipient] += 1
        for slot, kind, *lane in lanes:
            self.events[slot][kind].lead([lane_of(*lane)], now, {})
        return [(*lane, letters) for lane, letters in lanes.items()]

    def mend_parked(
        self, inc: UUID, slots: list[int], epochs: list[int], limit: int
    ) -> list[dict[str, int]]:
        mended = 0
        for slot in sorted(self.held(inc, slots, epochs)) if self.aged else ():
            for journal in (self.messages[slot], *self.events[slot]):
                mended += journal.mend(self.now(), limit)
        return [{"mended": mended}]

    def open_slots(self, inc: UUID, slots: list[int], epochs: list[int]) -> list[tuple[Any, ...]]:
        held = self.held(inc, slots, epochs)
        return [
            (
                s,
                *(
                    word
                    for log, j in enumerate((self.messages[s], *self.events[s]))
                    for word in (j.mark, list(j.ranges), self._next_seq(s, log, j))
                ),
                json.dumps([row | {"log": at[1]} for at, row in self._aside_of(s)]),
            )
            for s in slots
            if s in held
        ]

    def _waits(self, slot: int, seq: int) -> bool:
        """A message of the journal is not settled, in FLOW or aside."""
        journal = self.messages[slot]
        aside = self.is_aside(slot, 0, journal.rows[seq].number, seq)
        return aside or not journal.settled(seq)

    def is_aside(self, slot: int, log: int, number: int, seq: int) -> bool:
        """The row belongs aside to somebody, and is not settled for it."""
        rows = [row for at, row in self._aside_of(slot) if at[1] == log]
        return any(
            row["number"] == number
            and not seq <= row["base"]
            and not (row["upto"] is not None and seq > row["upto"])
            and not _covers(row["flow"], seq)
            and not seq <= row["mark"]
            and not _covers(row["ranges"], seq)
            for row in rows
        )

    def _aside_of(self, slot: int) -> list[tuple[tuple[int, int, int], dict[str, Any]]]:
        return sorted((at, row) for at, row in self.aside.items() if at[0] == slot)

    def _next_seq(self, slot: int, log: int, journal: Journal) -> int:
        rows = [row for at, row in self._aside_of(slot) if at[1] == log]
        return max(journal.next_seq(), *(1 + max(r["since"], r["upto"] or 0) for r in rows), 1)

    def _aside(self, held: set[int], rare: dict[str, list[dict[str, Any]]]) -> None:
        """Who is aside in which log: the rows of table ``aside``, without their times."""
        for gone in rare.get("unaside", ()):
            if gone["slot"] in held:
                self.aside.pop((gone["slot"], gone["log"], gone["consumer"]), None)
        for row in rare.get("aside", ()):
            at = row["slot"], row["log"], row["consumer"]
            if row["slot"] in held:
                kept = self.aside.get(at, row)["number"]
                fields = {name: row[name] for name in AsideRow._fields}
                self.aside[at] = fields | {"number": kept}

    def _journals(self, slot: int) -> Iterator[tuple[Journal, str, int | None]]:
        """Those of a slot, each with the end of its columns' names and its kind."""
        yield self.messages[slot], "", None
        for kind, journal in enumerate(self.events[slot]):
            yield journal, "_events", kind

    def _rare(self, now: float, held: set[int], rare: dict[str, list[dict[str, Any]]]) -> None:
        for slot in sorted(held):
            for journal, of, kind in self._journals(slot):

                def mine(*names: str, place: Any = (slot, kind)) -> list[dict[str, Any]]:
                    rows = (p for name in names for p in rare.get(name, ()))
                    return [p for p in rows if (p["slot"], p.get("kind")) == place]

                journal.record(mine(f"park{of}"), mine(f"unpark{of}", "dead"), now)
                for p in mine("reopen"):
                    journal.reopen(lane_of(p["number"], p["recipient"]), now)


def _covers(flat: list[int], seq: int) -> bool:
    return any(low <= seq <= high for low, high in zip(flat[::2], flat[1::2], strict=True))
