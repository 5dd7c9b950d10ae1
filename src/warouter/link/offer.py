"""The API's view of the links: messages are offered to the owners of their slots."""

from __future__ import annotations

from typing import Protocol

from warouter.link.pending import Done, HeldMessages, WaitingMessage
from warouter.link.ways import Straight
from warouter.link.wire import Outgoing


class Offering(Protocol):
    """Takes messages to their owners.

    The fast path adds what it reads to ``held`` itself, and sends it by ``straight`` where it can,
    else by ``send``.
    """

    held: HeldMessages
    hold: float  # seconds for which a message waits at most

    @property
    def straight(self) -> list[Straight | None]:
        """The way to each slot's owner, as far as it is known and free."""
        ...

    def offer(self, message: Outgoing, done: Done) -> None:
        """Submit without a wait: ``done`` is called once. Raises Overloaded at once."""

    def check(self, slot: int, size: int) -> None:
        """Overloaded if there is no room for another message of the slot, of ``size`` bytes."""

    def send(self, entry: WaitingMessage) -> None:
        """Send what is held to its owner, or to who relays, or keep it until that is possible."""


class Submitting(Protocol):
    """Takes messages to their owners and waits."""

    async def submit(self, message: Outgoing) -> bytes:
        """Returns the id (20 bytes) that the message is known under once it is durable.

        That is another one than its own if its key came before with the same request. Raises
        NotReady, Overloaded or KeyTaken.
        """
        ...
