"""The interfaces between a connection and the fast path.

The front door knows requests, not what they mean: whoever answers plain ones is given to it as a
``Reader``, and sees of a connection what ``Asking`` says.
"""

from __future__ import annotations

from typing import Protocol

from warouter.http.framing import Head


class Asking(Protocol):
    """A connection as the fast path sees it, with at most one request under way.

    ``head_size`` is the fast path's own note: bytes of the last head.
    """

    head_size: int

    @property
    def gone(self) -> bool:
        """True if the client has left."""
        ...

    @property
    def leaving(self) -> bool:
        """True if the next answer must be the last one, and say so."""
        ...

    def asked(self) -> None:
        """The fast path took a request and will answer it."""
        ...

    def answer(self, answer: bytes, now: float, *, last: bool) -> None:
        """Write the answer, and close the connection if it was the
        ``last``; ``now`` is the loop's time.

        Nothing that came behind the request is read in this call: it is one of many in a turn.
        """
        ...

    def broke(self, error: Exception) -> None:
        """A defect: log the error and end this connection only."""
        ...


class Reader(Protocol):
    """The fast path as a connection sees it; implemented by ``api.messages.fastpath``."""

    def take_known(self, data: bytes, asking: Asking) -> bool:
        """``take`` for a complete request whose head has come before."""
        ...

    def plain(self, head: Head) -> bool:
        """True if the fast path may take this request, so that its body is worth waiting for."""
        ...

    def knows(self, head: Head) -> bool:
        """True if the token is in memory and its user may send messages."""
        ...

    def take(self, head: Head, request: bytes, asking: Asking) -> bool:
        """Take a complete request and answer it through ``asking``; False if it is declined."""
        ...
