"""One module for each peer, with ``connect(where) -> Client``. They run in ``.venv-peers``."""

from __future__ import annotations

from typing import Protocol

_BODY = (
    b'{"to":"49151%08d","type":"text","text":{"body":"Your order %08d is on its way. '
    b"It was packed today and leaves our house tonight. "
    b'It was packed today and leaves our house tonight. "}}'
)


class Client(Protocol):
    """One queue, shared by all callers of the process."""

    async def put(self, number: int) -> None:
        """Return when the message is on disk; any exception ends the bench."""

    async def count(self) -> int:
        """Messages in the queue."""

    async def close(self) -> None:
        """The queue is removed, unless it goes with its server."""


def body(number: int) -> bytes:
    """A message as ``bench.order`` makes it, of the same size."""
    return _BODY % (number % 10_000, number % 100_000_000)
