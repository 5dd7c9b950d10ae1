"""The messages of one slot of which a request may be out or may have been taken, in its owner's
memory. Pure.

Rules of this file:
  * a message is here by its id while it has a place in the rate or is on its way, and when time,
    evidence or a word is to change its state; its home is its row, and whoever reads that brings it
    here (``owner.cloud.finds``);
  * of those that only time changes so many are in memory at most, the first to be looked at;
    ``beyond`` says that the table has others, and those that are looked at after them make way;
  * one leaves memory only when all that is known of it is on disk, and while nobody reads rows: one
    that was read before it changed would bring it back as it was.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence

from warouter.flow.doubt.effects import NoteChange
from warouter.flow.doubt.events import MessageSettled, TtlOver
from warouter.flow.doubt.machine import step
from warouter.flow.doubt.states import (
    APART,
    KEPT,
    REQUESTED,
    TIMED,
    TOLD,
    UNKNOWN,
    DoubtState,
    Issue,
)
from warouter.flow.progress import Change

MOST_OVER = 4_096  # more than are read at a time
MOST_TIMED = 1_000  # one process may own all 32 slots
PAGE = 100  # that one reading of the table brings
AGAIN_SECONDS = 5.0  # until the table is read again, if that failed


class Issues(dict[bytes, Issue]):
    """The messages of a slot, by id. Times are the caller's seconds."""

    def __init__(self) -> None:
        super().__init__()
        # Those that have ended, the newest: their rows may just be being read.
        self._over: dict[bytes, None] = {}
        self._failed: dict[bytes, None] = {}  # of those, as failed
        self._noted: dict[bytes, int] = {}  # the record that has all that is known of it
        self._parked: dict[bytes, int] = {}  # the record that parks its message
        # When time may change them: by message, and as a heap with entries that hold no more.
        self._look: dict[bytes, float] = {}
        self._looks: list[tuple[float, bytes]] = []
        self.beyond = True  # nobody has looked yet
        self._next_look = -math.inf
        # Attempts of messages that have ended by another one: until when they may be heard of.
        self._unheard: dict[tuple[bytes, int], float] = {}

    def keep(self, issue: Issue, look: float = math.inf, record: int | None = None) -> None:
        """Keep the message in its state until time may change it; one that has ended goes.

        ``record`` is the next one, if it has something of the message.
        """
        if issue.state is DoubtState.ENDED:
            self.forget(issue.id)
            _add(self._over, issue.id)
            return
        self[issue.id] = issue
        if record is not None:
            self._noted[issue.id] = record
        if issue.state in TIMED:
            self._look[issue.id] = look
            heapq.heappush(self._looks, (look, issue.id))
        else:
            self._look.pop(issue.id, None)

    def forget(self, message_id: bytes) -> None:
        """Drop all that memory has of it."""
        for known in (self, self._noted, self._look, self._parked):
            known.pop(message_id, None)

    def settle(self, message_id: bytes, now: float) -> list[Change]:
        """Forget a message that is settled in its lane; returns what is to be noted of it."""
        issue = self.get(message_id)
        if issue is None:
            return []
        after, effects = step(issue, MessageSettled(), now)
        self.keep(after)
        return [effect.change for effect in effects if isinstance(effect, NoteChange)]

    def expire(self, message_id: bytes, now: float) -> None:
        """Note that a message that waited too long in its lane is about to be told as failed."""
        issue = self.get(message_id)
        if issue is not None:
            self.keep(step(issue, TtlOver(), now)[0])

    # time

    def due(self, now: float, most: int) -> list[Issue]:
        """Return those that time may change now, at most so many; each is to be kept anew."""
        found: list[Issue] = []
        while self._looks and self._looks[0][0] <= now and len(found) < most:
            look, message_id = heapq.heappop(self._looks)
            if self._look.get(message_id) == look:
                del self._look[message_id]
                found.append(self[message_id])
        return found

    def hurry(self, now: float) -> None:
        """Look at all of them anew: what is known of their rules has changed."""
        self._look = dict.fromkeys(self._look, now)
        self._looks = [(now, message_id) for message_id in self._look]

    # memory

    def wants(self, now: float) -> bool:
        """True if the table is worth reading: it may have others, and there is room for them."""
        return self.beyond and self._has_room and now >= self._next_look

    @property
    def _has_room(self) -> bool:
        """True if a page finds room."""
        return len(self._look) + PAGE <= MOST_TIMED

    @property
    def page(self) -> int:
        """Number of rows to read, so that some are new."""
        return len(self._look) + PAGE

    def reads(self, now: float) -> None:
        """Note that the table is read now; if that fails it is read again after a while."""
        self._next_look = now + AGAIN_SECONDS

    def read(self, looks: Sequence[float], page: int, now: float) -> None:
        """Note a page that was read: when each of its rows is to be looked at. Those beyond it come
        after the last of them.
        """
        self.beyond = len(looks) >= page
        self._next_look = max(looks, default=now)

    def park(self, message_id: bytes, record: int) -> None:
        """Note that its message is parked with this record: its row comes with that."""
        if message_id in self:
            self._parked[message_id] = record

    def found(self, message_id: bytes) -> bool:
        """Note that its row was read; True if memory knows better."""
        self._parked.pop(message_id, None)
        return message_id in self or message_id in self._over

    def let_go(self, recorded: int, is_read: Callable[[str], bool], now: float) -> None:
        """Forget what is on disk and is not needed: of messages that are parked, unless the rows of
        the lane are just being read; and of those that only time changes, the last ones.

        Not while rows of the slot's messages are read by their time, or with the inbox.
        """
        for message_id in [each for each, record in self._parked.items() if record <= recorded]:
            issue = self[message_id]
            if issue.state in _PARKED and not is_read(issue.lane):
                if self._noted.get(message_id, 0) <= recorded:
                    self.forget(message_id)
            elif issue.state not in _PARKED:
                del self._parked[message_id]
        crowded = self.beyond and now >= self._next_look and not self._has_room
        if crowded or len(self._look) > MOST_TIMED:
            self._let_go(recorded)

    def _let_go(self, recorded: int) -> None:
        """Forget those beyond the limit; and beyond half of it, whoever is looked at after some who
        are not here.
        """
        idle = [
            (look, message_id)
            for message_id, look in self._look.items()
            if self._noted.get(message_id, 0) <= recorded
            and self[message_id].state is not DoubtState.TAKEN
        ]
        for look, message_id in sorted(idle, reverse=True):
            makes_way = self.beyond and look > self._next_look
            if len(self._look) <= (MOST_TIMED // 2 if makes_way else MOST_TIMED):
                break
            self.forget(message_id)
            self._next_look = min(self._next_look, look) if self.beyond else look
            self.beyond = True
        self._looks = [(look, message_id) for message_id, look in self._look.items()]
        heapq.heapify(self._looks)

    def on_disk(self, issue: Issue, recorded: int) -> bool:
        """True if all that is known of it is: one record cannot say that it left and returned."""
        return self._noted.get(issue.id, 0) <= recorded

    # messages that have ended

    def end(self, message_id: bytes) -> None:
        """Note that it has ended: who has read its row before does not send or end the message."""
        _add(self._over, message_id)

    def is_over(self, message_id: bytes) -> bool:
        """True if it has ended not long ago."""
        return message_id in self._over

    def has_left(self, message_id: bytes) -> bool:
        """True if it is in its lane no more: it has ended, or those behind it go on."""
        issue = self.get(message_id)
        return message_id in self._over or (issue is not None and issue.state in APART)

    def fail_written(self, message_id: bytes) -> None:
        """Note that its failure is being written: who has read its row before says nothing else."""
        issue = self.get(message_id)
        if issue is not None and issue.state in TOLD:
            _add(self._failed, message_id)

    def fails(self, message_id: bytes) -> bool:
        """True if it is said to have failed, and a row that was read before may not know it."""
        issue = self.get(message_id)
        return message_id in self._failed or (issue is not None and issue.state in TOLD)

    # attempts of which something may still be heard

    def may_be_heard(self, message_id: bytes, attempt: int, until: float, now: float) -> None:
        """Another attempt has ended the message; whether this one was taken may be heard
        ``until`` its window ends.
        """
        self._unheard = {key: end for key, end in self._unheard.items() if end > now}
        self._unheard[message_id, attempt] = until

    def unheard(self, message_id: bytes, now: float) -> frozenset[int]:
        """The attempts of a message that has ended of which something may still be heard."""
        if not self._unheard:  # nearly always
            return frozenset()
        left = self._unheard.items()
        return frozenset(a for (i, a), end in left if i == message_id and end > now)

    # as a whole

    def doubted(self, message_id: bytes) -> bool:
        """True while the message is in doubt, or its end from there is being said."""
        issue = self.get(message_id)
        return issue is not None and issue.state in _DOUBTED

    @property
    def out(self) -> bool:
        """True while a request is out, or its refusal is not on disk: the next owner would find it
        in doubt.
        """
        return any(issue.state in _OUT for issue in self.values())

    @property
    def issued(self) -> list[Issue]:
        """Those whose row is on disk, and whose request has not begun."""
        return [issue for issue in self.values() if issue.state is DoubtState.ISSUED]

    @property
    def begun(self) -> dict[bytes, int]:
        """The last attempt of each that began: whatever has a row beyond that never did."""
        return {issue.id: issue.attempt for issue in self.values()}


_DOUBTED = UNKNOWN | KEPT | {DoubtState.SAYING, DoubtState.SAYING_ASIDE, DoubtState.SAID}
_OUT = REQUESTED | {DoubtState.REFUSED}
_PARKED = frozenset({DoubtState.QUEUED, DoubtState.PLACED})


def _add(newest: dict[bytes, None], message_id: bytes) -> None:
    if len(newest) >= MOST_OVER:
        newest.pop(next(iter(newest)))
    newest[message_id] = None
