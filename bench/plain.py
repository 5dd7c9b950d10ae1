"""The smallest honest server for a message's whole life: one process, aiohttp on uvloop.

The way to the 201 is that of ``bench.naive``. Then the message goes to the simulator; each status
of it is one INSERT, an acknowledgement, and one POST to the webhook, without batches. Nothing is
kept of what was sent or called back, nothing is tried again, and there is one process: no order
after a failure, no failover. What has more than this costs more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from collections.abc import Coroutine
from typing import cast

import aiohttp
import asyncpg
import uvloop

from bench import naive
from warouter._hash import SLOTS, slot_of
from warouter.upstream.protocol import (
    Answer,
    Claim,
    Event,
    EventAck,
    Hello,
    Send,
    ToUpstream,
    decode_from_upstream,
    encode,
)

SIZE = 4  # of a frame's length, little endian
EPOCH = 1
TABLE = """
create table if not exists status (
    key text primary key, body bytea not null, recorded_at timestamptz not null default now())"""
INSERT = "insert into status (key, body) values ($1, $2) on conflict do nothing"
BODY = b'{"statuses":[%b]}'
JSON = {"Content-Type": "application/json"}
log = logging.getLogger(__name__)


class Upstream(asyncio.Protocol):
    """The connection to the simulator, which holds all slots."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._rest = b""
        self._numbers = itertools.count(1)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._tell(Hello("plain", "plain"))
        for slot in range(SLOTS):
            self._tell(Claim(slot, EPOCH))

    def send(self, message_id: str, to: str, body: bytes) -> None:
        """One message, which is stored."""
        number = next(self._numbers)
        kind, whole = "message", memoryview(body)
        self._tell(Send(slot_of(to), EPOCH, number, message_id, to, kind, whole))

    def acknowledge(self, event: Event) -> None:
        """Its status is stored."""
        self._tell(EventAck(event.slot, EPOCH, event.number))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        start = 0
        while len(data) - start >= SIZE:
            end = start + SIZE + int.from_bytes(data[start : start + SIZE], "little")
            if end > len(data):
                break
            heard = decode_from_upstream(data[start + SIZE : end])
            if isinstance(heard, Event):
                self._life.on_event(heard)
            elif isinstance(heard, Answer) and heard.code:
                log.error("refused: %s", heard)
            start = end
        self._rest = data[start:]

    def _tell(self, message: ToUpstream) -> None:
        frame = encode(message)
        self._transport.write(len(frame).to_bytes(SIZE, "little") + frame)


class Life:
    """What happens to a message after its 201."""

    def __init__(self, pool: asyncpg.Pool, http: aiohttp.ClientSession, hook: str) -> None:
        self._pool = pool
        self._http = http
        self._hook = hook
        self._tasks: set[asyncio.Task[None]] = set()
        self.upstream = Upstream(self)

    def on_event(self, event: Event) -> None:
        """A status came."""
        self._start(self._status(event))

    async def _status(self, event: Event) -> None:
        await self._pool.execute(INSERT, event.key, event.payload)
        self.upstream.acknowledge(event)
        body = BODY % event.payload
        async with self._http.post(self._hook, data=body, headers=JSON) as answer:
            if answer.status >= 300:
                log.error("the webhook said %s", answer.status)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def main(dsn: str, token: str, upstream_port: str, hook: str) -> None:
    """Serve until standard input is closed; the port is the first line of output."""
    pool = await asyncpg.create_pool(dsn, min_size=naive.POOL, max_size=naive.POOL)
    await pool.execute(naive.TABLE)
    await pool.execute(TABLE)
    async with aiohttp.ClientSession() as http:
        life = Life(pool, http, hook)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: life.upstream, "127.0.0.1", int(upstream_port))
        await naive.serve(naive.application(pool, token, life.upstream.send))
    await pool.close()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:5]))
