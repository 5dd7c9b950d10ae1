"""What PostgreSQL stores, and the functions of the migrations over it.

A function runs here at the moment of its commit, while it holds its locks: what it has checked then
still holds. ``fenced``, ``termed`` and ``asked_still`` are there to be taken out by mutants.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from uuid import UUID

from tests.campaigns.simulation import parking
from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.parking import Parked
from warouter._hash import SLOTS
from warouter.message_id import parse

MOVED_SECONDS = 60.0
WAITED_SECONDS = 10.0  # nobody waits longer for another shard count
TOO_LATE = (408, 410)
TROUBLES = frozenset(("unreachable", "upstream", "journal", "overdue"))


class Refused(Exception):
    """A statement fails; ``state`` is its SQLSTATE."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Message(NamedTuple):
    """A row of the journal of messages."""

    seq: int
    id: bytes
    recipient: str
    kind: int
    body: bytes
    ttl: int | None
    accepted: float


class Event(NamedTuple):
    """A row of the journal of events."""

    seq: int
    kind: int
    key: str
    recipient: str
    payload: bytes
    contact: bytes | None


class Change(NamedTuple):
    """A row of owner_log."""

    slot: int
    was: UUID | None
    to: UUID | None
    epoch: int
    term: int | None
    reason: str
    at: float


class Journal:
    """Rows by seq, ascending; a page of them."""

    def __init__(self) -> None:
        self.rows: dict[int, Any] = {}
        self.seqs: list[int] = []
        self.mark = 0
        self.ranges: list[int] = []
        self.parked: dict[int, Parked] = {}

    def add(self, row: Any) -> None:
        self.rows[row.seq] = row
        self.seqs.append(row.seq)
        if len(self.seqs) > 1 and self.seqs[-2] > row.seq:
            self.seqs.sort()

    def page(self, after: int, upto: int, limit: int) -> list[Any]:
        low, high = bisect_right(self.seqs, after), bisect_right(self.seqs, upto)
        return [self.rows[seq] for seq in self.seqs[low : min(high, low + limit)]]

    def next_seq(self) -> int:
        tops = [self.mark, *self.ranges, *self.seqs[-1:], *self.parked]
        return 1 + max(tops)

    def settled(self, seq: int) -> bool:
        pairs = zip(self.ranges[::2], self.ranges[1::2], strict=True)
        return seq <= self.mark or any(low <= seq <= high for low, high in pairs)


