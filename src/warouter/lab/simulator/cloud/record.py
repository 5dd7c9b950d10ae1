"""A record of what reached the Cloud door, for judges. Pure.

A message is known by its reference ``w1.<id>.<attempt>``; one without by the whole text it has in
that place, or by its wamid. The first acceptance of an id counts for order: it is an *inversion* if
the id's 48-bit time (ms) is below the greatest of those accepted before it for the same recipient;
equal times have no order. A second acceptance of an id is a *duplicate* and no inversion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from warouter.lab.simulator.cloud.columns import NEVER, NONE, Columns, RequestOutcome
from warouter.lab.simulator.cloud.counters import CloudCounters, WebhookCounters
from warouter.lab.simulator.cloud.wamid import Wamids
from warouter.lab.simulator.record import Upload
from warouter.message_id import text_of
from warouter.upstream.cloud.reference import PREFIX, parse_reference

_MOST_LISTED = 1000


class CloudRecord:
    """The record of what arrived. Half a kilobyte a message at most, usually 300 bytes."""

    def __init__(self, wamids: Wamids) -> None:
        self._wamids = wamids
        self._accepted = 0  # never forgotten: wamids are made of it
        self._first = 0  # the number of the first row of this record
        self._columns = Columns()
        self._uploads: dict[str, Upload] = {}
        self.forget()

    def forget(self) -> None:
        """Start a new record. Media are kept, and what was taken stays taken."""
        self.counters = CloudCounters()
        self.webhooks = WebhookCounters()
        self.refused: Counter[int] = Counter()
        self.statuses: Counter[str] = Counter()
        self._first += len(self._columns)
        self._columns = Columns()
        self._latest: dict[bytes | str, int] = {}
        self._foreign: dict[int, str] = {}
        self._recipients: dict[str, int] = {}
        self._names: list[str] = []
        self._highest: list[int] = []
        self._repeated: dict[bytes | str, list[int]] = {}
        self._inverted: list[int] = []
        self._marks: dict[str, None] = {}
        self._attached: dict[int, tuple[str, ...]] = {}
        self._meant: dict[int, str] = {}

    # What happens

    def begun(self, reference: str, recipient: str, at: float, wall: float) -> int:
        """A request came as a whole; returns its row. ``at`` is when its first byte was read."""
        self.counters.received += 1
        ours = parse_reference(reference)
        place = self._recipients.setdefault(recipient, len(self._recipients))
        if place == len(self._highest):
            self._highest.append(-1)
            self._names.append(recipient)
        row = self._columns.add(*(ours or (b"", 0)), place, at, wall)
        key: bytes | str = ours[0] if ours else reference
        if ours is None:
            self._foreign[row] = reference
        if key:
            before = self._latest.get(key, NONE)
            self._latest[key] = row
            self._columns.before[row] = before
            if before != NONE:
                self._count_again(row)
        return self._first + row

    def accepted(self, row: int, customer: str, at: float) -> str:
        """The message of a row to ``customer`` is taken: returns its wamid."""
        columns = self._columns
        self._accepted += 1
        row -= self._first
        if row < 0:  # the record was forgotten meanwhile
            return self._wamids.outgoing(customer, self._accepted)
        columns.accepted[row] = at
        columns.number[row] = self._accepted
        self.counters.accepted += 1
        earlier = [r for r in self._all(row) if r != row and columns.number[r] != NONE]
        if earlier:
            self._count_repeated(row, earlier)
        else:
            self.counters.unique += 1
            self._count_order(row)
        return self._wamids.outgoing(customer, self._accepted)

    def meant(self, row: int, identity: str) -> None:
        """A request is for the identity with this hash, and for no other of its recipient."""
        self._meant[row - self._first] = identity

    def ended(self, row: int, outcome: RequestOutcome, code: int, at: float) -> None:
        """The other side has its answer, or never gets one. Only the first word counts."""
        columns = self._columns
        row -= self._first
        if row < 0 or columns.outcome[row] != RequestOutcome.OPEN:
            return
        columns.outcome[row] = outcome
        columns.code[row] = code
        columns.answered[row] = at
        if outcome is RequestOutcome.ANSWERED:
            self.counters.answered += not code
        if code and columns.number[row] == NONE:
            self.counters.refused += 1
            self.refused[code] += 1

    def told(self, rows: Sequence[int], at: float) -> None:
        """The business acknowledged a status of each of these requests."""
        columns = self._columns
        for row in rows:
            if row >= self._first and columns.told[row - self._first] == NEVER:
                columns.told[row - self._first] = at

    def marked(self, id: str, *, typing: bool) -> None:
        """An inbound message was marked as read."""
        self.counters.typing += typing
        if id not in self._marks:
            self.counters.read_marks += 1
            self._marks[id] = None

    def uploaded(self, handle: str, upload: Upload) -> None:
        """Note that media came by a call."""
        self.counters.media_uploads += 1
        self.counters.media_bytes += upload.bytes
        self._uploads[handle] = upload

    def attached(self, row: int, handles: tuple[str, ...]) -> None:
        """A message that was taken names media."""
        if row >= self._first:
            self._attached[row - self._first] = handles

    # What a judge asks

    def summary(self) -> dict[str, Any]:
        """All counters, and the lists that are short in a good run."""
        columns, counters = self._columns, self.counters
        return {
            **msgspec.structs.asdict(counters),
            "repeats": counters.accepted - counters.unique,
            "stale": 0,  # no fence at this door: the names are those of the native one
            "revoked": 0,
            "duplicates": [
                {"id": _text(key), "attempts": [columns.attempt[row] for row in rows]}
                for key, rows in self._repeated.items()
            ],
            "inverted": [text_of(columns.id(row)) for row in self._inverted],
            "refused_codes": {str(code): n for code, n in self.refused.items()},
            "statuses": dict(self.statuses),
            "webhooks": msgspec.structs.asdict(self.webhooks),
        }

    def ids(self) -> dict[str, list[str]]:
        """The ids per recipient in the order of acceptance, duplicates too."""
        columns = self._columns
        names = self._names
        found: dict[str, list[str]] = {}
        taken = (row for row in range(len(columns)) if columns.number[row] != NONE)
        for row in sorted(taken, key=columns.number.__getitem__):
            found.setdefault(names[columns.recipient[row]], []).append(self._name(row))
        return found

    def requests(self, since: float) -> Iterator[dict[str, Any]]:
        """Every request that began after ``since`` (monotonic s), in the order they came; with its
        ``identity`` where it names one.
        """
        columns = self._columns
        names = self._names
        for row in range(len(columns)):
            if columns.begun[row] <= since:
                continue
            recipient = names[columns.recipient[row]]
            number = columns.number[row]
            meant = {"identity": self._meant[row]} if row in self._meant else {}
            yield {
                "reference": self._reference(row),
                "id": self._name(row),
                "attempt": columns.attempt[row],
                "recipient": recipient,
                "begun": columns.begun[row],
                "begun_wall": columns.begun_wall[row],
                "accepted": _time(columns.accepted[row]),
                "answered": _time(columns.answered[row]),
                "told": _time(columns.told[row]),
                "outcome": RequestOutcome(columns.outcome[row]).name.lower(),
                "code": columns.code[row],
                "wamid": self._wamids.outgoing(recipient, number) if number != NONE else None,
                **meant,
            }

    def last(self, count: int) -> list[tuple[str, float]]:
        """Id and time of acceptance (monotonic s) of the last messages that were taken, the newest
        first, among the last requests.
        """
        columns = self._columns
        newest = range(len(columns) - 1, max(len(columns) - _MOST_LISTED, 0) - 1, -1)
        taken = (row for row in newest if columns.number[row] != NONE)
        return [(self._name(row), columns.accepted[row]) for row in islice(taken, count)]

    def wamid(self, id: bytes) -> str | None:
        """The wamid under which a message of ours was last taken."""
        columns = self._columns
        latest = self._latest.get(id, NONE)
        rows = [] if latest == NONE else [latest, *columns.chain(latest)]
        for row in rows:
            if columns.number[row] != NONE:
                customer = self._names[columns.recipient[row]]
                return self._wamids.outgoing(customer, columns.number[row])
        return None

    def marks(self) -> list[str]:
        """The ids of read marks in the order of their arrival."""
        return list(self._marks)

    def media(self) -> dict[str, list[Upload | None]]:
        """The media of each message that was taken, by its id."""
        return {
            self._name(row): [self._uploads.get(handle) for handle in handles]
            for row, handles in self._attached.items()
        }

    # How it is counted

    def _count_again(self, row: int) -> None:
        columns = self._columns
        same = [r for r in columns.chain(row) if columns.attempt[r] == columns.attempt[row]]
        if not same:
            return
        self.counters.begun_again += 1
        self.counters.begun_again_open += any(self._is_open(r) for r in same)

    def _key(self, row: int) -> bytes | str:
        return self._foreign[row] if row in self._foreign else self._columns.id(row)

    def _all(self, row: int) -> list[int]:
        """Every request of the row's message: one that is taken late may not be the last."""
        latest = self._latest.get(self._key(row), row)
        return [latest, *self._columns.chain(latest)]

    def _is_open(self, row: int) -> bool:
        columns = self._columns
        refused = columns.outcome[row] == RequestOutcome.ANSWERED and columns.code[row]
        return columns.number[row] != NONE or not refused

    def _count_repeated(self, row: int, earlier: list[int]) -> None:
        columns = self._columns
        taken = sorted(earlier, key=columns.number.__getitem__)
        self._repeated.setdefault(self._key(row), taken).append(row)
        attempt = columns.attempt[row]
        self.counters.same_reference += any(columns.attempt[r] == attempt for r in earlier)

    def _count_order(self, row: int) -> None:
        if row in self._foreign:
            return
        made = int.from_bytes(self._columns.id(row)[2:8], "big")
        place = self._columns.recipient[row]
        if made >= self._highest[place]:
            self._highest[place] = made
            return
        self.counters.inversions += 1
        if len(self._inverted) < _MOST_LISTED:
            self._inverted.append(row)

    def _reference(self, row: int) -> str:
        if row in self._foreign:
            return self._foreign[row]
        return f"{PREFIX}{text_of(self._columns.id(row))}.{self._columns.attempt[row]}"

    def _name(self, row: int) -> str:
        """The id of a message of ours; of another its reference, or its wamid."""
        if row not in self._foreign:
            return text_of(self._columns.id(row))
        number = self._columns.number[row]
        if self._foreign[row] or number == NONE:
            return self._foreign[row]
        return self._wamids.outgoing(self._names[self._columns.recipient[row]], number)


def _text(key: bytes | str) -> str:
    return key if isinstance(key, str) else text_of(key)


def _time(at: float) -> float | None:
    return None if at == NEVER else at
