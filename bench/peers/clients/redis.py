"""Redis: ``XADD`` of one entry a call on one connection, a loop turn's calls in one write."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from bench.peers.clients import body
from bench.peers.clients.pipe import Pipe

_ADD = b"*5\r\n$4\r\nXADD\r\n$5\r\nqueue\r\n$1\r\n*\r\n$4\r\nbody\r\n$%d\r\n%b\r\n"
_LENGTH = b"*2\r\n$4\r\nXLEN\r\n$5\r\nqueue\r\n"


class Redis(Pipe):
    """Answers come in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: deque[asyncio.Future[bytes]] = deque()

    def waiting(self) -> Iterable[asyncio.Future[bytes]]:
        return self._calls

    async def put(self, number: int) -> None:
        text = body(number)
        await self._call(_ADD % (len(text), text))

    async def count(self) -> int:
        return int(await self._call(_LENGTH))

    async def close(self) -> None:
        self.shut()

    async def _call(self, command: bytes) -> bytes:
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._calls.append(answer)
        self.send(command)
        return await answer

    def take(self, data: bytes) -> int:
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            kind, value, after = data[at : at + 1], data[at + 1 : end], end + 2
            if kind == b"$":
                after = end + 2 + int(value) + 2
                if after > len(data):
                    break
                value = data[end + 2 : after - 2]
            call = self._calls.popleft()
            if kind == b"-":
                call.set_exception(RuntimeError(value.decode()))
            else:
                call.set_result(value)
            at = after
        return at


async def connect(where: str) -> Redis:
    """``where`` is the port."""
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(Redis, "127.0.0.1", int(where)))[1]
