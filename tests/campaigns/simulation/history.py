"""What happened in one run: the history that is judged, a trace, and what the run's models saw."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from tests.harness import history
from tests.harness.history import Change, Lease
from tests.harness.invariants import violations


class History(history.History):
    """It names messages by their ids in bytes; its clock is the run's."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: Callable[[], float] = lambda: 0.0
        self.trace: list[tuple[Any, ...]] = []
        self.faults: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()  # those of the faults that met something
        self.wanted = ()  # which statuses there are is drawn
        self.arrived: defaultdict[str, list[bytes]] = defaultdict(list)
        self.taken: set[bytes] = set()
        self.bodies: dict[bytes, bytes] = {}
        self.repeats: defaultdict[tuple[int, int, int, int], int] = defaultdict(int)
        self.under: dict[bytes, int] = {}  # the epoch that a message came under last
        self.first: dict[bytes, tuple[int, int]] = {}  # the oldest epoch and connection of it
        self.refused: set[bytes] = set()
        self.lost: set[bytes] = set()  # messages of which an answer came to nobody
        self.unreadable: set[str] = set()  # events of the upstream that nobody can decode
        self.stepped = 0.0  # seconds that the database's clock was put forward, in all
        self.requests: dict[Any, bytes] = {}  # key -> the id that its requests are answered with
        self.delivered: set[tuple[int, int, int]] = set()
        self.beats: dict[UUID, dict[int, float]] = {}
        self.window = 64
        self.enough: Collection[str] = ()  # invariants of which a broken one ends the run
        self.end: Callable[[], None] = lambda: None
        # Whether a message is parked as told and not answered; the run's tables know.
        self.told: Callable[[int, int], bool] = lambda _slot, _seq: False
        self._owners: dict[int, UUID | None] = {}
        self._acks = 0

    @property
    def messages(self) -> int:
        """How many 201s there were."""
        return self._acks

    def now(self) -> float:
        return self.clock()

    def note(self, what: str, *details: Any) -> None:
        self.trace.append((self.now(), what, *details))

    def broken(self, number: str, how: str) -> None:
        self.note("BROKEN", number, how)
        super().broken(number, how)
        if number in self.enough:
            self.end()

    def violations(self) -> list[tuple[float, str, str]]:
        """With the end of the run as the time of what shows only then."""
        end = self.now()
        return [(min(at, end), number, how) for at, number, how in violations(self)]

    def digest(self) -> str:
        """The same for the same run."""
        return hashlib.sha256(repr(self.trace).encode()).hexdigest()

    # the database

    def owner(self, change: Any) -> None:
        """A slot changed hands."""
        slot = change.slot
        self.note("owner", slot, change.epoch, _short(change.to), change.reason)
        self.changes.append(Change(slot, change.was, change.to, change.epoch, self.now()))
        self._owners[slot] = change.to

    def beaten(self, inc: UUID, slots: list[int]) -> None:
        """A beat was executed that renewed these slots."""
        self.beats.setdefault(inc, {}).update(dict.fromkeys(slots, self.now()))

    # the upstream

    def leaves(self, inc: UUID, slot: int, epoch: int, message_id: bytes) -> None:
        """The bytes of a send leave, whatever the upstream will make of them."""
        now = self.now()
        self.note("send", slot, epoch, _short(inc), message_id[-6:].hex())
        self.sends.add(now, slot, message_id, epoch)
        since = now - self.beats.get(inc, {}).get(slot, -1e9)
        self.leases.append(Lease(now, slot, inc, self._owners.get(slot), since))

    def takes(
        self, slot: int, epoch: int, connection: int, seq: int, send: Any, message_id: bytes
    ) -> None:
        """The upstream takes a message, or knows it (I6).

        Each epoch leaves at most a window of unsettled messages behind. One that ends before it
        has repeated what the one before it left adds its own to that. What came over the oldest
        of a message's connections was sent first, even if an upstream that was silent reads it
        late; each other one is a repeat, and counts for the connection that it came over.

        What the table has as told in vain has left the window, or a window of messages that are
        never answered would stop the slot. It is told again until an answer comes, as is that
        whose answer was lost.
        """
        before = self.under.get(message_id, epoch)
        self.under[message_id] = epoch
        came = (epoch, connection)
        first = self.first.setdefault(message_id, came)
        self.first[message_id] = min(first, came)
        if message_id in self.taken and (message_id in self.lost or self.told(slot, seq)):
            return
        if message_id in self.taken:
            again = max(first, came)
            key = (slot, *again, before)
            self.repeats[key] += 1
            if self.repeats[key] > self.window:
                self.broken("I6", f"slot {slot}: over {self.window} repeats under {again[0]}")
            return
        body = bytes(send.body)
        if self.bodies.setdefault(body, message_id) != message_id:
            self.broken("I6", f"one message under two ids: {body!r}")
        self.taken.add(message_id)
        self.arrived[send.to].append(message_id)
        self.note("taken", slot, epoch, seq, send.to, message_id[-6:].hex())

    def loses(self, message_id: bytes) -> None:
        """The upstream has taken a message, and its answer is lost on the way."""
        self.note("lost", message_id[-6:].hex())
        self.lost.add(message_id)

    def event_acked(self, key: str, on_disk: bool) -> None:
        """The upstream will not deliver this event again (I8)."""
        self.note("event", key[-8:])
        if not on_disk and key not in self.unreadable:
            self.broken("I8", f"event acked before it was on disk: {key}")

    def delivers(self, slot: int, kind: int, seq: int) -> None:
        """The business has an event."""
        self.note("callback", slot, kind, seq)
        self.delivered.add((slot, kind, seq))

    # webapps

    def acks(self, recipient: str, message_id: bytes, offered: float, on_disk: bool) -> None:
        """A client was told 201; requests with one key are told the same id."""
        self.note("acked", recipient, message_id[-6:].hex())
        self._acks += 1
        if message_id not in self.number:
            self.on_answer(recipient, message_id, offered, self.now())
        if not on_disk:
            self.early.append((self.now(), message_id))

    def answers(self, key: Any, message_id: bytes) -> None:
        """A request with a key is known under this id, each time that it comes (I11)."""
        first = self.requests.setdefault(key, message_id)
        if first != message_id:
            self.broken("I11", f"one request, two messages: {first.hex()}, {message_id.hex()}")

    def fails(self, recipient: str, message_id: bytes, why: str) -> None:
        """A client was told 503."""
        self.note("failed", recipient, message_id[-6:].hex(), why[:12])
        if why.startswith("not accepted"):
            self.unaccepted.append(message_id)


def _short(inc: UUID | None) -> str:
    return inc.hex[:6] if inc is not None else "nobody"
