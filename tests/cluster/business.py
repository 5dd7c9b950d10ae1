"""The business's side in a test: sends over the real API, listens to callbacks, keeps a history."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp import web

from warouter._hash import slot_of
from warouter.local.cluster import Cluster

RECIPIENTS = 40


class Business:
    """Sends one message after the other to each recipient until stopped; notes every answer."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.acked: dict[str, list[str]] = defaultdict(
            list
        )  # recipient -> ids in order of the 201s
        self.unknown: list[str] = []  # requests without an answer (a killed webapp)
        self.errors: list[tuple[int, str]] = []
        self.statuses: dict[str, list[str]] = defaultdict(list)  # id -> statuses as called back
        self.failures: dict[str, list[dict[str, Any]]] = {}  # id -> errors of its `failed`
        self.inbound: Counter[str] = Counter()
        self.messages: list[dict[str, Any]] = []  # inbound ones as called back, in order
        self.heard = asyncio.Condition()
        self.answers = 0
        self.refuse_every = 0  # the webhook answers 500 to each n-th POST
        self.posts = 0
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Business:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/", self._hook)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=30)
        )
        pair = f"{self.cluster.user}:{self.cluster.password}".encode()
        basic = {"Authorization": "Basic " + b64encode(pair).decode()}
        login = await self.call("POST", "/v1/users/login", headers=basic)
        self.headers = {"Authorization": f"Bearer {login['users'][0]['token']}"}
        await self.call(
            "PATCH",
            "/v1/settings/application",
            json={
                "callback_backoff_delay_ms": 200,
                "webhooks": {"url": f"http://127.0.0.1:{port}/", "message": {"sent": True}},
            },
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.http.close()
        await self._runner.cleanup()

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """One call that must succeed."""
        more.setdefault("headers", getattr(self, "headers", {}))
        async with self.http.request(method, self.cluster.url + path, **more) as answer:
            body: dict[str, Any] = await answer.json()
            assert answer.status < 300, body
            return body

    async def set_shards(self, shards: int) -> dict[str, Any]:
        c = self.cluster.description()
        wish = {"cc": c["cc"], "phone_number": c["phone_number"], "shards": shards}
        return await self.call("POST", "/v1/account/shards", json=wish)

    @property
    def busy_slots(self) -> set[int]:
        """The slots that are always written to between ``start`` and ``stop``."""
        return {slot_of(_chained(n)) for n in range(len(self._tasks))}

    def start(self, recipients: int = RECIPIENTS) -> None:
        self._tasks = [asyncio.create_task(self._chain(n)) for n in range(recipients)]

    async def stop(self) -> None:
        """No more messages; returns when every request has its answer."""
        self.end()
        await asyncio.gather(*self._tasks)

    def end(self) -> None:
        """No more messages."""
        self._stop.set()

    async def more(self, count: int) -> None:
        """Wait for so many more 201s."""
        goal = self.answers + count
        async with self.heard:
            await self.heard.wait_for(lambda: self.answers >= goal)

    async def all_called_back(
        self, status: str = "read", among: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Wait until every acknowledged message has been called back with this status."""
        ids = {i for some in (self.acked if among is None else among).values() for i in some}
        async with self.heard:
            await self.heard.wait_for(lambda: all(status in self.statuses[i] for i in ids))

    async def inject(self, count: int, senders: Sequence[str] = (), filler: str = "") -> list[str]:
        """Inbound messages through the simulator, of these or of as many senders; their ids."""
        items = [
            {
                "from": senders[n % len(senders)] if senders else f"49170{n:07d}",
                "type": "text",
                "body": f"in {n}{filler}",
            }
            for n in range(count)
        ]
        url = f"{self.cluster.control_url}/inbound"
        async with self.http.post(url, json=items) as answer:
            ids: list[str] = (await answer.json())["ids"]
            return ids

    async def faults(self, **switches: object) -> None:
        url = f"{self.cluster.control_url}/faults"
        async with self.http.put(url, json=switches) as answer:
            assert answer.status == 200, await answer.text()

    async def record(self) -> dict[str, Any]:
        async with self.http.get(f"{self.cluster.control_url}/record?ids=1&times=1") as answer:
            record: dict[str, Any] = await answer.json()
            return record

    async def through_each_webapp(self) -> None:
        """A message to each of so many recipients of their own through each webapp's own port."""
        for url in self.cluster.webapp_urls:
            sends = (self._send(f"49152{n:07d}", f"by {url}", url) for n in range(RECIPIENTS))
            await asyncio.gather(*sends)

    async def _chain(self, number: int) -> None:
        recipient = _chained(number)
        while not self._stop.is_set():
            await self._send(recipient, f"message for {recipient}")

    async def _send(self, recipient: str, text: str, webapp: str = "") -> None:
        message = {"to": recipient, "type": "text", "text": {"body": text}}
        url = f"{webapp or self.cluster.url}/v1/messages"
        try:
            async with self.http.post(url, json=message, headers=self.headers) as answer:
                body = await answer.json()
                if answer.status != 201:
                    self.errors.append((answer.status, str(body)))
                    return
                self.acked[recipient].append(body["messages"][0]["id"])
        except aiohttp.ClientError as error:
            self.unknown.append(repr(error))
            await asyncio.sleep(0)
            return
        async with self.heard:
            self.answers += 1
            self.heard.notify_all()

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.posts += 1
        if self.refuse_every and self.posts % self.refuse_every == 0:
            return web.Response(status=500)
        async with self.heard:
            for status in body.get("statuses", ()):
                self.statuses[status["id"]].append(status["status"])
                if status["status"] == "failed":
                    self.failures[status["id"]] = status["errors"]
            for message in body.get("messages", ()):
                self.inbound[message["id"]] += 1
                self.messages.append(message)
            self.heard.notify_all()
        return web.Response()


def _chained(number: int) -> str:
    return f"49151{number:07d}"