class Tables:
    """The database's contents."""

    def __init__(self, history: History, shards: int) -> None:
        self._history = history
        self.now = history.now  # on the database's wall clock
        self.fenced = self.termed = self.asked_still = self.aged = True
        self.timeline = 1
        self.term = 0
        self.leader: UUID | None = None
        self.nodes: dict[UUID, dict[str, Any]] = {}
        self._version = 1
        self.shards = shards
        self.epochs = [0] * SLOTS
        self.owners: list[UUID | None] = [None] * SLOTS
        self.successors: list[UUID | None] = [None] * SLOTS
        self.why: list[str | None] = [None] * SLOTS  # of the successor
        self.named = [0.0] * SLOTS  # when the successor was
        self.log: list[Change] = []
        self._troubled: list[Change] = []
        self._renewals: dict[UUID, list[dict[str, Any]]] = {}  # answers to beats, and
        self._rows: list[tuple[int, int, UUID | None, UUID | None]] = []  # rows, until they change
        self.request: list[Any] | None = None  # id, shards, state
        self.requested = 0.0  # when
        self.given_up: set[UUID] = set()  # requests
        self.on_look: Callable[[], object] = _nothing  # a master has seen the request
        self.messages = [Journal() for _ in range(SLOTS)]
        self.places: dict[bytes, tuple[int, int]] = {}
        self.stored: dict[bytes, float] = {}  # when, in true time
        self.requests: dict[bytes, tuple[bytes, bytes]] = {}  # key -> id, hash of the request
        self.events = [(Journal(), Journal()) for _ in range(SLOTS)]
        self.keys: dict[str, tuple[int, int, int]] = {}
        self.asked: dict[tuple[int, int, int], Event] = {}  # dead letters, all to be replayed

    # what an owner writes

    def held(self, inc: UUID, slots: list[int], epochs: list[int]) -> set[int]:
        """held_slots: those of the slots that the incarnation owns under these epochs."""
        own = {
            s
            for s, e in zip(slots, epochs, strict=True)
            if self.epochs[s] == e and self.owners[s] == inc
        }
        if not self.fenced:
            for s, e in zip(slots, epochs, strict=True):
                if s not in own:
                    self._history.broken(
                        "I2", f"slot {s}: a write under {e} after {self.epochs[s]}"
                    )
            return set(slots)
        return own

    def append_messages(self, now: float, inc: UUID, *a: list[Any]) -> list[dict[str, Any]]:
        nothing = [None] * len(a[2])
        columns = [*a[:6], a[6] or [0] * len(a[2]), a[7]]
        return self.append_requests(now, inc, *columns, nothing, nothing, nothing)

    def append_requests(self, now: float, inc: UUID, *a: list[Any]) -> list[dict[str, Any]]:
        held = self.held(inc, a[0], a[1])
        rows = list(zip(*a[2:9], strict=True))
        first = self._first_requests(held, a)
        fresh: dict[bytes, int] = {}  # its ordinal
        for n, (slot, seq, message_id, *_) in enumerate(rows):
            own = slot in held and first[n][0] == message_id
            if own and message_id not in self.places and message_id not in fresh:
                _free(
                    self.messages[slot], seq, (rows[m][:2] == (slot, seq) for m in fresh.values())
                )
                fresh[message_id] = n
        for n in fresh.values():
            slot, seq, message_id, recipient, kind, body, ttl = rows[n]
            self.messages[slot].add(
                Message(seq, message_id, recipient, kind, bytes(body), ttl, now)
            )
            self.places[message_id] = (slot, seq)
            self.stored[message_id] = self._history.now()
        for n, (slot, *_) in enumerate(rows):
            if a[9][n] is not None and slot in held:
                self.requests.setdefault(a[9][n], first[n])
        outcomes: list[dict[str, Any]] = []
        for n, (slot, seq, message_id, *_) in enumerate(rows):
            if slot not in held:
                outcomes.append({"ordinal": n, "outcome": 2})
            elif self.places.get(message_id) != (slot, seq):
                same = 4 if first[n][1] == a[10][n] else 5
                outcome = 1 if first[n][0] == message_id else same
                outcomes.append({"ordinal": n, "outcome": outcome, "first": first[n][0]})
        return outcomes

    def _first_requests(self, held: set[int], a: tuple[Any, ...]) -> list[tuple[bytes, bytes]]:
        """For each row the id and the request that came first with its key; its own without one."""
        came: dict[bytes, tuple[bytes, bytes]] = {}
        first = []
        for slot, message_id, key, request in zip(a[2], a[4], a[9], a[10], strict=True):
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
        rows = list(zip(*a[2:4], kinds, *a[5:8], contacts, strict=True))
        fresh: dict[str, tuple[int, int, int]] = {}
        for slot, seq, kind, key, *_ in rows:
            if slot in held and key not in self.keys and key not in fresh:
                place = (slot, kind, seq)
                _free(self.events[slot][kind], seq, (each == place for each in fresh.values()))
                fresh[key] = place
        for n, (slot, seq, kind, key, recipient, payload, contact) in enumerate(rows):
            place = (slot, kind, seq)
            if fresh.get(key) == place and key not in self.keys:
                self.events[slot][kind].add(
                    Event(seq, kind, key, recipient, bytes(payload), contact)
                )
                self.keys[key] = place
                if key.endswith(":failed") and json.loads(payload)["errors"][0]["code"] in TOO_LATE:
                    self._history.expired[parse(key.partition(":")[0])] = self._history.now()
            elif slot not in held or self.keys.get(key, fresh.get(key)) != place:
                outcomes.append({"ordinal": n, "outcome": 1 if slot in held else 2})
        return outcomes

    def record_progress(self, now: float, inc: UUID, *a: Any) -> list[dict[str, Any]]:
        held = self.held(inc, a[0], a[1])
        for slot, mark, ranges in zip(*a[2:5], strict=True):
            if slot in held:
                journal = self.messages[slot]
                journal.mark, journal.ranges = mark, _array(ranges)
        for slot, kind, mark, ranges in zip(*a[5:9], strict=True):
            if slot in held:
                journal = self.events[slot][kind]
                journal.mark, journal.ranges = mark, _array(ranges)
        if a[9]:
            self._rare(now, held, json.loads(a[9]))
        return [{"held": list(held)}]

    def take_up_letters(
        self, now: float, inc: UUID, slots: list[int], epochs: list[int], tried: float, limit: int
    ) -> list[tuple[int, int, str, int]]:
        held = self.held(inc, slots, epochs)
        taken = sorted(place for place in self.asked if place[0] in held)[:limit]
        lanes: Counter[tuple[int, int, str]] = Counter()
        for slot, kind, seq in taken:
            row = self.asked.pop((slot, kind, seq))
            parked = self.events[slot][kind].parked
            if seq not in parked:
                parked[seq] = Parked(row, 1, now, now - tried, now, "replayed")
                lanes[slot, kind, row.recipient] += 1
        for slot, kind, recipient in lanes:
            parking.lead(self.events[slot][kind].parked, [recipient], now)
        return [(*lane, letters) for lane, letters in lanes.items()]

    def mend_parked(
        self, inc: UUID, slots: list[int], epochs: list[int], limit: int
    ) -> list[dict[str, int]]:
        mended = 0
        for slot in sorted(self.held(inc, slots, epochs)) if self.aged else ():
            for journal in (self.messages[slot], *self.events[slot]):
                mended += parking.mend(journal.parked, self.now(), limit)
        return [{"mended": mended}]

    def open_slots(self, inc: UUID, slots: list[int], epochs: list[int]) -> list[tuple[Any, ...]]:
        held = self.held(inc, slots, epochs)
        return [
            (
                s,
                *(
                    word
                    for j in (self.messages[s], *self.events[s])
                    for word in (j.mark, list(j.ranges), j.next_seq())
                ),
            )
            for s in slots
            if s in held
        ]

    def hand_over(self, inc: UUID, slots: list[int], epochs: list[int]) -> list[dict[str, Any]]:
        moved = [
            s
            for s, e in sorted(zip(slots, epochs, strict=True))
            if self.epochs[s] == e and self.owners[s] == inc and self.successors[s] is not None
        ]
        for s in moved:
            self.change(s, self.successors[s], None, "handover")
        self.version += bool(moved)
        return [{"gone": moved}]

    def release_slots(self, inc: UUID, slots: list[int], epochs: list[int]) -> list[dict[str, Any]]:
        freed = sorted(s for s in self.held(inc, slots, epochs) if self.owners[s] == inc)
        for s in freed:
            self.change(s, None, None, "released")
        self.version += bool(freed)
        return [{"gone": freed}]

    def renew_epochs(self, inc: UUID, slots: list[int], above: list[int]) -> list[dict[str, int]]:
        renewed = []
        for s, floor in sorted(zip(slots, above, strict=True)):
            if self.owners[s] == inc and self.successors[s] is None:
                self.change(s, inc, None, "renew", floor)
                renewed.append({"slot": s, "epoch": self.epochs[s]})
        self.version += 1
        return renewed

    # what nodes and leaders write

    @property
    def version(self) -> int:
        return self._version

    @version.setter
    def version(self, number: int) -> None:
        """Of the shard map: it grows whenever a slot's row changes."""
        self._version = number
        self._renewals.clear()
        self._rows = []

    def beat(
        self, inc: UUID, upstream_ok: bool, unreached: list[UUID], journal_ok: bool
    ) -> list[dict[str, Any]]:
        node = self.nodes.get(inc)
        if node is None:
            return []
        node["counter"] += 1
        node["upstream_ok"] = upstream_ok
        node["unreached"] = unreached
        node["journal_ok"] = journal_ok
        if inc not in self._renewals:
            self._renewals[inc] = self._renewal(inc)
        return self._renewals[inc]

    def slots(self) -> list[tuple[int, int, UUID | None, UUID | None]]:
        """All rows of the table."""
        if not self._rows:
            self._rows = list(
                zip(range(SLOTS), self.epochs, self.owners, self.successors, strict=True)
            )
        return self._rows

    def _renewal(self, inc: UUID) -> list[dict[str, Any]]:
        mine = [s for s in range(SLOTS) if self.owners[s] == inc]
        kept = [s for s in mine if self.successors[s] is None]
        handing = [s for s in mine if self.successors[s] is not None]
        return [
            {
                "slots": kept,
                "epochs": [self.epochs[s] for s in kept],
                "handing": handing,
                "handing_epochs": [self.epochs[s] for s in handing],
                "map_version": self.version,
                "settings_version": 1,
            }
        ]

    def win_term(self, inc: UUID) -> list[dict[str, int]]:
        self.term = self.next_number(self.term)
        self.leader = inc
        return [{"term": self.term}]

    def hold_term(self, term: int, inc: UUID) -> None:
        if (self.term, self.leader) != (term, inc):
            if self.termed:
                raise Refused("WA002")
            self._history.broken("I13", f"a leader of term {term} wrote in term {self.term}")

    def take_over(self, term: int, inc: UUID, *a: list[Any]) -> list[dict[str, Any]]:
        self.hold_term(term, inc)
        for slot, seen, heir, reason, _age in sorted(zip(*a, strict=True)):
            if self.epochs[slot] == seen:
                self.change(slot, heir, term, reason)
        self.version += 1
        return [{}]

    def name_successors(self, term: int, inc: UUID, *a: Any) -> list[dict[str, Any]]:
        self.hold_term(term, inc)
        *moves, _request, shards = a
        for slot, epoch, heir, reason in zip(*moves, strict=True):
            if self.epochs[slot] == epoch:
                self.successors[slot], self.why[slot] = heir, reason
                self.named[slot] = self._history.now()
        self.version += 1
        self.shards = shards or self.shards
        return [{}]

    def begin_shard_request(self, term: int, inc: UUID, *a: Any) -> list[dict[str, Any]]:
        self.hold_term(term, inc)
        request = a[4]
        waits = self.request is not None and (request, "waiting") == (
            self.request[0],
            self.request[2],
        )
        if waits and abs(self.now() - self.requested) > WAITED_SECONDS:
            self.request = None  # nobody waits for it any more
            waits = False
        if not waits and self.asked_still:
            runs = self.request is not None and self.request[::2] == [request, "running"]
            self._give_reasons(*a[:4])
            return [{"begun": runs}]
        if request in self.given_up:
            self._history.broken("I12", "a change of shards that was given up took effect")
        if self.request is not None and waits:
            self.request[2] = "running"
        self.name_successors(term, inc, *a)
        return [{"begun": True}]

    def _give_reasons(
        self, slots: list[int], epochs: list[int], heirs: list[UUID], reasons: list[str]
    ) -> None:
        """Of successors that were named before: so does a request that is not begun."""
        for slot, epoch, heir, reason in zip(slots, epochs, heirs, reasons, strict=True):
            if self.epochs[slot] == epoch and self.successors[slot] == heir:
                self.why[slot] = reason

    def looked(self) -> None:
        on_look, self.on_look = self.on_look, _nothing
        on_look()

    def ask(self, request: UUID, shards: int) -> None:
        """ask_for_shards."""
        self.request, self.requested = [request, shards, "waiting"], self.now()

    def give_up(self, request: UUID) -> None:
        """withdraw_shard_request: unless a leader has begun it."""
        if self.request is not None and (self.request[0], self.request[2]) == (request, "waiting"):
            self.request = None
            self.given_up.add(request)

    def end_shard_request(self, term: int, inc: UUID, request: UUID, *_: str) -> list[Any]:
        self.hold_term(term, inc)
        if self.request is not None and self.request[0] == request:
            self.request = None
        return [{}]

    def raise_epochs(self, term: int, inc: UUID) -> list[dict[str, Any]]:
        self.hold_term(term, inc)
        raised = self.old_timeline()
        for s in raised:
            self.change(s, self.owners[s], term, "timeline")
        self.version += bool(raised)
        return [{}]

    def forget_nodes(self, term: int, inc: UUID, gone: list[UUID]) -> list[dict[str, Any]]:
        self.hold_term(term, inc)
        for each in gone:
            self.nodes.pop(each, None)
        return [{}]

    def moved_lately(self) -> list[int]:
        """Slots that left an owner in trouble within the last minute."""
        now = self.now()
        return sorted({c.slot for c in self._troubled if abs(now - c.at) < MOVED_SECONDS})

    def old_timeline(self) -> list[int]:
        """Slots whose epoch was given out before the last change of timeline."""
        return [
            s
            for s in range(SLOTS)
            if self.owners[s] is not None and self.epochs[s] >> 32 < self.timeline
        ]

    def next_number(self, old: int) -> int:
        return max(old, self.timeline << 32) + 1

    def change(
        self, slot: int, to: UUID | None, term: int | None, reason: str, above: int = 0
    ) -> None:
        """change_owner: a new epoch, and the row that says why."""
        was = self.owners[slot]
        epoch = self.next_number(max(self.epochs[slot], above))
        if reason == "handover":
            reason = self.why[slot] or reason
        elif reason == "overdue" and self.why[slot] == "journal":
            reason = "journal"
        self.owners[slot], self.successors[slot], self.epochs[slot] = to, None, epoch
        self.why[slot] = None
        entry = Change(slot, was, to, epoch, term, reason, self.now())
        self.log.append(entry)
        if reason in TROUBLES:
            self._troubled.append(entry)
        self._history.owner(entry)

    def _rare(self, now: float, held: set[int], rare: dict[str, list[dict[str, Any]]]) -> None:
        for slot in sorted(held):
            for journal, park, gone in (
                (self.messages[slot], ("park",), ("unpark",)),
                *(
                    (
                        self.events[slot][kind],
                        ("park_events", kind),
                        ("unpark_events", "dead", kind),
                    )
                    for kind in (0, 1)
                ),
            ):
                _park(journal, now, _of(rare, slot, *park), _of(rare, slot, *gone))


