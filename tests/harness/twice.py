"""One application twice, with the fast path and by aiohttp alone: both are told the same.

Two connections are given the same reads, with a transport that notes what is written. The answers
may differ in Date, X-Request-Id and the new message's id, in nothing else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.harness.api import Api
from warouter.errors import ApiError, Overloaded
from warouter.http.connection import Connection
from warouter.http.door import FrontDoor
from warouter.http.server_connection import HEAD
from warouter.link.wire import Outgoing

GOOD = b'{"to":"4915112345678","type":"text","text":{"body":"hello"}}'
_VARIES = re.compile(rb"(?<=\r\nDate: )[^\r]+|(?<=X-Request-Id: )[^\r]+|(?<=\"id\":\")[\w-]{27}")
_LOGGED = re.compile(rb"(?<=has it with request )[0-9a-f-]+")


class Wire(asyncio.Transport):
    """A client's socket, as a connection sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += bytes(data)

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@dataclass
class Side:
    """One application, with or without the fast path, and what reached the owners of its slots."""

    connections: FrontDoor
    api: Api
    taken: list[Outgoing]
    waiting: list[tuple[Outgoing, Callable[[bytes | ApiError], None]]]
    refuse: ApiError | None = None
    known_as: bytes | None = None
    held: bool = False  # offers wait in ``waiting`` until somebody answers them

    def offer(self, message: Outgoing, done: Callable[[bytes | ApiError], None]) -> None:
        if isinstance(self.refuse, Overloaded):
            raise self.refuse
        self.taken.append(message)
        if self.held:
            self.waiting.append((message, done))
        else:
            asyncio.get_running_loop().call_soon(done, self._outcome(message))

    async def submit(self, message: Outgoing) -> bytes:
        result = asyncio.get_running_loop().create_future()
        self.offer(message, result.set_result)
        outcome: bytes | ApiError = await result
        if isinstance(outcome, ApiError):
            raise outcome
        return outcome

    def _outcome(self, message: Outgoing) -> bytes | ApiError:
        return self.refuse or self.known_as or message.id

    async def open(self) -> tuple[Connection, Wire]:
        connection, wire = self.connections.enter(""), Wire()
        connection.connection_made(wire)
        await settled(connection, wire)
        return connection, wire

    async def say(self, reads: Sequence[bytes]) -> Wire:
        """What is answered to these reads of one connection."""
        connection, wire = await self.open()
        for read in reads:
            if not wire.closed:
                connection.data_received(read)
                await settled(connection, wire)
        connection.connection_lost(None)
        return wire


async def settled(connection: Connection, wire: Wire) -> None:
    """Until a connection waits for its client: for some turns of the loop nothing changes."""
    calm = 0
    while calm < 5:
        await asyncio.sleep(0)
        calm = calm + 1 if connection.turn is HEAD or reading(connection) or wire.closed else 0


def reading(connection: Connection) -> bool:
    """The rest of a body is waited for, and nothing else."""
    request = connection._current_request
    if request is None:
        return connection.asking  # held by the fast path
    return connection.asking and getattr(request.content, "_waiter", None) is not None


@dataclass
class Both:
    """The same application twice."""

    fast: Side
    slow: Side

    @property
    def took(self) -> int:
        """How many requests the fast path has answered."""
        return self.fast.api.context.operations.meter.fast

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.fast, self.slow

    async def same(self, *reads: bytes) -> Wire:
        """Say it to both; the slow one's answer, which is the fast one's as well."""
        fast, slow = [await side.say(reads) for side in self.sides]
        assert plain(fast.written) == plain(slow.written), reads
        assert fast.closed == slow.closed, reads
        said = [[msgspec.structs.replace(m, id=b"") for m in side.taken] for side in self.sides]
        assert said[0] == said[1]
        return slow


def plain(answer: bytes) -> bytes:
    return _LOGGED.sub(b"-", _VARIES.sub(b"-", answer))


Make = Callable[..., Awaitable[Both]]


def post(api: Api, body: bytes = GOOD, *fields: bytes, token: str = "") -> bytes:
    lines = [
        b"POST /v1/messages HTTP/1.1",
        b"Host: localhost:9090",
        b"Authorization: Bearer " + (token or api.user).encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *fields,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
