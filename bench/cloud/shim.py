"""The usual way to keep a v1 integration alive: a small proxy before the Graph API.

v1 in, Graph out, 201 once the Graph API has said 200; what fails is tried again, since most of what
fails is passing. It stores nothing. That is all of it: no order, no rate, no callbacks.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from typing import Any

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from warouter._hash import mint, slot_of, text_of

TRIES, PAUSE_SECONDS, TIMEOUT_SECONDS = 5, 0.5, 20.0


class Wanted(msgspec.Struct):
    """Where it listens, and what it sends to."""

    port: int
    graph_url: str
    certificate: str
    token: str
    phone_number_id: str


class Shim:
    """The handler of ``POST /v1/messages``."""

    def __init__(self, wanted: Wanted, http: aiohttp.ClientSession) -> None:
        self._url = f"{wanted.graph_url}/v25.0/{wanted.phone_number_id}/messages"
        self._headers = {"Authorization": f"Bearer {wanted.token}"}
        self._http = http

    async def message(self, request: web.Request) -> web.Response:
        """One message: 201 with its id, or 502 once it was tried often enough."""
        body = msgspec.json.decode(await request.read(), type=dict[str, Any])
        to = body["to"]
        message_id = text_of(mint(slot_of(to), time.time_ns() // 1_000_000, os.urandom(12)))
        said = body | {"messaging_product": "whatsapp", "to": f"+{to}"}
        said["biz_opaque_callback_data"] = f"w1.{message_id}.1"  # so that its judge can count
        for _ in range(TRIES):
            if await self._sent(said):
                answer = msgspec.json.encode({"messages": [{"id": message_id}]})
                return web.Response(status=201, body=answer, content_type="application/json")
            await asyncio.sleep(PAUSE_SECONDS)
        return web.Response(status=502)

    async def _sent(self, said: dict[str, Any]) -> bool:
        try:
            async with self._http.post(self._url, json=said, headers=self._headers) as answer:
                await answer.read()
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


async def main(wanted: Wanted) -> None:
    """Serve until standard input is closed; the port is the first line of output."""
    connector = aiohttp.TCPConnector(
        limit=0, ssl=ssl.create_default_context(cafile=wanted.certificate)
    )
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        app = web.Application()
        app.router.add_post("/v1/messages", Shim(wanted, http).message)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", wanted.port).start()
        print(wanted.port, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Wanted)))
