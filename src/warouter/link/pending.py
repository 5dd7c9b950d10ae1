"""A message that waits at a webapp for its owner's answer."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from warouter.errors import ApiError, NotReady
from warouter.message_id import text_of
from warouter.wire import Outgoing

# What becomes of a message: the id under which it is known, or why it is not accepted.
Done = Callable[[bytes | ApiError], None]


class Pending:
    """One message that no owner has answered for yet."""

    __slots__ = (
        "deadline",
        "done",
        "epoch",
        "message",
        "offers",
        "old_link",
        "refused",
        "slot",
        "via",
    )

    def __init__(self, message: Outgoing, deadline: float, done: Done) -> None:
        self.message = message
        self.slot = message.slot
        self.deadline = deadline
        self.done = done  # called once, when this is no longer pending
        self.epoch = -1  # under which it was offered last
        self.via: UUID | None = None  # to which coreapp it went then: the owner, or who relays
        self.offers = 0  # how often it left
        self.refused = False  # nobody could take it: the sweep offers it again
        self.old_link = False  # the way to the owner has no place for its ttl or key

    def too_late(self) -> NotReady:
        if self.offers:
            return NotReady(
                f"outcome unknown for message {text_of(self.message.id)}: its shard did not answer"
            )
        if self.old_link:
            return NotReady(
                "not accepted: the recipient's shard is on a coreapp of a build that knows"
                " neither ttl nor Idempotency-Key"
            )
        return NotReady("not accepted: no coreapp owns the recipient's shard right now")
