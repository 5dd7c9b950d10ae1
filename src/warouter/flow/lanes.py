"""Decides what may be sent now: a lane per number and recipient with one unanswered message,
and a window per slot.

Rules of this file:
  * a lane is the queue of one recipient of one number in seq order; only its head may be out, and
    nothing behind it moves before the head is answered: order per recipient needs no more than
    that;
  * lanes are served in seq order of their heads, so nobody is starved; heads with priority are
    before others, and who sends by a rate (``flow.turns``) chooses between the two;
  * a blocked lane (its recipient is parked) sends nothing; what comes for it is parked too;
  * what has waited too long is handed back instead (``expire``), unless the upstream may have it;
    what is parked then has ``told`` set, and ends by its age alone;
  * what ends as failed holds back what is behind it until that is recorded: a successor that does
    not know of it may send it yet (a clock went back, a link is alive again), and then sends it
    first;
  * an answer may be lost: what has been out for long is told again (``unanswered``), a few at a
    time as long as the upstream may only be slow;
  * what is out and not yet recorded as settled is at most ``window``: those are the repeats that a
    successor may cause. What is parked as told leaves it, and comes in addition: kept in it, a
    window of messages that are never answered would stop the slot.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from warouter.flow.lane_key import parts_of, recipient_of

WINDOW = 64


class LaneEntry(msgspec.Struct, frozen=True, order=True, gc=False):
    """One message in memory, ordered by seq; ``body`` is the JSON as received.

    ``lane`` is the key of the lane of its ``number`` and recipient, see ``flow.lane_key``.
    It is not to be sent any more at ``expires``: by its own ttl (``timed``) or as too old.
    ``told`` says of what is parked that the upstream may have it: it was told, and did not answer.
    ``priority``: as the head of its lane it goes before others.
    """

    seq: int
    id: bytes
    lane: str
    kind: int
    body: bytes | memoryview
    attempts: int = 0
    parked: bool = False
    expires: float = math.inf
    timed: bool = False
    told: bool = False
    priority: bool = False
    number: int = 1

    @property
    def recipient(self) -> str:
        return recipient_of(self.number, self.lane)


class Lanes:
    """The outgoing messages of one slot. Times are the caller's seconds."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._lanes: dict[str, list[LaneEntry]] = {}  # short: nearly all have one
        self._ready: list[tuple[int, str]] = []  # heap of lane heads that may go out
        self._urgent: list[tuple[int, str]] = []  # heads with priority
        self._again: list[tuple[int, str]] = []  # heads that went out before
        self._later: list[tuple[float, int, str]] = []  # heap of heads that wait for their time
        self._out: dict[bytes, LaneEntry] = {}
        self._unrecorded: set[int] = set()
        self._blocked: set[str] = set()
        self._ending: dict[str, list[int]] = {}  # by lane, which is kept as long if empty
        self._asked: set[bytes] = set()  # out on a connection that was lost: may be taken
        self._withheld: set[bytes] = set()  # out, but the upstream has not been told
        self.soonest = math.inf  # no entry expires earlier
        # What was out at the last call of ``unanswered``, and what was heard since.
        self._seen: dict[bytes, LaneEntry] = {}
        self._heard = self._overtaken = False
        self._most = 1
        self.waiting = 0
        self.bytes = 0  # of the bodies of what waits

    @property
    def out(self) -> int:
        """Number of messages that were sent and not answered."""
        return len(self._out) - len(self._withheld)

    def is_out(self, message_id: bytes) -> bool:
        """True if this message was sent, or is being prepared, and is not answered."""
        return message_id in self._out

    def entry_out(self, message_id: bytes) -> LaneEntry | None:
        """The message of this id, if it is out."""
        return self._out.get(message_id)

    def flies(self, lane: str) -> bool:
        """True while the head of this lane is out."""
        queue = self._lanes.get(lane)
        return queue is not None and bool(queue) and queue[0].id in self._out

    def length(self, lane: str) -> int:
        """Number of messages in this lane."""
        return len(self._lanes.get(lane, ()))

    def withhold(self, message_id: bytes) -> None:
        """Count a message as sent whose media must be prepared first."""
        if message_id in self._out:
            self._withheld.add(message_id)

    def release(self, message_id: bytes) -> None:
        """A withheld message may go with the next ``take``, unless it expires before."""
        if message_id in self._withheld:
            self._withheld.discard(message_id)
            entry = self._out.pop(message_id)
            self.soonest = min(self.soonest, entry.expires)
            heapq.heappush(self._again, (entry.seq, entry.lane))

    @property
    def room(self) -> int:
        """Number of messages that may still go out."""
        return self._window - len(self._unrecorded)

    @property
    def window_full(self) -> bool:
        return len(self._unrecorded) >= self._window

    @property
    def ready(self) -> bool:
        """True if ``take`` may return something, as far as the window has room."""
        return bool(self._ready or self._again or self._urgent)

    @property
    def idle(self) -> bool:
        """True if nothing waits but behind what is out."""
        return not (self._ready or self._later or self._again or self._urgent)

    def push(self, entry: LaneEntry) -> bool:
        """Queue a message in seq order. False if its lane is blocked: park it as well."""
        if entry.lane in self._blocked and not entry.parked:
            return False
        queue = self._lanes.get(entry.lane)
        self.waiting += 1
        self.bytes += len(entry.body)
        if entry.expires < self.soonest:
            self.soonest = entry.expires
        if queue is None:
            self._lanes[entry.lane] = [entry]
            heads = self._urgent if entry.priority else self._ready
            heapq.heappush(heads, (entry.seq, entry.lane))
        else:
            queue.append(entry)
            if len(queue) == 1:
                self._next(entry.lane)
        return True

    def free(self, lane: str) -> bool:
        """True if a message that comes to this lane now would be its head."""
        return lane not in self._lanes and lane not in self._blocked

    def push_out(self, entry: LaneEntry) -> bool:
        """Queue a message that counts as out at once, for a lane that is ``free``; False if not."""
        if not self.free(entry.lane):
            return False
        self._lanes[entry.lane] = [entry]
        self.waiting += 1
        self.bytes += len(entry.body)
        self._go(entry.lane)
        return True

    def take(self, below: int | None = None) -> list[LaneEntry]:
        """Heads of lanes that may be sent now within the window; they count as out from here on.

        What went out before keeps its place in the window and goes first: a window full of retries
        must not wait for itself. ``below``: of the others only seqs under it (the cursor has no
        room for another range).
        """
        taken: list[LaneEntry] = []
        while self._again:
            taken.append(self._go(heapq.heappop(self._again)[1]))
        for heads in (self._urgent, self._ready) if self._urgent else (self._ready,):
            while heads and not self.window_full:
                if below is not None and heads[0][0] >= below:
                    break
                taken.append(self._go(heapq.heappop(heads)[1]))
        return taken

    def peek(self, *, priority: bool, below: int | None = None) -> LaneEntry | None:
        """The head that goes next, of those with priority or of the others; it stays where it is.

        None: there is none, or the window or ``below`` keeps it, as with ``take``. What went out
        before is the first of the others. Tell what became of it by ``go`` or ``put_off``.
        """
        heads = self._urgent if priority else self._again or self._ready
        if not heads:
            return None
        seq, lane = heads[0]
        if heads is not self._again and (self.window_full or (below is not None and seq >= below)):
            return None
        return self._lanes[lane][0]

    def go(self, entry: LaneEntry) -> None:
        """Count the entry that ``peek`` returned as out from here on."""
        self._pop(entry)
        self._go(entry.lane)

    def put_off(self, entry: LaneEntry, due: float) -> None:
        """Let the entry that ``peek`` returned, and its lane, wait until ``due``.

        It takes no place meanwhile.
        """
        self._pop(entry)
        heapq.heappush(self._later, (due, entry.seq, entry.lane))

    def answered(self, message_id: bytes) -> LaneEntry | None:
        """The upstream took or refused the message: its lane moves on. None if it was not out."""
        entry = self._out.pop(message_id, None)
        if entry is None:
            return None
        self._hear(message_id)
        self._advance(entry.lane)
        return entry

    def failed(self, message_id: bytes) -> LaneEntry | None:
        """The message ends as failed: its lane moves on once that is recorded."""
        entry = self._out.get(message_id)
        if entry is not None:
            self.end([entry])
        return self.answered(message_id)

    def withdraw(self, lane: str, message_id: bytes) -> LaneEntry | None:
        """Take out one that is out or waits, as ``failed`` does; None if it is not there."""
        queue = self._lanes.get(lane, [])
        place = next((n for n, entry in enumerate(queue) if entry.id == message_id), None)
        if place is None:
            return None
        if place > 0:  # behind another: it was never out
            entry = queue.pop(place)
            self._left([entry])
            self.end([entry])
            return entry
        if message_id not in self._out:
            self._forget_heads({lane})
            self._out[message_id] = queue[0]
        return self.failed(message_id)

    def end(self, entries: Iterable[LaneEntry]) -> None:
        """End messages as failed: nothing behind them goes before that is recorded."""
        for entry in entries:
            self._ending.setdefault(entry.lane, []).append(entry.seq)
            self._lanes.setdefault(entry.lane, [])

    def end_unread(self, entry: LaneEntry) -> None:
        """End a message that is not in its lane: what is just being read with it waits as well,
        unless those behind it go on already.
        """
        queue = self._lanes.get(entry.lane)
        if not queue or queue[0].seq < entry.seq:
            self.end([entry])

    def waits_for(self, entry: LaneEntry) -> bool:
        """True if the next message of its lane waits until the end of this one is recorded."""
        queue = self._lanes.get(entry.lane)
        return bool(queue and queue[0].seq > entry.seq)

    def retry(self, message_id: bytes, due: float) -> LaneEntry | None:
        """Send the same id again at ``due``; its lane waits, and
        its place in the window stays taken.
        """
        entry = self._out.pop(message_id, None)
        if entry is None:
            return None
        self._hear(message_id)
        self.soonest = min(self.soonest, entry.expires)
        queue = self._lanes[entry.lane]
        queue[0] = replace(entry, attempts=entry.attempts + 1, told=False)
        heapq.heappush(self._later, (due, entry.seq, entry.lane))
        return queue[0]

    def due(self, now: float) -> float | None:
        """Make ready what waited for its time; returns when the next one is due, if any."""
        while self._later and self._later[0][0] <= now:
            _, seq, lane = heapq.heappop(self._later)
            queue = self._lanes.get(lane)
            if queue and queue[0].seq == seq:
                fresh = self._urgent if queue[0].priority else self._ready
                heads = self._again if seq in self._unrecorded else fresh
                heapq.heappush(heads, (seq, lane))
        return self._later[0][0] if self._later else None

    def unanswered(self) -> list[LaneEntry]:
        """Messages out since the last call: their answers are lost, or the upstream is slow.

        It answers in order. Has it answered what was told after that call, all of it is lost; while
        it works them off, nothing is. As long as it says nothing at all, the first is asked for,
        then the next two, four, ...: many at once would hold up one that is slow.
        """
        waited = [e for e in self._seen.values() if self._out.get(e.id) is e]
        due = waited
        if self._heard or not waited:
            self._most = 1
        if not self._overtaken:
            due = [] if self._heard else waited[: self._most]
            self._most = min(self._window, self._most * 2) if due else 1
        self._seen = {i: e for i, e in self._out.items() if i not in self._withheld}
        self._heard = self._overtaken = False
        return due

    def ask_again(self, message_id: bytes) -> None:
        """Send the messages that are out once more; they do not expire until answered."""
        entry = self._out.pop(message_id)
        self._asked.add(message_id)
        queue = self._lanes[entry.lane]
        queue[0] = replace(entry, attempts=entry.attempts + 1)
        heapq.heappush(self._again, (entry.seq, entry.lane))

    def requeue(self) -> None:
        """The connection is new: send unanswered messages again, in seq order."""
        for entry in self._out.values():
            heapq.heappush(self._again, (entry.seq, entry.lane))
            if entry.id in self._withheld:
                self.soonest = min(self.soonest, entry.expires)
            else:
                self._asked.add(entry.id)
        self._out.clear()
        self._withheld.clear()
        self._seen.clear()

    def expire(self, now: float) -> list[LaneEntry]:
        """End messages that expire by ``now``: in seq order, wherever they are in their lanes.

        What is out, or was when its connection was lost, stays: only the upstream knows of it.
        """
        if now < self.soonest:
            return []
        self.soonest = math.inf
        gone: list[LaneEntry] = []
        beheaded: set[str] = set()
        for lane, queue in list(self._lanes.items()):
            kept = [entry for entry in queue if not self._expired(entry, now)]
            if len(kept) == len(queue):
                continue
            gone += (entry for entry in queue if self._expired(entry, now))
            if not kept or kept[0].seq != queue[0].seq:
                beheaded.add(lane)
            self._lanes[lane] = kept
        if beheaded:
            self._forget_heads(beheaded)
        self.end(gone)
        self._left(gone)
        return sorted(gone)

    def block(self, lane: str) -> list[LaneEntry]:
        """Park a lane: all of it is returned, in seq order, to be parked.

        Of its head the upstream may not have said yet whether it has it.
        """
        self._blocked.add(lane)
        queue = self._lanes.pop(lane, None)
        if lane in self._ending:
            self._lanes[lane] = []
        if not queue:
            return []
        self._forget_heads({lane})
        head = queue[0]
        if head.id in self._asked or (head.id in self._out and head.id not in self._withheld):
            queue[0] = replace(head, told=True)
        for entry in queue:
            self._out.pop(entry.id, None)
            self._asked.discard(entry.id)
            self._withheld.discard(entry.id)
        self._left(queue)
        return queue

    def of_number(self, number: int) -> tuple[list[LaneEntry], list[int]]:
        """The messages of a number that wait and were never out, and the seqs of its others: those
        out, out before, or ending. What is parked is neither.
        """
        waiting: list[LaneEntry] = []
        others: list[int] = []
        for lane, queue in self._lanes.items():
            if parts_of(lane)[0] == number:
                mine = [entry for entry in queue if not entry.parked]
                waiting += (entry for entry in mine if entry.seq not in self._unrecorded)
                others += (entry.seq for entry in mine if entry.seq in self._unrecorded)
                others += self._ending.get(lane, ())
        return sorted(waiting), others

    def take_out(self, entries: Sequence[LaneEntry]) -> None:
        """Let go of messages that wait and were never out, from the ends of their lanes."""
        seqs, lanes = {entry.seq for entry in entries}, {entry.lane for entry in entries}
        self._forget_heads({lane for lane in lanes if self._lanes[lane][0].seq in seqs})
        for lane in lanes:
            self._lanes[lane] = [entry for entry in self._lanes[lane] if entry.seq not in seqs]
            if not self._lanes[lane] and lane not in self._ending:
                del self._lanes[lane]
        self._left(entries)

    def unblock(self, lane: str) -> None:
        self._blocked.discard(lane)

    def recorded(self, seqs: Collection[int]) -> None:
        """Take messages out of the window once they are settled in the database."""
        self._unrecorded.difference_update(seqs)
        if self._ending:
            self._ended(set(seqs))

    def _hear(self, message_id: bytes) -> None:
        if message_id in self._asked:
            self._asked.discard(message_id)  # an answer to which telling of it, nobody knows
        elif message_id in self._seen:
            self._heard = True
        else:
            self._overtaken = True
        self._withheld.discard(message_id)

    def _left(self, entries: Collection[LaneEntry]) -> None:
        self.waiting -= len(entries)
        self.bytes -= sum(len(entry.body) for entry in entries)

    def _expired(self, entry: LaneEntry, now: float) -> bool:
        if entry.id in self._out or entry.id in self._asked:
            return False
        if entry.expires <= now:
            return True
        self.soonest = min(self.soonest, entry.expires)
        return False

    def _ended(self, seqs: set[int]) -> None:
        """Lanes whose head waited for the end of these alone go on."""
        for lane, ending in list(self._ending.items()):
            left = [seq for seq in ending if seq not in seqs]
            if left:
                self._ending[lane] = left
            else:
                del self._ending[lane]
            queue = self._lanes[lane]
            if not queue or queue[0].seq > min(ending):
                self._next(lane)

    def _next(self, lane: str) -> None:
        """The head of a lane may go, unless what was before it is ending."""
        queue, ending = self._lanes[lane], self._ending.get(lane)
        if queue and (not ending or queue[0].seq < min(ending)):
            heads = self._urgent if queue[0].priority else self._ready
            heapq.heappush(heads, (queue[0].seq, lane))
        elif not queue and not ending:
            del self._lanes[lane]

    def _forget_heads(self, lanes: set[str]) -> None:
        self._ready = [item for item in self._ready if item[1] not in lanes]
        heapq.heapify(self._ready)
        self._urgent = [item for item in self._urgent if item[1] not in lanes]
        heapq.heapify(self._urgent)
        self._again = [item for item in self._again if item[1] not in lanes]
        heapq.heapify(self._again)
        self._later = [item for item in self._later if item[2] not in lanes]
        heapq.heapify(self._later)

    def _pop(self, entry: LaneEntry) -> None:
        place = entry.seq, entry.lane
        heads = next(h for h in (self._again, self._urgent, self._ready) if h and h[0] == place)
        heapq.heappop(heads)

    def _go(self, lane: str) -> LaneEntry:
        entry = self._lanes[lane][0]
        self._out[entry.id] = entry
        self._unrecorded.add(entry.seq)
        return entry

    def _advance(self, lane: str) -> None:
        queue = self._lanes[lane]
        self.bytes -= len(queue.pop(0).body)
        self.waiting -= 1
        if self._ending:
            self._next(lane)
        elif queue:  # nearly always one of these two
            heads = self._urgent if queue[0].priority else self._ready
            heapq.heappush(heads, (queue[0].seq, lane))
        else:
            del self._lanes[lane]
