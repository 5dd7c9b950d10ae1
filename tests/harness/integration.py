"""An existing integration, pointed at a real cluster: its requests, its token, its receiver.

Every answer is also held against the description.
"""

from __future__ import annotations

import asyncio
import shutil
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from tests.harness import prepared
from tests.harness.answer import Answer
from tests.harness.described import check_answer
from tests.harness.receiver import Receiver
from warouter.local.cluster import Cluster
from warouter.local.options import Options

API_KEY = "monitor-0123456789"
TEXT = {"to": "250788123123", "type": "text", "text": {"body": "Simple Message"}}
JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////"
    "////////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQAB"
    "PxA="
)
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


class Integration:
    """What an installation has: URL, user, password; ``token`` once logged in."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.receiver = Receiver()
        self.token = ""
        # As long as a client waits; no cookies, no connection limit.
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=30),
        )

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        data: Any = None,
    ) -> Answer:
        """``body`` as JSON or ``data`` as it is; headers that are given replace the Bearer."""
        sent = {"Accept": "application/json"}
        if body is not None:
            data = msgspec.json.encode(body)
            sent["Content-Type"] = "application/json"
        if headers is None:
            headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.request(
            method,
            self.cluster.url + path,
            data=data,
            headers=sent | headers,
            allow_redirects=False,
        ) as response:
            reply = Answer(response.status, response.headers.copy(), await response.read())
        check_answer(method, path, reply.status, reply.headers, reply.body)
        return reply

    async def send(self, body: object = None, **options: Any) -> Answer:
        return await self.call("POST", "/v1/messages", TEXT if body is None else body, **options)

    async def sent(self, body: object) -> str:
        """The id of a message that was taken with exactly 201, read as courier reads it."""
        reply = await self.send(body)
        assert reply.status == 201, reply.body
        assert "errors" not in reply.json
        message_id: str = reply.json["messages"][0]["id"]
        assert message_id
        return message_id

    async def token_of(self, username: str, password: str) -> str:
        pair = b64encode(f"{username}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
        reply = await self.call("POST", "/v1/users/login", headers=headers)
        token: str = reply.json["users"][0]["token"]
        return token

    async def inject(self, message: dict[str, Any]) -> str:
        """An inbound message through the simulator; its id."""
        url = f"{self.cluster.control_url}/inbound"
        async with self.http.post(url, json=message) as response:
            assert response.status == 201, await response.text()
            message_id: str = (await response.json())["id"]
            return message_id

    async def faults(self, **switches: Any) -> None:
        """Set the simulator's switches; none clears all."""
        url = f"{self.cluster.control_url}/faults"
        call = self.http.put(url, json=switches) if switches else self.http.delete(url)
        async with call as response:
            assert response.status == 200, await response.text()

    async def hook(self) -> None:
        """The webhook of the receiver, every status, short back-off."""
        settings = {
            "callback_backoff_delay_ms": "200",
            "max_callback_backoff_delay_ms": "2000",
            "webhooks": {
                "url": self.receiver.url,
                "message": {"sent": True, "delivered": True, "read": True},
            },
        }
        reply = await self.call("PATCH", "/v1/settings/application", settings)
        assert reply.status == 200, reply.body


@asynccontextmanager
async def installed(**options: Any) -> AsyncIterator[Integration]:
    """A cluster of real processes with a logged-in integration; gone afterwards."""
    folder = await asyncio.to_thread(prepared.reachable_folder)
    await asyncio.to_thread(prepared.copy_to, folder / "postgres")
    environment = {"WA_API_KEY": API_KEY, **options.pop("environment", {})}
    cluster = Cluster(
        Options(data_dir=folder, port=0, tls=False, environment=environment, **options)
    )
    integration = Integration(cluster)
    try:
        await cluster.start()
        await integration.receiver.start()
        integration.token = await integration.token_of(cluster.user, cluster.password)
        await integration.hook()
        yield integration
    finally:
        # First whoever calls the receiver. Where the loop stood still between two tests, calls wait
        # to be accepted, and what a server accepts while it closes is never closed.
        await cluster.stop()
        await integration.http.close()
        await integration.receiver.stop()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
