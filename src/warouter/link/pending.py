"""A message that waits at a webapp for its owner's answer."""

from __future__ import annotations

import asyncio
from uuid import UUID

from warouter.errors import NotReady
from warouter.message_id import text_of


class Pending:
    """One message that no owner has answered for yet."""

    __slots__ = (
        "body",
        "deadline",
        "done",
        "epoch",
        "id",
        "kind",
        "offers",
        "recipient",
        "refused",
        "slot",
        "via",
    )

    def __init__(
        self,
        slot: int,
        message_id: bytes,
        recipient: str,
        kind: int,
        body: bytes,
        deadline: float,
        done: asyncio.Future[None],
    ) -> None:
        self.slot = slot
        self.id = message_id
        self.recipient = recipient
        self.kind = kind
        self.body = body
        self.deadline = deadline
        self.done = done
        self.epoch = -1  # under which it was offered last
        self.via: UUID | None = None  # to which coreapp it went then: the owner, or who relays
        self.offers = 0  # how often it left
        self.refused = False  # nobody could take it: the sweep offers it again

    def too_late(self) -> NotReady:
        if self.offers:
            return NotReady(
                f"outcome unknown for message {text_of(self.id)}: its shard did not answer"
            )
        return NotReady("not accepted: no coreapp owns the recipient's shard right now")
