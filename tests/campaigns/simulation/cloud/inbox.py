"""The inbox of webhooks, statuses of nobody, and whether listeners listen; the database's times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from tests.campaigns.simulation.cloud.issues import Issues, Upstream

ANEW = 5.0  # seconds without a word, after which a listener listens anew
ONE_DAY = 86_400.0
SHOWN = 0  # the kind of a status


class Row(NamedTuple):
    """A row of cloud_inbox."""

    n: int
    slot: int
    kind: int
    key: str
    id: bytes | None
    attempt: int | None
    wamid: str | None
    recipient: str | None
    payload: bytes
    contact: bytes | None
    number: int = 1


class Nobodys(NamedTuple):
    """A row of cloud_unmatched."""

    key: str
    wamid: str
    recipient: str | None
    payload: bytes
    number: int = 1


class Path(NamedTuple):
    """A row of cloud_path."""

    since: float
    seen: float
    left: float | None
    meta: float | None
    inbound: float
    vain: float | None = None


class Inbox:
    """The tables, and what is asked of them. ``shown`` has the names of a message's statuses."""

    def __init__(self, issues: Issues, shown: Callable[[bytes], list[str]]) -> None:
        self._issues = issues
        issues.known = self.match_known
        self._shown = shown
        self.rows: dict[int, Row] = {}
        self.keys: dict[tuple[str, int], int] = {}  # by key and number
        self.of: dict[bytes, set[int]] = {}  # by message
        self.numbers = 0
        self.unmatched: dict[tuple[str, int], Nobodys] = {}
        self.paths: dict[UUID, Path] = {}
        # When a number could not reach a contact: cloud_unreachable.
        self.unreachable: dict[tuple[int, str], float] = {}

    def insert(self, row: Sequence[Any]) -> bool:
        """True if its key is new; ``row`` is what follows the number."""
        return self._insert(self._number(row))

    def _number(self, row: Sequence[Any]) -> Row:
        self.numbers += 1  # of an identity, which conflicts use up as well
        return Row(self.numbers, *row)

    def _insert(self, found: Row) -> bool:
        if (found.key, found.number) in self.keys:
            return False
        self.rows[found.n] = found
        self.keys[found.key, found.number] = found.n
        if found.id is not None:
            self.of.setdefault(found.id, set()).add(found.n)
            if found.attempt is not None and _proves(found):
                self._issues.seen.evident(found.id, found.attempt)
        return True

    def delete(self, numbers: Iterable[int], held: set[int]) -> None:
        for n in numbers:
            row = self.rows.get(n)
            if row is not None and row.slot in held:
                del self.rows[n], self.keys[row.key, row.number]
                if row.id is not None:
                    self.of[row.id].discard(n)

    def heard(self) -> set[tuple[bytes, int]]:
        """The messages of which something proves that they were taken, and its number."""
        rows = self.rows.values()
        return {(row.id, row.number) for row in rows if row.id is not None and _proves(row)}

    def receive(self, now: float, a: tuple[Any, ...]) -> list[dict[str, int]]:
        """receive_cloud, of webhooks that show no users."""
        webapp, broken, meta, inbound, *columns = a[:14]
        unmatched = 0
        placed: list[Row] = []
        for slot, kind, key, message_id, attempt, wamid, *rest in zip(*columns, strict=True):
            name = rest[-1], wamid
            known = self._issues.upstream.get(name) if slot is None else None
            if known is not None:
                row = (known.slot, kind, key, known.id, known.attempt, wamid, *rest)
                placed.append(self._number(row))
            elif slot is not None:
                placed.append(self._number((slot, kind, key, message_id, attempt, wamid, *rest)))
            elif (key, rest[-1]) not in self.unmatched:
                unmatched += 1
                self.unmatched[key, rest[-1]] = Nobodys(key, wamid, rest[0], rest[1], rest[-1])
        inserted = sum(
            self._insert(row) for row in sorted(placed, key=lambda row: (row.key, row.number))
        )
        if webapp is not None:
            self.touch(now, webapp, broken, meta, inbound)
        return [{"inserted": inserted, "unmatched": unmatched}]

    def match_known(self, known: Upstream) -> None:
        """match_known."""
        for row in sorted(self.unmatched.values(), key=lambda row: (row.key, row.number)):
            if (row.number, row.wamid) == known.name:
                del self.unmatched[row.key, row.number]
                place = known.slot, SHOWN, row.key, known.id, known.attempt, row.wamid
                self.insert((*place, row.recipient, row.payload, None, row.number))

    def touch(self, now: float, webapp: UUID, broken: bool, meta: float, inbound: float) -> None:
        """touch_cloud_path; ``meta`` as ``now`` is, 0 for none."""
        newest = meta or None
        was = self.paths.get(webapp)
        if was is None:
            self.paths[webapp] = Path(now, now, None, newest, inbound)
            return
        anew = broken or was.left is not None or was.seen < now - ANEW
        times = [at for at in (was.meta, newest) if at is not None]
        since = now if anew else was.since
        newest = max(times, default=None)
        self.paths[webapp] = Path(since, now, None, newest, inbound, was.vain)

    def refuse(self, now: float, webapp: UUID, seconds: float | None) -> None:
        """Since when the webapp has refused what may be Meta's."""
        if webapp in self.paths:
            vain = None if seconds is None else now - seconds
            self.paths[webapp] = self.paths[webapp]._replace(vain=vain)

    def leave(self, now: float, webapp: UUID) -> None:
        if webapp in self.paths:
            self.paths[webapp] = self.paths[webapp]._replace(left=now)

    def forget(self, now: float, but: UUID) -> None:
        """Listeners of long ago."""
        self.paths = {w: p for w, p in self.paths.items() if w == but or p.seen >= now - ONE_DAY}

    def read(
        self,
        slots: Sequence[int],
        known: Sequence[int],
        limit: int,
        sent: Callable[[Any], tuple[str | None, int | None]],
    ) -> list[tuple[Any, ...]]:
        """What is there for these slots, each with what the journals say of its message."""
        wanted, read = set(slots), set(known)
        found = [row for n, row in self.rows.items() if row.slot in wanted and n not in read]
        found.sort(key=lambda row: (row.slot, row.n))
        told = []
        for row in found[:limit]:
            to, by = sent(row)
            told.append((*row[:-1], to, self._stored(row), *self._ends(row), row.number, by))
        return told

    def _stored(self, row: Row) -> list[str] | None:
        if row.kind != SHOWN or row.id is None:
            return None
        return sorted(self._shown(row.id)) or None

    def _ends(self, row: Row) -> tuple[list[int] | None, list[int] | None]:
        """Of a failure: the attempts of its message that were taken, and those that have failed."""
        if row.kind != SHOWN or row.id is None or ":failed:" not in row.key:
            return None, None
        known = sorted(self._issues.attempts.get(row.id, ()), key=lambda each: each.attempt)
        taken = [each.attempt for each in known]
        return taken or None, [each.attempt for each in known if each.failed] or None

    def cohort(self, now: float, age: float, within: float) -> list[dict[str, int]]:
        """Messages that were answered within so long after a doubt began, and the silent ones."""
        first, last = now - age, now - (age - within)
        known = self._issues.upstream.values()
        cohort = [row for row in known if first <= row.at < last and not row.held]
        silent = [row for row in cohort if not self._shown(row.id) and not self._in_inbox(row)]
        return [{"answered": len(cohort), "silent": len(silent)}]

    def _in_inbox(self, known: Upstream) -> bool:
        rows = [self.rows[n] for n in self.of.get(known.id, ())]
        return any(row.kind == SHOWN and row.number == known.number for row in rows)

    def listeners(self, now: float, epoch: float) -> list[dict[str, float | None]]:
        """Ages in seconds; ``epoch`` makes unix seconds of ``now``."""
        return [
            {
                "now": now + epoch,
                "since": now - path.since,
                "seen": now - path.seen,
                "left_at": None if path.left is None else now - path.left,
                "meta": None if path.meta is None else now - path.meta,
                "vain": None if path.vain is None else now - path.vain,
            }
            for path in self.paths.values()
            if path.seen > now - ONE_DAY
        ]


def _proves(row: Row) -> bool:
    return row.kind == SHOWN or (row.kind == 2 and row.wamid is not None)
