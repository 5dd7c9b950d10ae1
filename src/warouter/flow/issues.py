"""The requests of one slot that may be out or may have been taken, in its owner's memory. Pure.

One for each message with an issue row, by its id. A message that was never issued, and one that is
settled, has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from warouter.flow.doubt import DoubtRule, DoubtState

MOST_PROVEN = 1_024  # more than are read at a time


class Issue:
    """One issue row. Times are the caller's seconds.

    ``attempt`` is that of the last request; ``doubts`` of them may have been taken, one that is out
    not counted. ``since`` is when the doubt began, ``ends`` when the message's ttl is over.
    """

    __slots__ = (
        "aside",
        "attempt",
        "begun",
        "cause",
        "doubts",
        "drained_after",
        "ends",
        "gone",
        "id",
        "left",
        "marked",
        "not_taken",
        "pair_refusals",
        "probing",
        "recipient",
        "rule",
        "ruled",
        "said",
        "saying",
        "seq",
        "since",
        "spared",
        "state",
        "uploaded_again",
    )

    def __init__(
        self, seq: int, message_id: bytes, recipient: str, attempt: int = 1, doubts: int = 0
    ) -> None:
        self.seq = seq
        self.id = message_id
        self.recipient = recipient
        self.attempt = attempt
        self.doubts = doubts
        self.state = DoubtState.QUEUED
        self.marked = False  # its row is on disk, and its request has not begun
        self.begun = -math.inf  # its last request, at the earliest
        self.since = -math.inf
        self.ends = math.inf
        self.cause = ""
        self.rule: DoubtRule | None = None  # once it is in doubt
        # By which it was made, where that may turn out to be another one: kind and body of a
        # template, of whose category nothing may be known yet.
        self.ruled: tuple[int, bytes] | None = None
        self.gone = False  # its message is not stored any more: it cannot be sent
        self.aside = False  # in doubt, but those behind it go on
        self.left = 0  # the number of the record that takes it out of its lane
        self.not_taken = False  # its last request was surely not taken: heard while aside
        self.uploaded_again = False  # its media were, since the other side did not know them
        self.probing = False  # its last request began while no message was taken
        self.spared = 0  # doubts of requests that probed, which use up no attempt
        self.pair_refusals = 0  # how often its recipient had got too many messages
        self.saying = False  # its end is being written as a status
        self.said = False  # its failure is on disk; only its lane is still shut
        self.drained_after: int | None = (
            None  # the inbox is to be read once more after this reading
        )

    def begin_attempt(self, now: float, *, probing: bool) -> None:
        """Note that its request begins; ``probing``: while no message is taken."""
        self.state, self.marked, self.begun, self.probing = DoubtState.OUT, False, now, probing

    def doubt(self, now: float, cause: str) -> None:
        """Note a request of which nobody knows whether it was taken."""
        self.state, self.since, self.cause = DoubtState.DOUBT, now, cause
        self.doubts += 1
        self.spared += self.probing and self.doubts > 1

    @property
    def counted(self) -> int:
        """Number of its doubts that use up an attempt; the first always does."""
        return self.doubts - min(self.spared, max(self.doubts - 1, 0))

    @property
    def next_attempt(self) -> int:
        """The number of the request that goes next: none is used twice."""
        return self.attempt if self.marked else self.attempt + 1


class Issues(dict[bytes, Issue]):
    """The issues of a slot, by message id."""

    def __init__(self) -> None:
        super().__init__()
        self.proven: dict[bytes, None] = {}  # ended by evidence; their rows may just be being read
        self._failing: set[bytes] = set()  # said to have failed in this epoch, and not on disk yet
        self._failed: dict[bytes, None] = {}  # the same on disk; their rows may just be being read
        self.unbegun: dict[bytes, int] = {}  # attempts that may have a row, and have not begun
        self.paid: set[bytes] = set()  # with a place in the rate and a request not begun
        self._unknown: dict[tuple[bytes, int], float] = {}
        self._unheard: dict[str, int] = {}  # by recipient, the record that takes it to disk

    def prove(self, message_id: bytes) -> None:
        """Note an end by evidence: who has read the row before does not send or end the message."""
        if len(self.proven) >= MOST_PROVEN:
            self.proven.pop(next(iter(self.proven)))
        self.proven[message_id] = None

    def fail(self, message_id: bytes) -> None:
        """Note a message that is said to have failed while that is not on disk yet."""
        self._failing.add(message_id)

    def fail_stored(self, message_id: bytes) -> None:
        """Note that its failure is on disk: who has read its row before says nothing else."""
        if message_id in self._failing:
            self._failing.discard(message_id)
            if len(self._failed) >= MOST_PROVEN:
                self._failed.pop(next(iter(self._failed)))
            self._failed[message_id] = None

    def fails(self, message_id: bytes) -> bool:
        """True if it is said to have failed, and a row that was read before may not know it."""
        return message_id in self._failing or message_id in self._failed

    def leave(self, message_id: bytes, attempt: int, until: float, now: float) -> None:
        """Another attempt has ended the message; whether this one was taken may be heard
        ``until`` its window ends.
        """
        self._unknown = {key: end for key, end in self._unknown.items() if end > now}
        self._unknown[message_id, attempt] = until

    def leave_unheard(self, recipient: str, record: int, recorded: int) -> None:
        """A message to this recipient has ended, and nobody knows what became of a request of it: a
        failure that names no message may be of that. This remembers it until the record with the
        number ``record`` is on disk, as that with ``recorded`` is.
        """
        self._unheard = {to: each for to, each in self._unheard.items() if each > recorded}
        self._unheard[recipient] = record

    def unheard(self, recipients: Iterable[str], recorded: int) -> bool:
        """True if that is so for one of these, which are spellings of one number, and not on disk
        yet.
        """
        return any(self._unheard.get(to, recorded) > recorded for to in recipients)

    def ended(self, issue: Issue, attempt: int, now: float) -> int:
        """End an issue by an attempt that was taken; return the number of its unknown attempts.

        A later attempt that is in doubt may be heard of yet.
        """
        if issue.state is DoubtState.DOUBT and issue.attempt > attempt and issue.rule is not None:
            self.leave(issue.id, issue.attempt, issue.since + issue.rule.window, now)
        return issue.doubts - (issue.state is not DoubtState.OUT)

    def left(self, message_id: bytes, now: float) -> frozenset[int]:
        """The attempts of a message that were left so, and may still be heard of."""
        if not self._unknown:  # nearly always
            return frozenset()
        left = self._unknown.items()
        return frozenset(a for (i, a), end in left if i == message_id and end > now)

    def doubted(self, message_id: bytes) -> bool:
        """True while the message is in doubt."""
        issue = self.get(message_id)
        return issue is not None and issue.state is DoubtState.DOUBT

    @property
    def unsettled(self) -> list[Issue]:
        """Issues that time may end: in doubt, held, or taken and waiting for a status."""
        return [
            i
            for i in self.values()
            if i.state in (DoubtState.DOUBT, DoubtState.HELD, DoubtState.TAKEN)
        ]
