"""The messages of one slot of which a request may be out or may have been taken, in its owner's
memory. Pure.

One for each message that has a place in the rate or an issue row, by its id. Any other message, and
one that is settled, has none.
"""

from __future__ import annotations

from warouter.flow.doubt.effects import Note
from warouter.flow.doubt.events import MessageSettled, TtlOver
from warouter.flow.doubt.machine import step
from warouter.flow.doubt.states import REQUESTED, TIMED, TOLD, UNKNOWN, DoubtState, Issue
from warouter.flow.progress import Change

MOST_OVER = 1_024  # more than are read at a time


class Issues(dict[bytes, Issue]):
    """The messages of a slot, by id."""

    def __init__(self) -> None:
        super().__init__()
        # Those that have ended, the newest: their rows may just be being read.
        self._over: dict[bytes, None] = {}
        self._failed: dict[bytes, None] = {}  # of those, as failed
        self._left: dict[bytes, int] = {}  # the record that takes it out of its lane
        # Attempts of messages that have ended by another one: until when they may be heard of.
        self._unheard: dict[tuple[bytes, int], float] = {}

    def keep(self, issue: Issue) -> None:
        """Keep the message in its state; one that has ended goes."""
        if issue.state is DoubtState.ENDED:
            self.pop(issue.id, None)
            self._left.pop(issue.id, None)
        else:
            self[issue.id] = issue

    def settle(self, message_id: bytes, now: float) -> list[Change]:
        """Forget a message that is settled in its lane; returns what is to be noted of it."""
        issue = self.get(message_id)
        if issue is None:
            return []
        after, effects = step(issue, MessageSettled(), now)
        self.keep(after)
        return [effect.change for effect in effects if isinstance(effect, Note)]

    def expire(self, message_id: bytes, now: float) -> None:
        """Note that a message that waited too long in its lane is about to be told as failed."""
        issue = self.get(message_id)
        if issue is not None:
            self.keep(step(issue, TtlOver(), now)[0])

    # messages that have ended

    def end(self, message_id: bytes) -> None:
        """Note that it has ended: who has read its row before does not send or end the message."""
        _add(self._over, message_id)

    def is_over(self, message_id: bytes) -> bool:
        """True if it has ended not long ago."""
        return message_id in self._over

    def fail_stored(self, message_id: bytes) -> None:
        """Note that its failure is on disk: who has read its row before says nothing else."""
        issue = self.get(message_id)
        if issue is not None and issue.state in TOLD:
            _add(self._failed, message_id)

    def fails(self, message_id: bytes) -> bool:
        """True if it is said to have failed, and a row that was read before may not know it."""
        issue = self.get(message_id)
        return message_id in self._failed or (issue is not None and issue.state in TOLD)

    # its lane

    def leave(self, issue: Issue, record: int) -> None:
        """Note that this record takes it out of its lane."""
        if issue.id in self:
            self._left[issue.id] = record

    def has_left(self, issue: Issue, recorded: int) -> bool:
        """True if that it left its lane is on disk: one record cannot say that it returned, too."""
        return self._left.get(issue.id, 0) <= recorded

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
    def timed(self) -> list[Issue]:
        """Those that time may end."""
        return [issue for issue in self.values() if issue.state in TIMED]

    @property
    def begun(self) -> dict[bytes, int]:
        """The last attempt of each that began: whatever has a row beyond that never did."""
        return {issue.id: issue.attempt for issue in self.values()}


_DOUBTED = UNKNOWN | {DoubtState.SAYING, DoubtState.SAYING_ASIDE, DoubtState.SAID}
_OUT = REQUESTED | {DoubtState.REFUSED}


def _add(newest: dict[bytes, None], message_id: bytes) -> None:
    if len(newest) >= MOST_OVER:
        newest.pop(next(iter(newest)))
    newest[message_id] = None