def _of(rare: dict[str, list[dict[str, Any]]], slot: int, *names: Any) -> list[dict[str, Any]]:
    """What is said of one journal under these names: of its slot, and its kind if it has one."""
    kind = names[-1] if isinstance(names[-1], int) else None
    return [
        p
        for name in names
        for p in rare.get(name, ())
        if p["slot"] == slot and (kind is None or p["kind"] == kind)
    ]


def _park(
    journal: Journal, now: float, rows: list[dict[str, Any]], gone: list[dict[str, Any]]
) -> None:
    for p in rows:
        parking.park(journal.parked, journal.rows, p, now)
    lanes = parking.recipients(journal.parked, [p["seq"] for p in (*rows, *gone)])
    for p in gone:
        journal.parked.pop(p["seq"], None)
    ends = {p["seq"]: p["ends_ms"] / 1000 for p in rows if p.get("ends_ms") is not None}
    parking.lead(journal.parked, lanes, now, ends)


def _free(journal: Journal, seq: int, others: Iterable[bool]) -> None:
    """A new row's place is free, or the statement fails before it has changed anything."""
    if seq in journal.rows or any(others):
        raise Refused("23505")


def _nothing() -> None:
    return None


def _array(text: str) -> list[int]:
    return [int(word) for word in text[1:-1].split(",") if word]
