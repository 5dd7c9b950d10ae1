"""The API's view of the links: messages are offered to the owners of their slots."""

from __future__ import annotations

from typing import Protocol

from warouter.link.pending import Done
from warouter.link.wire import Outgoing


class Offering(Protocol):
    """Takes messages to their owners."""

    def offer(self, message: Outgoing, done: Done) -> None:
        """As ``submit``, without a wait: ``done`` is called once. Raises Overloaded at once."""


class Submitting(Protocol):
    """Takes messages to their owners and waits."""

    async def submit(self, message: Outgoing) -> bytes:
        """Returns the id (20 bytes) that the message is known under once it is durable.

        That is another one than its own if its key came before with the same request. Raises
        NotReady, Overloaded or KeyTaken.
        """
        ...
