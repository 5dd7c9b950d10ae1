"""The name server of the cluster's hosts: it knows no name, and can keep that to itself."""

from __future__ import annotations

import asyncio

_NO_SUCH_NAME = b"\x81\x83"
_LABEL = 12  # where the first one begins in a question


class NameServer(asyncio.DatagramProtocol):
    """While ``silent`` it keeps the questions, each with who asked."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self.silent = False
        self._waiting: list[tuple[bytes, tuple[str, int]]] = []

    @classmethod
    async def start(cls, host: str) -> NameServer:
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(cls, (host, 53))
        server.transport = transport
        return server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._waiting.append((data, addr))
        if not self.silent:
            self.answer()

    def answer(self) -> None:
        """All that was asked: no such name."""
        for question, asker in self._waiting:
            self.transport.sendto(question[:2] + _NO_SUCH_NAME + question[4:], asker)
        self._waiting.clear()

    def names_of(self, host: str) -> set[bytes]:
        """The first labels of what this host waits for."""
        waiting = (question for question, (asker, _) in self._waiting if asker == host)
        return {q[_LABEL + 1 : _LABEL + 1 + q[_LABEL]] for q in waiting}
