"""One connection whose callers' requests of a loop turn leave in one write.

What a raw client costs is its language's cost, not its server's: it is to the peer's advantage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast


class Pipe(asyncio.Protocol):
    """Subclasses know which calls wait, and take their answers out of the received bytes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def waiting(self) -> Iterable[asyncio.Future[bytes]]:
        """The calls without an answer."""
        raise NotImplementedError

    def take(self, data: bytes) -> int:
        """Look at all whole answers in ``data``; how many bytes they are."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        """Before the loop's next turn, with everything else that is sent in this one."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def shut(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        self._rest = data[self.take(data) :]

    def connection_lost(self, exc: Exception | None) -> None:
        for call in self.waiting():
            if not call.done():
                call.set_exception(ConnectionError(f"the server closed the connection: {exc}"))

    def _flush(self) -> None:
        assert self._transport is not None
        self._transport.write(b"".join(self._out))
        self._out.clear()
