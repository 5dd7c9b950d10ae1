"""The business's webhook, and the ledger of which callbacks came for which message.

A message is whole when it was accepted and each of its three statuses came; it is then forgotten,
so that a run of minutes stays small. What comes for it once more makes an entry that was not
accepted: a repeat, counted at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

LEVELS = {"sent": 1, "delivered": 2, "read": 4}
ACCEPTED = 8
WHOLE = 15
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class CallbackStatus(msgspec.Struct, gc=False):
    """An element of ``statuses[]``."""

    id: str
    status: str


class Callback(msgspec.Struct, gc=False):
    """The body of a POST."""

    statuses: list[CallbackStatus] = []


class Ledger:
    """What came for whom; with ``refusing`` the webhook says 503 and notes nothing."""

    def __init__(self) -> None:
        self.refusing = False
        self.accepted = 0
        self.whole = 0
        self.callbacks = 0
        self.posts = 0
        self.repeats = 0
        self._seen: dict[str, int] = {}

    def keep(self, message_id: bytes, _now: float) -> None:
        """It was accepted, and callbacks are to come."""
        self.accepted += 1
        self._note(message_id.decode(), ACCEPTED)

    def on_post(self, body: bytes) -> None:
        """One POST of the product's."""
        self.posts += 1
        statuses = _CALLBACKS.decode(body).statuses
        self.callbacks += len(statuses)
        for status in statuses:
            self._note(status.id, LEVELS.get(status.status, 0))

    def _note(self, message_id: str, what: int) -> None:
        before = self._seen.get(message_id, 0)
        now = before | what
        self.repeats += now == before
        if now == WHOLE:
            self.whole += 1
            del self._seen[message_id]
        else:
            self._seen[message_id] = now

    def counts(self) -> dict[str, object]:
        """``whole_and_accepted`` messages, and callbacks that came more than once."""
        again = sum(not seen & ACCEPTED for seen in self._seen.values())
        return {
            "accepted": self.accepted,
            "whole_and_accepted": self.whole,
            "callbacks": self.callbacks,
            "repeated_callbacks": self.repeats + again,
            "posts": self.posts,
        }


class Hook(asyncio.Protocol):
    """One connection of a raw HTTP server that takes POSTs with a length; ``told`` after each."""

    def __init__(self, ledger: Ledger, told: Callable[[], None]) -> None:
        self._ledger = ledger
        self._told = told
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            size = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + size:
                return
            body = self._buffer[end + 4 : end + 4 + size]
            self._buffer = self._buffer[end + 4 + size :]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        assert self._transport is not None
        if self._ledger.refusing:
            self._transport.write(_REFUSED)
            return
        self._ledger.on_post(body)
        self._transport.write(_OK)
        self._told()


_CALLBACKS = msgspec.json.Decoder(Callback)
