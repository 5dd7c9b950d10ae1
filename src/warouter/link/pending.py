"""A message that waits at a webapp for its owner's answer."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import msgspec

from warouter.errors import ApiError, NotReady
from warouter.link.wire import Outgoing
from warouter.message_id import text_of

# What becomes of a message: the id under which it is known, or why it is not accepted.
Done = Callable[[bytes | ApiError], None]


class Pending(msgspec.Struct, eq=False):
    """One message that no owner has answered for yet."""

    message: Outgoing
    deadline: float
    done: Done  # called once, when this is no longer pending
    epoch: int = -1  # under which it was offered last
    via: UUID | None = None  # to which coreapp it went then: the owner, or who relays
    offers: int = 0  # how often it left
    refused: bool = False  # nobody could take it: the sweep offers it again
    old_link: bool = False  # the way to the owner has no place for its ttl or key

    @property
    def slot(self) -> int:
        return self.message.slot

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
