"""The business: paced chains of messages over the real API, and the webhook that hears of them.

Each recipient has one chain: a message after the other, so that the order of its acks is the order
of its messages. A refused connect is tried once more, at another webapp, as clients do; a request
whose connection dies counts as unknown and is accounted for by the token in its text.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Sequence
from random import Random
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from tests.campaigns.chaos.history import History

RECIPIENTS = 400
STOP_SECONDS = 20.0


class Status(msgspec.Struct):
    id: str
    status: str


class Inbound(msgspec.Struct):
    id: str


class Callback(msgspec.Struct):
    statuses: list[Status] = []
    messages: list[Inbound] = []


_CALLBACK = msgspec.json.Decoder(Callback)


class Load:
    """``rate`` messages a second in all, spread over the recipients; webapps in turn."""

    def __init__(self, webapps: Sequence[str], rate: float, seed: int) -> None:
        self.webapps = list(webapps)
        self.history = History()
        self.rate = rate
        self.refuse = 0.0  # ratio of callbacks that the webhook answers 500
        self.reset = 0.0  # ratio of callbacks whose connection dies after they were processed
        self._random = Random(seed)
        self._tokens = 0
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, user: str, password: str, webhook_host: str) -> None:
        """Log in, set the webhook, begin sending."""
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/", self._hook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, webhook_host, 0).start()
        port = self._runner.addresses[0][1]
        self.http = aiohttp.ClientSession(
            # An idle connection that its webapp closes just now would swallow a request.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=1.0),
            timeout=aiohttp.ClientTimeout(total=30),
        )
        basic = b64encode(f"{user}:{password}".encode()).decode()
        login = await self.call(
            "POST", "/v1/users/login", headers={"Authorization": f"Basic {basic}"}
        )
        self.headers = {"Authorization": f"Bearer {login['users'][0]['token']}"}
        hook = {"url": f"http://{webhook_host}:{port}/", "message": {"sent": True}}
        settings = {"callback_backoff_delay_ms": 200, "webhooks": hook}
        await self.call("PATCH", "/v1/settings/application", json=settings)
        self._tasks = [asyncio.create_task(self._chain(n)) for n in range(RECIPIENTS)]

    async def stop(self) -> None:
        """No more messages; returns when every request has ended."""
        self._stop.set()
        async with asyncio.timeout(STOP_SECONDS):
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.http.close()
        await self._runner.cleanup()

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """One call that must succeed; RuntimeError with the answer if it does not."""
        more.setdefault("headers", getattr(self, "headers", {}))
        status, body = await self._request(method, path, **more)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {body!r}")
        answer: dict[str, Any] = msgspec.json.decode(body)
        return answer

    async def try_call(self, method: str, path: str, **more: Any) -> tuple[int, bytes]:
        """One call whatever its answer."""
        return await self._request(method, path, headers=self.headers, **more)

    async def _request(self, method: str, path: str, **more: Any) -> tuple[int, bytes]:
        first = self._random.randrange(len(self.webapps))
        base = self.webapps[first]
        for last in (False, True):
            try:
                async with self.http.request(method, base + path, **more) as answer:
                    return answer.status, await answer.read()
            except aiohttp.ClientConnectorError:
                if last:
                    raise
                self.history.retried += 1
                base = self.webapps[(first + 1) % len(self.webapps)]
        raise AssertionError("unreachable")

    async def _chain(self, number: int) -> None:
        recipient = f"49151{number:07d}"
        every = RECIPIENTS / self.rate
        await asyncio.sleep(self._random.random() * every)
        while not self._stop.is_set():
            due = time.monotonic() + every * (0.5 + self._random.random())
            await self._send(recipient)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _send(self, recipient: str) -> None:
        self._tokens += 1
        token = f"t{self._tokens}."
        body = b'{"to":"%b","type":"text","text":{"body":"%b"}}' % (
            recipient.encode(),
            token.encode(),
        )
        history, began = self.history, time.monotonic()
        history.open[token] = began
        headers = self.headers | {"Content-Type": "application/json"}
        try:
            status, answer = await self._request("POST", "/v1/messages", data=body, headers=headers)
        except (aiohttp.ClientError, TimeoutError) as error:
            history.unknown.append((time.monotonic(), token, repr(error)))
            return
        finally:
            del history.open[token]
        now = time.monotonic()
        if status == 201:
            message_id = msgspec.json.decode(answer)["messages"][0]["id"]
            history.on_answer(recipient, message_id, began, now)
        else:
            history.errors.append((now, status, answer.decode(errors="replace")[:300]))

    async def _hook(self, request: web.Request) -> web.Response:
        callback = _CALLBACK.decode(await request.read())
        if self.refuse and self._random.random() < self.refuse:
            return web.Response(status=500)
        for status in callback.statuses:
            self.history.on_status(status.id, status.status)
        for message in callback.messages:
            self.history.inbound[message.id] += 1
        if self.reset and self._random.random() < self.reset and request.transport is not None:
            request.transport.abort()
        return web.Response()
