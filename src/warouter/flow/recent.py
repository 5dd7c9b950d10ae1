"""Messages of a slot that were taken lately, at their first request, and what was shown of them.

Their statuses need no look at the journal. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from warouter.flow.statuses import RANKS, KnownStatuses

MOST = 1_000  # of a slot; statuses of an earlier one go by the inbox
_LAST_RANK = max(RANKS.values())


class RecentMessage:
    """One message. ``event`` is the number of its last status that was to be stored, 0 for none."""

    __slots__ = ("event", "recipient", "seen", "wamid")

    def __init__(self, recipient: str, wamid: str) -> None:
        self.recipient = recipient
        self.wamid = wamid
        self.seen = KnownStatuses()
        self.event = 0


class RecentMessages(dict[bytes, RecentMessage]):
    """By id, the oldest first."""

    def taken(self, message_id: bytes, recipient: str, wamid: str) -> None:
        """Its first request was taken, and no other can have been."""
        self[message_id] = RecentMessage(recipient, wamid)

    def let_go(self, is_needed: Callable[[bytes, RecentMessage], bool]) -> None:
        """Forget those that have been read by their recipients, and the oldest of too many; not
        what is needed.
        """
        surplus = len(self) - MOST
        gone = [
            message_id
            for n, (message_id, message) in enumerate(self.items())
            if (n < surplus or message.seen.rank == _LAST_RANK)
            and not is_needed(message_id, message)
        ]
        for message_id in gone:
            del self[message_id]
