"""What the business offered and heard, what the upstream took, who owned what: kept for the judge.

One history for test clusters, campaigns and the simulation. Nobody has to fill all of it: what is
left empty is no evidence of anything, and ``invariants`` says nothing of it. Times are seconds of
one clock; ids and recipients are whatever the test names them by.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from math import inf
from typing import Any, NamedTuple

from tests.harness.receiver import Callback

ALL = ("sent", "delivered", "read")


class Violation(NamedTuple):
    """An invariant did not hold; ``at`` is infinite for what shows only in the end."""

    at: float
    number: str
    how: str

    def __str__(self) -> str:
        return f"{self.number}: {self.how}"


class Change(NamedTuple):
    """A slot changed hands, as its row in ``owner_log`` tells."""

    slot: int
    was: Any
    to: Any
    epoch: int
    at: float = 0.0


class Row(NamedTuple):
    """A message as the database has it in the end.

    ``waited`` is how long one that an owner ended for its ``ttl`` had waited then.
    """

    id: Any
    place: str
    settled: bool
    ttl: float | None = None
    waited: float | None = None


class Lease(NamedTuple):
    """A send, with what held when its bytes left: the owner, and the age of the sender's beat."""

    at: float
    slot: int
    by: Any
    owner: Any
    since_beat: float


class Sends:
    """Messages on their way to the upstream, in the order of time: millions, so in arrays."""

    def __init__(self) -> None:
        self.at = array("d")
        self.slot = array("b")
        self.id: list[Any] = []
        self.epoch = array("q")

    def add(self, at: float, slot: int, message_id: Any, epoch: int) -> None:
        self.at.append(at)
        self.slot.append(slot)
        self.id.append(message_id)
        self.epoch.append(epoch)

    def __iter__(self) -> Iterator[tuple[float, int, Any, int]]:
        return zip(self.at, self.slot, self.id, self.epoch, strict=True)


class _Names(dict[Any, tuple[str, ...]]):
    """The statuses of a message: none, before the first."""

    def __missing__(self, _message_id: Any) -> tuple[str, ...]:
        return ()


class History:
    """What was seen, from all sides."""

    def __init__(self) -> None:
        # What the business asked for.
        self.acked: dict[str, list[Any]] = defaultdict(list)  # recipient -> ids, as answered
        self.number: dict[Any, int] = {}  # id -> place in the arrays
        self.began = array("d")
        self.answered = array("d")
        self.open: dict[str, float] = {}  # token of a request under way -> when it began
        self.unknown: list[tuple[float, str, str]] = []  # (when, token, why): no answer came
        self.errors: list[tuple[float, int, str]] = []  # (when, status, body)
        self.refused: set[str] = set()  # tokens of those; some may be on disk all the same
        self.retried = 0  # connects that were refused and tried again
        self.doubtful: set[Any] = set()  # ids of which an error said that the outcome is unknown
        self.unaccepted: list[Any] = []  # ids of which an error said that they were not accepted
        self.doomed: set[Any] = set()  # acknowledged ids that are to end as failed
        self.held: set[Any] = set()  # acknowledged ids that rightly wait on, as an operator is told
        self.slow: set[Any] = set()  # acknowledged ids that may wait for longer than a run lasts
        self.cautious: set[Any] = set()  # acknowledged ids that may fail, and go out only once
        self.shared: list[Any] = []  # ids that a second request was answered with
        self.early: list[tuple[float, Any]] = []  # acknowledged before they were on disk
        self.injected: list[tuple[str, str]] = []  # inbound messages: (sender, id)
        # What it was called back.
        self.statuses: _Names = _Names()
        self.wanted: tuple[str, ...] = ALL  # of every acknowledged message
        self.mixed: set[Any] = set()  # ids whose statuses the upstream itself mixed up
        self.inbound: Counter[tuple[str, str]] = Counter()  # (sender, id), first callbacks first
        self.read = 0  # messages whose read callback came
        # What the upstream took.
        self.arrived: Mapping[str, Sequence[Any]] = {}  # recipient -> ids, first arrivals
        self.complete = False  # whether nobody else sends
        self.inversions = 0  # as the simulator counted them
        self.sends = Sends()
        self.leases: list[Lease] = []
        self.trust = inf  # how old a beat may be when a send leaves
        self.expired: dict[Any, float] = {}  # ended by an owner, since they had waited too long
        # What the database says: owners, and what was left once all had been well for a while.
        self.changes: list[Change] = []
        self.owners: dict[int, tuple[Any, int]] | None = None  # slot -> owner and epoch in the end
        self.rows: list[Row] | None = None
        # What a witness saw itself.
        self.witnessed: list[Violation] = []
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def now(self) -> float:
        """The time of what is seen at this moment, where that says anything."""
        return inf

    def broken(self, number: str, how: str) -> None:
        """A witness has seen that an invariant does not hold."""
        self.witnessed.append(Violation(self.now(), number, how))

    @property
    def accepted(self) -> int:
        return len(self.began)

    def on_answer(self, recipient: str, message_id: Any, began: float, now: float) -> None:
        """A 201."""
        if message_id in self.number:
            self.shared.append(message_id)
            return
        self.number[message_id] = len(self.began)
        self.began.append(began)
        self.answered.append(now)
        self.acked[recipient].append(message_id)

    def on_callback(self, callback: Callback) -> None:
        for status in callback.statuses:
            self.on_status(status.id, status.status)
        for message in callback.messages:
            self.on_inbound(message.sender, message.id)

    def on_status(self, message_id: Any, status: str) -> None:
        """A status callback; equal histories share one tuple, since there are millions."""
        before = self.statuses[message_id]
        if status == "read" and "read" not in before:
            self.read += 1
        now = (*before, status)
        self.statuses[message_id] = self._known.setdefault(now, now)

    def on_inbound(self, sender: str, message_id: str) -> None:
        self.inbound[sender, message_id] += 1

    def on_record(self, record: Mapping[str, Any]) -> None:
        """What the simulator tells of all that it took: ``/record?ids=1``, better with times."""
        self.arrived = record["ids"]
        self.inversions = record["inversions"]
        if "arrivals" in record:
            self.sends = Sends()
            for at, slot, message_id, epoch in record["arrivals"]:
                self.sends.add(at, slot, message_id, epoch)

    def on_owner_log(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.changes = [
            Change(r["slot"], r["from_incarnation"], r["to_incarnation"], r["epoch"]) for r in rows
        ]

    def since(self, known: Set[Any]) -> History:
        """What was acknowledged after ``known``, with what is known of it by callbacks."""
        later = History()
        for recipient, ids in self.acked.items():
            for name in (name for name in ids if name not in known):
                number = self.number[name]
                later.on_answer(recipient, name, self.began[number], self.answered[number])
        later.statuses = self.statuses
        return later

    def missing(self) -> list[Any]:
        """Acknowledged messages whose read callback, or failure, has not come; inbound ones."""
        read = [i for i in self.number if "read" not in self.statuses[i]]
        failed = [i for i in self.doomed if "failed" not in self.statuses[i]]
        either = [i for i in self.cautious if not {"read", "failed"} & {*self.statuses[i]}]
        return read + failed + either + [i for i in self.injected if i not in self.inbound]

    def waits(self) -> list[tuple[float, float]]:
        """(began, seconds until the 201) of every request."""
        return [(b, a - b) for b, a in zip(self.began, self.answered, strict=True)]
