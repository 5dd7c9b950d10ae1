"""The usual way to keep a v1 integration alive: a small proxy before the Graph API.

v1 in, Graph out, 201 once the Graph API has said 200; what fails is tried again, since most of what
fails is passing. The statuses of a webhook go on to the business in one POST, and Meta gets the
answer to that. It stores nothing. That is all of it: one process, no order, no rate.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import ssl
import sys
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from warouter._hash import mint, slot_of, text_of
from warouter.lab.simulator.cloud.webhooks.envelope import signature

TRIES, PAUSE_SECONDS, TIMEOUT_SECONDS = 5, 0.5, 20.0
WEBHOOK = "/webhook"


class Wanted(msgspec.Struct):
    """Where it listens, what it sends to, and the business's webhook."""

    port: int
    graph_url: str
    certificate: str
    token: str
    phone_number_id: str
    app_secret: str
    verify_token: str
    business_url: str


class Shim:
    """The handlers of ``POST /v1/messages`` and of the webhook."""

    def __init__(self, wanted: Wanted, http: aiohttp.ClientSession) -> None:
        self._wanted = wanted
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

    async def handshake(self, request: web.Request) -> web.Response:
        """Meta's question whether this is the webhook: its challenge, or 403."""
        if request.query.get("hub.verify_token") != self._wanted.verify_token:
            return web.Response(status=403)
        return web.Response(text=request.query["hub.challenge"])

    async def webhook(self, request: web.Request) -> web.Response:
        """Statuses as v1 has them, to the business; 502 if it does not answer: Meta comes again."""
        body = await request.read()
        said = request.headers.get("X-Hub-Signature-256", "")
        if not hmac.compare_digest(said, signature(body, self._wanted.app_secret)):
            return web.Response(status=403)
        told = {"statuses": [_v1(status) for status in _statuses(msgspec.json.decode(body))]}
        try:
            async with self._http.post(self._wanted.business_url, json=told) as answer:
                return web.Response(status=answer.status)
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=502)

    async def _sent(self, said: dict[str, Any]) -> bool:
        try:
            async with self._http.post(self._url, json=said, headers=self._headers) as answer:
                await answer.read()
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


def _statuses(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in body["entry"]:
        for change in entry["changes"]:
            yield from change["value"].get("statuses", ())


def _v1(status: dict[str, Any]) -> dict[str, Any]:
    """With the id that the business knows, which the message took to Meta and back."""
    return status | {"id": status.pop("biz_opaque_callback_data").split(".")[1]}


async def main(wanted: Wanted) -> None:
    """Serve until standard input is closed; the port is the first line of output."""
    connector = aiohttp.TCPConnector(
        limit=0, ssl=ssl.create_default_context(cafile=wanted.certificate)
    )
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        app, shim = web.Application(), Shim(wanted, http)
        app.router.add_post("/v1/messages", shim.message)
        app.router.add_get(WEBHOOK, shim.handshake)
        app.router.add_post(WEBHOOK, shim.webhook)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", wanted.port).start()
        print(wanted.port, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Wanted)))
