"""The interfaces between a connection and the fast path.

The front door knows requests, not what they mean: whoever answers plain ones is given to it as a
``Reader``, which makes a ``Client`` of each connection and sees of it what ``Asking`` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from warouter.http.framing import Head


class Asking(Protocol):
    """A connection as the fast path sees it, with at most one request under way."""

    def asked(self, now: float) -> None:
        """The fast path took a request and will answer it; ``now`` is the loop's time."""

    def answer(self, answer: bytes, now: float, last: bool) -> bool:
        """Write the answer, and close the connection if it was the
        ``last``; False if the client has left.

        Nothing that came behind the request is read in this call: it is one of many in a turn.
        """

    def broke(self, error: Exception) -> None:
        """A defect: log the error and end this connection only."""


class Client(Protocol):
    """The fast path's side of one connection.

    While the connection ``waits`` for its next request, of which nothing has come, each read is
    looked at here first.
    """

    waits: bool

    def data_received(self, data: bytes) -> None:
        """Take a whole request whose head has come before, or pass the bytes on."""

    def take(self, head: Head, request: bytes) -> bool:
        """Take a complete plain request and answer it; False if it is declined."""


class Reader(Protocol):
    """The fast path as a connection sees it; implemented by ``api.messages.fastpath``.

    Once it is ``leaving`` each answer is the last one of its connection, and says so.
    """

    leaving: bool

    def client(self, asking: Asking, otherwise: Callable[[bytes], None]) -> Client:
        """A new connection's; ``otherwise`` gets what is not taken."""

    def plain(self, head: Head) -> bool:
        """True if the fast path may take this request, so that its body is worth waiting for."""

    def knows(self, head: Head) -> bool:
        """True if the token is in memory and its user may send messages."""
