"""A connection and a fast path, each as the other sees it.

The front door knows requests, not what they mean: whoever answers plain ones is given to it as a
``Reader``, and sees of a connection what ``Asking`` says.
"""

from __future__ import annotations

from typing import Protocol

from warouter.http.framing import Head


class Asking(Protocol):
    """A connection, as the fast path needs it: it has one request under way at the most.

    ``head_size`` is the fast path's own note: bytes of the last head.
    """

    head_size: int

    @property
    def gone(self) -> bool:
        """The client has left."""
        ...

    @property
    def leaving(self) -> bool:
        """The next answer is the last one, and says so."""
        ...

    def asked(self) -> None:
        """A request is taken and will be answered."""
        ...

    def answer(self, answer: bytes, now: float, *, last: bool) -> None:
        """Write it, and end if it was the ``last``; ``now`` is the loop's time.

        Nothing that came behind the request is read in this call: it is one of many in a turn.
        """
        ...

    def broke(self, error: Exception) -> None:
        """Something failed that never should: log it, and end this connection alone."""
        ...


class Reader(Protocol):
    """Answers plain requests past aiohttp, if it takes them: ``api.messages.fastpath``."""

    def take_known(self, data: bytes, asking: Asking) -> bool:
        """``take`` for one whole request under a head that has come before."""
        ...

    def plain(self, head: Head) -> bool:
        """Whether this may be a request that is taken: then its body is waited for."""
        ...

    def knows(self, head: Head) -> bool:
        """Whether it is in memory who asks, and they may."""
        ...

    def take(self, head: Head, request: bytes, asking: Asking) -> bool:
        """Take a whole request, which is answered through ``asking``; False: not taken."""
        ...
