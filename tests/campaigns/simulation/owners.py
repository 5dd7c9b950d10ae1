"""What PostgreSQL stores of owners, nodes and leaders, and the functions of the migrations over it.

``fenced``, ``termed`` and ``asked_still`` are there to be taken out by mutants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.journals import Refused
from warouter._hash import SLOTS

MOVED_SECONDS = 60.0
WAITED_SECONDS = 10.0  # nobody waits longer for another shard count
QUIET_WAITED_SECONDS = 40.0  # nor where slots have to be quiet first
TROUBLES = frozenset(("unreachable", "upstream", "journal", "overdue"))


class Change(NamedTuple):
    """A row of owner_log."""

    slot: int
    was: UUID | None
    to: UUID | None
    epoch: int
    term: int | None
    reason: str
    at: float


class Owners:
    """Who owns which slot, who leads, who lives."""

    def __init__(self, history: History, shards: int) -> None:
        self._history = history
        self.now = history.now  # on the database's wall clock
        self.fenced = self.termed = self.asked_still = self.doubts_all = True
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
        self.moving = [0] * SLOTS  # 1: to be quiet, 2: quiet
        self.unsure: set[int] = set()  # slots of which commits may be lost
        self.upstream = "simulator"
        self.inactive: list[int] = []  # numbers that are paused
        self.log: list[Change] = []
        self._troubled: list[Change] = []
        self._renewals: dict[UUID, list[dict[str, Any]]] = {}  # answers to beats, and
        self._rows: list[tuple[Any, ...]] = []  # rows, until they change
        self.request: list[Any] | None = None  # id, shards, state
        self.requested = 0.0  # when
        self.taken_up = False  # a leader has seen it, and waits for slots
        self.given_up: set[UUID] = set()  # requests
        self.on_look: Callable[[], object] = _nothing  # a master has seen the request

    # what an owner writes

    def held(self, inc: UUID, slots: list[int], epochs: list[int]) -> set[int]:
        """held_slots: those of the slots that the incarnation owns under these epochs."""
        own = {
            s
            for s, e in zip(slots, epochs, strict=True)
            if self.epochs[s] == e and self.owners[s] == inc and e >> 32 in (0, self.timeline)
        }
        if not self.fenced:
            for s, e in zip(slots, epochs, strict=True):
                if s not in own:
                    self._history.broken(
                        "I2", f"slot {s}: a write under {e} after {self.epochs[s]}"
                    )
            return set(slots)
        return own

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

    def quiet_slots(self, inc: UUID, slots: list[int], epochs: list[int]) -> list[dict[str, Any]]:
        quiet = [
            s
            for s in sorted(self.held(inc, slots, epochs))
            if self.moving[s] == 1 and self.successors[s] is None
        ]
        for s in quiet:
            self.moving[s] = 2
        self.version += bool(quiet)
        return [{"quiet": quiet}]

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
        self, inc: UUID, upstream_ok: bool, unreached: list[UUID], journal_ok: bool, _owns: bool
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

    def pause(self, *numbers: int) -> None:
        """These are paused, and no others."""
        self.inactive = list(numbers)
        self._renewals.clear()

    def slots(self) -> list[tuple[Any, ...]]:
        """All rows of the table, with the database's upstream."""
        if not self._rows:
            columns = (self.epochs, self.owners, self.successors, self.moving)
            rows = zip(range(SLOTS), *columns, strict=True)
            self._rows = [(*row, self.upstream) for row in rows]
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
                "auth_version": 1,
                "moving": [s for s in mine if self.moving[s]],
                "inactive": list(self.inactive),
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
            stays = self.owners[slot] == heir
            if self.epochs[slot] == seen and (stays or not self._leaves(heir)):
                self.change(slot, heir, term, reason)
        self.version += 1
        return [{}]

    def name_successors(self, term: int, inc: UUID, *a: Any) -> list[dict[str, Any]]:
        self.hold_term(term, inc)
        *moves, _request, shards = a
        for slot, epoch, heir, reason in zip(*moves, strict=True):
            if self.epochs[slot] == epoch and not self._leaves(heir):
                self.successors[slot], self.why[slot] = heir, reason
                self.named[slot] = self._history.now()
        self.version += 1
        self.shards = shards or self.shards
        return [{}]

    def mark_slots(self, term: int, inc: UUID, *a: Any) -> list[dict[str, Any]]:
        self.hold_term(term, inc)
        *marks, request = a
        for slot, epoch, moving in zip(*marks, strict=True):
            known = self.epochs[slot] == epoch and self.successors[slot] is None
            if known and bool(self.moving[slot]) != bool(moving):
                self.moving[slot] = moving
        if self.request is not None and self.request[::2] == [request, "waiting"]:
            self.taken_up = True
        self.version += 1
        return [{}]

    def begin_shard_request(self, term: int, inc: UUID, *a: Any) -> list[dict[str, Any]]:
        self.hold_term(term, inc)
        request = a[4]
        waits = self.request is not None and (request, "waiting") == (
            self.request[0],
            self.request[2],
        )
        simulated = self.upstream == "simulator"
        longest = WAITED_SECONDS if simulated else QUIET_WAITED_SECONDS
        if waits and abs(self.now() - self.requested) > longest:
            self.request = None  # nobody waits for its answer any more
            waits = False
        if not waits and self.asked_still:
            runs = self.request is not None and self.request[::2] == [request, "running"]
            return [{"begun": runs}]
        if request in self.given_up:
            self._history.broken("I12", "a change of shards that was given up took effect")
        if self.request is not None and waits:
            self.request[2] = "running"
            self.taken_up = False
        self.name_successors(term, inc, *a)
        return [{"begun": True}]

    def _leaves(self, inc: UUID) -> bool:
        return inc in self.nodes and bool(self.nodes[inc]["leaving"])

    def expects_slots(self, inc: UUID) -> bool:
        return inc in self.owners or inc in self.successors

    def looked(self) -> None:
        on_look, self.on_look = self.on_look, _nothing
        on_look()

    def ask(self, request: UUID, shards: int) -> None:
        """ask_for_shards."""
        self.request, self.requested = [request, shards, "waiting"], self.now()
        self.taken_up = False

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

    def forget_nodes(self, term: int, inc: UUID, gone: list[UUID]) -> list[dict[str, Any]]:
        self.hold_term(term, inc)
        for each in gone:
            self.nodes.pop(each, None)
        return [{}]

    def moved_lately(self) -> list[int]:
        """Slots that left an owner in trouble within the last minute."""
        now = self.now()
        return sorted({c.slot for c in self._troubled if abs(now - c.at) < MOVED_SECONDS})

    def next_number(self, old: int) -> int:
        return max(old, self.timeline << 32) + 1

    def change(
        self, slot: int, to: UUID | None, term: int | None, reason: str, above: int = 0
    ) -> None:
        """change_owner: a new epoch, and the row that says why."""
        was, before = self.owners[slot], self.epochs[slot]
        epoch = self.next_number(max(before, above))
        if before and epoch >> 32 > before >> 32 and (self.doubts_all or reason == "timeline"):
            self.unsure.add(slot)
        if reason == "handover":
            reason = self.why[slot] or reason
        elif reason == "overdue" and self.why[slot] == "journal":
            reason = "journal"
        self.owners[slot], self.successors[slot], self.epochs[slot] = to, None, epoch
        self.moving[slot] = min(self.moving[slot], 1) if to == was else 0
        self.why[slot] = None
        entry = Change(slot, was, to, epoch, term, reason, self.now())
        self.log.append(entry)
        if reason in TROUBLES:
            self._troubled.append(entry)
        self._history.owner(entry)


def _nothing() -> None:
    return None
