"""The business's webhook, in the bench's own process: when callbacks came, and some that hang."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import msgspec

from bench.hook import Callback

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Webhook:
    """``read`` has the monotonic time of each message's last callback, by id.

    What has one of the parts ``slow`` in its body hangs until ``release``.
    """

    def __init__(self) -> None:
        self.read: dict[str, float] = {}
        self.slow: list[bytes] = []
        self._hanging: list[tuple[bytes, Receiver]] = []

    async def listen(self) -> asyncio.Server:
        """On a free port of this host."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Receiver(self), "127.0.0.1", 0)

    def on_post(self, body: bytes, receiver: Receiver) -> None:
        """Answer it, or let it hang."""
        if any(part in body for part in self.slow):
            self._hanging.append((body, receiver))
            return
        now = time.monotonic()
        for status in _CALLBACKS.decode(body).statuses:
            if status.status == "read":
                self.read.setdefault(status.id, now)
        receiver.answer()

    def release(self) -> None:
        """Answer all that hangs."""
        self.slow, hanging, self._hanging = [], self._hanging, []
        for body, receiver in hanging:
            self.on_post(body, receiver)


class Receiver(asyncio.Protocol):
    """One connection: a POST with a length at a time."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(rest) >= size:
            self._buffer = b""
            self._webhook.on_post(rest, self)

    def answer(self) -> None:
        """It is well."""
        if self._transport is not None:
            self._transport.write(_OK)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None


_CALLBACKS = msgspec.json.Decoder(Callback)
