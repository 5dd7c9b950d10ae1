"""Messages of a slot that were taken lately, at their first request, and what was shown of them.

Their statuses need no look at the journal. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from warouter.flow.statuses import RANKS, KnownStatuses

MOST = 1_000  # of a slot; statuses of an earlier one go by the inbox
_LAST_RANK = max(RANKS.values())


class RecentMessage:
    """One message. ``event`` is the number of its last status that was to be stored, 0 for none;
    ``answered`` says that its request has ended: statuses often come before that.
    """

    __slots__ = ("answered", "event", "number", "recipient", "seen", "wamid")

    def __init__(self, recipient: str, wamid: str, number: int) -> None:
        self.recipient = recipient
        self.number = number
        self.wamid = wamid
        self.seen = KnownStatuses()
        self.event = 0
        self.answered = False


class RecentMessages(dict[bytes, RecentMessage]):
    """By id, the oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self._read: list[bytes] = []  # by their recipients: nothing follows

    def taken(self, message_id: bytes, recipient: str, wamid: str, number: int = 1) -> None:
        """Its first request was taken, and no other can have been."""
        self[message_id] = RecentMessage(recipient, wamid, number)

    def shown(self, message_id: bytes, seen: KnownStatuses) -> bool:
        """Keep what was shown of a message; False if it is none of these."""
        message = self.get(message_id)
        if message is None:
            return False
        if seen.rank == _LAST_RANK != message.seen.rank:
            self._read.append(message_id)
        message.seen = seen
        return True

    def answered(self, message_id: bytes) -> None:
        """Its request has ended."""
        message = self.get(message_id)
        if message is not None:
            message.answered = True

    def let_go(self, is_needed: Callable[[bytes, RecentMessage], bool]) -> None:
        """Forget those that have been read by their recipients, and the oldest of too many; not
        what is needed, nor whose request is out: its answer will say what a status has said.
        """
        surplus = [*islice(self, max(0, len(self) - MOST))]
        for message_id in {**dict.fromkeys(self._read), **dict.fromkeys(surplus)}:
            message = self.get(message_id)
            if message is not None and message.answered and not is_needed(message_id, message):
                del self[message_id]
        self._read = [message_id for message_id in self._read if message_id in self]
