"""The minimal server to compare with: aiohttp on uvloop, one INSERT per request, a pool of 16.

The same checks of the token, of to, type and text by msgspec, and the same promise: 201 only after
the commit. No shards, no order, no failover, nothing is sent on: ``bench.plain`` does that.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Literal

import asyncpg
import msgspec
import uvloop
from aiohttp import web

POOL = 16
TABLE = """
create table if not exists message (
    id bytea primary key, recipient text not null, body bytea not null,
    accepted_at timestamptz not null default now())"""
INSERT = "insert into message (id, recipient, body) values ($1, $2, $3)"


class Text(msgspec.Struct):
    body: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Message(msgspec.Struct):
    to: Annotated[str, msgspec.Meta(pattern=r"^\d{5,15}$")]
    text: Text
    type: Literal["text"] = "text"


DECODER = msgspec.json.Decoder(Message)


def application(
    pool: asyncpg.Pool, token: str, stored: Callable[[str, str, bytes], None] | None = None
) -> web.Application:
    """POST /v1/messages and nothing else; ``stored`` gets id, recipient and body of each."""
    known = {sha256(token.encode()).digest()}

    async def send(request: web.Request) -> web.Response:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or sha256(given.encode()).digest() not in known:
            return _answer({"errors": [{"code": 1005}]}, 401)
        body = await request.read()
        try:
            message = DECODER.decode(body)
        except msgspec.DecodeError as error:
            return _answer({"errors": [{"code": 1009, "details": str(error)}]}, 400)
        number = os.urandom(20)
        await pool.execute(INSERT, number, message.to, body)
        if stored is not None:
            stored(number.hex(), message.to, body)
        return _answer({"messages": [{"id": number.hex()}]}, 201)

    app = web.Application()
    app.router.add_post("/v1/messages", send)
    return app


def _answer(value: object, status: int) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


async def main(dsn: str, token: str) -> None:
    """Serve until standard input is closed; the port is the first line of output."""
    pool = await asyncpg.create_pool(dsn, min_size=POOL, max_size=POOL)
    await pool.execute(TABLE)
    await serve(application(pool, token))
    await pool.close()


async def serve(app: web.Application) -> None:
    """Until standard input is closed."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:3]))
