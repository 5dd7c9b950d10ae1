"""NATS JetStream: one publish with its own ack a call, the calls of a loop turn in one write."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from typing import Any

import msgspec

from bench.peers.clients import body
from bench.peers.clients.pipe import Pipe

STREAM = {"name": "queue", "subjects": ["message"], "storage": "file", "num_replicas": 1}
_HELLO = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n'
_SUBSCRIBE = b"SUB inbox.* 1\r\n"


class Nats(Pipe):
    """Answers come under the number that stands in the subject to answer to."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[bytes, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count()

    def waiting(self) -> Iterable[asyncio.Future[bytes]]:
        return self._calls.values()

    async def put(self, number: int) -> None:
        answer = await self._call(b"message", body(number))
        if b'"seq":' not in answer:
            raise RuntimeError(f"JetStream did not acknowledge: {answer.decode()}")

    async def count(self) -> int:
        return int((await self.ask("INFO"))["state"]["messages"])

    async def close(self) -> None:
        self.shut()

    async def ask(self, what: str, value: object = None) -> dict[str, Any]:
        """One request about the stream; RuntimeError with what JetStream has against it."""
        content = b"" if value is None else msgspec.json.encode(value)
        answer = await self._call(f"$JS.API.STREAM.{what}.queue".encode(), content)
        found = msgspec.json.decode(answer, type=dict[str, Any])
        if "error" in found:
            raise RuntimeError(f"JetStream {what}: {found['error']}")
        return found

    async def _call(self, subject: bytes, content: bytes) -> bytes:
        number = b"%d" % next(self._numbers)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._calls[number] = answer
        self.send(b"PUB %b inbox.%b %d\r\n%b\r\n" % (subject, number, len(content), content))
        return await answer

    def take(self, data: bytes) -> int:
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            words, after = data[at:end].split(b" "), end + 2
            if words[0] in (b"MSG", b"HMSG"):
                after = end + 2 + int(words[-1]) + 2
                if after > len(data):
                    break
                self._answered(words, data[end + 2 : after - 2])
            elif words[0] == b"PING":
                self.send(b"PONG\r\n")
            elif words[0] == b"-ERR":
                raise RuntimeError(data[at:end].decode())
            at = after
        return at

    def _answered(self, words: list[bytes], content: bytes) -> None:
        """``HMSG`` alone has headers: with no responders there is nothing but a status in them."""
        call = self._calls.pop(words[1].rpartition(b".")[2])
        if words[0] == b"HMSG":
            call.set_exception(RuntimeError(content.decode().strip()))
        else:
            call.set_result(content)


async def connect(where: str) -> Nats:
    """``where`` is the port; the stream is made."""
    loop = asyncio.get_running_loop()
    client = (await loop.create_connection(Nats, "127.0.0.1", int(where)))[1]
    client.send(_HELLO + _SUBSCRIBE)
    await client.ask("CREATE", STREAM)
    return client
