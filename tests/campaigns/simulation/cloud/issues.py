"""Issue rows, and the ids that the Cloud API gave: ``send_issue`` and ``upstream_id``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from tests.campaigns.simulation.journals import Refused
from warouter.flow.lane_key import lane_of
from warouter.store.journal.progress import TakenRow

ISSUED, DOUBTED, KEPT, NOT_TAKEN, ASIDE, SAID, RETURNING = 1, 2, 3, 4, 5, 6, 7
IN_DOUBT = (DOUBTED, ASIDE, RETURNING)
ABOVE, MOST = 100, 900  # all attempts whose rows may be lost
FENCED, PROVEN = 2, 6  # outcomes


class Issue(NamedTuple):
    """A row of send_issue."""

    slot: int
    seq: int
    id: bytes
    recipient: str
    attempt: int
    doubts: int
    state: int
    at: float
    cause: str | None = None
    look: float | None = None  # look_at
    spared: int = 0
    number: int = 1

    @property
    def lane(self) -> str:
        return lane_of(self.number, self.recipient)


class Upstream(NamedTuple):
    """A row of upstream_id."""

    wamid: str
    slot: int
    id: bytes
    attempt: int
    wa_id: str | None
    user_id: str | None
    at: float
    held: bool = False
    failed: bool = False
    twice: UUID | None = None
    number: int = 1

    @property
    def name(self) -> tuple[int, str]:
        """A wamid is unique among those of its number."""
        return self.number, self.wamid


class Seen(Protocol):
    """Whoever judges what is stored."""

    def issued(self, row: Issue, others: Iterable[Issue]) -> None:
        """A request may begin from here on; ``others`` are the rows beside it."""

    def found(self, row: Issue) -> None:
        """An owner finds it issued by another one."""

    def stated(self, row: Issue) -> None:
        """It is in doubt, held, or surely not taken."""

    def over(self, row: Issue) -> None:
        """It is gone."""

    def evident(self, message_id: bytes, attempt: int) -> None:
        """It is on disk that an attempt was taken."""

    def twice(self, message_id: bytes, attempt: int) -> None:
        """An owner is told that a message was taken twice."""


class _Nobody:
    def issued(self, row: Issue, others: Iterable[Issue]) -> None: ...
    def found(self, row: Issue) -> None: ...
    def stated(self, row: Issue) -> None: ...
    def over(self, row: Issue) -> None: ...
    def evident(self, message_id: bytes, attempt: int) -> None: ...
    def twice(self, message_id: bytes, attempt: int) -> None: ...


class Issues:
    """The two tables, and the parts of functions that are about them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], Issue] = {}
        self.ids: dict[bytes, tuple[int, int]] = {}
        self.upstream: dict[tuple[int, str], Upstream] = {}  # by number and wamid
        self.attempts: dict[bytes, list[Upstream]] = {}  # the same by message
        self.changed: list[tuple[float, tuple[int, int], Issue | None]] = []  # rows, as they were
        self.seen: Seen = _Nobody()
        self.known: Callable[[Upstream], None] = lambda _row: None  # trigger upstream_id_known
        # To be switched off: evidence is looked for at the issue; a message may have several ids.
        # Where rows may be lost those that are left are doubted, and a lane's head beside them.
        self.looks = self.several = self.unsures = True

    def write(self, row: Issue) -> None:
        """Insert it, or change the one that is there."""
        place = (row.slot, row.seq)
        if self.ids.get(row.id, place) != place or self.rows.get(place, row).id != row.id:
            raise Refused("23505")
        if place in self.rows:
            before = self.rows[place]
            row = row._replace(
                recipient=before.recipient, spared=before.spared, number=before.number
            )
        self._put(row, row.at)
        if row.state == ISSUED:
            self.seen.issued(row, self.rows.values())
        else:
            self.seen.stated(row)

    def delete(self, place: tuple[int, int]) -> None:
        row = self.rows.pop(place, None)
        if row is not None:
            del self.ids[row.id]
            self.seen.over(row)

    def _put(self, row: Issue, now: float) -> None:
        place = row.slot, row.seq
        self.changed.append((now, place, self.rows.get(place)))
        self.rows[place], self.ids[row.id] = row, place

    def lose(self, since: float) -> None:
        """The database lacks what was written of rows since then, but for those that are over,
        were told as failed or have left their lane: what was written in the same commit is there.
        """
        while self.changed and self.changed[-1][0] >= since:
            _, place, before = self.changed.pop()
            row = self.rows.get(place)
            if row is not None and row.state in (SAID, KEPT, ASIDE, RETURNING):
                continue
            if row is not None and before is not None:
                self.rows[place] = before
            elif row is not None:
                del self.rows[place], self.ids[row.id]

    def append(self, now: float, rows: Iterable[tuple[int, int, bytes, str, int]]) -> None:
        """Of messages that may leave right after their commit."""
        for slot, seq, message_id, recipient, number in rows:
            if (slot, seq) not in self.rows:
                place = slot, seq, message_id, recipient
                self.write(Issue(*place, 1, 0, ISSUED, now, number=number))

    def issue(
        self, now: float, held: set[int], heard: set[tuple[bytes, int]], a: tuple[Any, ...]
    ) -> list[dict[str, int]]:
        """issue_requests; ``heard``: messages that the inbox has evidence of, and to which number
        that came.
        """
        rows = list(zip(*a, strict=True))
        known = {
            message_id
            for _, _, message_id, _, _, doubts, number in rows
            if doubts > 0
            and self.looks
            and (message_id in self.attempts or (message_id, number) in heard)
        }
        good = [row for row in rows if row[0] in held and row[2] not in known]
        for *row, number in sorted(good, key=lambda r: r[:2]):
            self.write(Issue(*row, ISSUED, now, number=number))
        return [
            {"ordinal": n, "outcome": PROVEN if row[0] in held else FENCED}
            for n, row in enumerate(rows)
            if row[0] not in held or row[2] in known
        ]

    def of(self, held: set[int]) -> list[Issue]:
        """Those of these slots."""
        return [row for place, row in sorted(self.rows.items()) if place[0] in held]

    def doubt(self, now: float, held: set[int]) -> None:
        """The first part of open_issues: what was issued is in doubt from now on."""
        for row in self.of(held):
            if row.state == ISSUED:
                more = {"state": DOUBTED, "doubts": row.doubts + 1, "at": now, "look": now}
                self._doubt(row._replace(cause="takeover", **more))

    def due(self, now: float, slots: list[int], most: list[int]) -> list[Issue]:
        """due_issues: those that are to be looked at first."""
        found: list[Issue] = []
        for slot, limit in zip(slots, most, strict=True):
            mine = [row for row in self.of({slot}) if row.look is not None]
            found += sorted(mine, key=lambda row: (row.look, row.seq))[:limit]
        return found

    def doubt_heads(self, now: float, slots: set[int], heads: Iterable[tuple[int, Any]]) -> None:
        """Rows may be lost: later requests of these may be out, and these messages be issued."""
        for row in self.of(slots) if self.unsures else ():
            more = row._replace(attempt=max(row.attempt, min(row.attempt + ABOVE, MOST)))
            if row.state in (KEPT, SAID):
                self._put(more, now)
            else:
                state = ASIDE if row.state in (ASIDE, RETURNING) else DOUBTED
                again = {"state": state, "doubts": row.doubts + 1, "at": now, "look": now}
                self._doubt(more._replace(cause="timeline", **again))
        busy = {(row.slot, row.lane) for row in self.rows.values()}
        for slot, m in heads:
            if (slot, m.lane) in busy and not self.unsures:
                continue
            if (slot, m.seq) not in self.rows:
                place = slot, m.seq, m.id, m.recipient, ABOVE, 1, DOUBTED, now, "timeline", now
                self._doubt(Issue(*place, number=m.number))

    def _doubt(self, row: Issue) -> None:
        self._put(row, row.at)
        self.seen.found(row)

    def record(self, now: float, held: set[int], rare: dict[str, list[dict[str, Any]]]) -> None:
        """record_issues."""
        changed: set[tuple[int, int]] = set()
        for p in rare.get("issues", ()):
            place = (p["slot"], p["seq"])
            row = self.rows.get(place)
            if row is None or p["slot"] not in held or place in changed:
                continue  # of two changes of a row a statement makes one
            if row.attempt == p["attempt"]:
                changed.add(place)
                both = row.state in IN_DOUBT and p["state"] in (*IN_DOUBT, SAID)
                look = None if p["look_ms"] is None else now + p["look_ms"] / 1000
                said = {name: p[name] for name in ("state", "doubts", "spared", "cause")}
                at = row.at if both else now
                self._put(row._replace(look=look, at=at, **said), now)
                self.seen.stated(self.rows[place])
        for p in rare.get("unissue", ()):
            row = self.rows.get((p["slot"], p["seq"]))
            if row is not None and p["slot"] in held and p.get("attempt") in (None, row.attempt):
                self.delete((p["slot"], p["seq"]))

    def take(self, now: float, held: set[int], taken: list[TakenRow]) -> None:
        """record_taken."""
        mine = [row for row in taken if row.slot in held]
        for row in mine:
            if (row.slot, row.seq) in self.rows:
                self.delete((row.slot, row.seq))
        for row in sorted(mine, key=lambda row: (row.id, row.wamid)):
            place = row.wamid, row.slot, row.id, row.attempt
            self.keep(Upstream(*place, row.wa_id, row.user_id, now, row.held, number=row.number))

    def keep(self, row: Upstream) -> None:
        """An attempt was taken, unless that is known."""
        if self._known(row) is not None or (not self.several and row.id in self.attempts):
            return
        self._write(row)
        self.known(row)
        self.seen.evident(row.id, row.attempt)

    def prove(
        self, now: float, inc: UUID, held: set[int], a: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        """The part of drain_inbox for what rows prove."""
        columns = [*a[:-1], a[-1] or [1] * len(a[0])]
        rows = [
            (Upstream(*row[:6], now, row[6], number=row[8]), row[7])
            for row in zip(*columns, strict=True)
        ]
        mine = [(row, failed) for row, failed in rows if row.slot in held]
        for row, _ in sorted(mine, key=lambda pair: (pair[0].id, pair[0].wamid)):
            self.keep(row)
        for row, failed in mine:
            known = self._known(row)
            if failed and known is not None:
                self._write(known._replace(failed=True))
        told: list[tuple[Any, ...]] = []
        for message_id in dict.fromkeys(row.id for row, _ in rows):
            found = sorted(self.attempts.get(message_id, ()), key=lambda row: (row.at, row.wamid))
            for each in found[1:]:
                if each.twice is None and each.slot in held:
                    self._write(each._replace(twice=inc))
                    self.seen.twice(each.id, each.attempt)
            now_ = self.attempts.get(message_id, ())
            mine_ = [each for each in now_ if each.twice == inc]
            told += [(each.id, each.attempt, each.wamid, each.number) for each in mine_]
        return told

    def _known(self, row: Upstream) -> Upstream | None:
        """A wamid is recorded once for each message."""
        mine = (each for each in self.attempts.get(row.id, ()) if each.wamid == row.wamid)
        return next(mine, None)

    def _write(self, row: Upstream) -> None:
        others = [each for each in self.attempts.get(row.id, ()) if each.wamid != row.wamid]
        self.upstream[row.name] = row
        self.attempts[row.id] = [*others, row]
