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
from tests.harness.rights import refusals
from warouter.local.cluster import Cluster
from warouter.local.description import write_description
from warouter.local.options import EMULATOR, UpOptions

API_KEY = "monitor-0123456789"
SIMULATOR, CLOUD = UPSTREAMS = "simulator", "cloud"
# What the Cloud door would refuse by default, as Meta does: a rate, and that of a recipient.
UNLIMITED = {"level": 0, "pair_s": 0}
FIRST, SECOND = "secret", "N3w!passw"  # the product's default password, and what it is changed to
TEXT = {"to": "250788123123", "type": "text", "text": {"body": "Simple Message"}}
JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////"
    "////////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQAB"
    "PxA="
)
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


class Integration:
    """What an installation has: URL, user, password; ``token`` once logged in.

    ``upstream`` is one of ``UPSTREAMS``. ``first`` are the answers of a fresh install to log-ins
    with the default password: without a new one, with it, and with the new one alone.
    """

    def __init__(self, cluster: Cluster, upstream: str = SIMULATOR) -> None:
        self.cluster = cluster
        self.upstream = upstream
        self.first: list[Answer] = []
        self.receiver = Receiver()
        self.token = ""
        # As long as a client waits; no cookies, no connection limit.
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=30),
        )

    async def key_of(self, *scopes: str) -> str:
        """A key with these scopes."""
        answer = await self.call("POST", "/v1/keys", {"name": "test", "scopes": scopes})
        assert answer.status == 201, answer.body
        key: str = answer.json["keys"][0]["key"]
        return key

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

    async def uploaded(self, data: Any, mime: str) -> str:
        """The id of media that was stored with exactly 201."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": mime}
        reply = await self.call("POST", "/v1/media", data=data, headers=headers)
        assert reply.status == 201, reply.body
        media_id: str = reply.json["media"][0]["id"]
        return media_id

    async def login(
        self, username: str, password: str, body: object = None, **headers: str
    ) -> Answer:
        pair = b64encode(f"{username}:{password}".encode()).decode()
        basic = {"Authorization": f"Basic {pair}", **headers}
        return await self.call("POST", "/v1/users/login", body, headers=basic)

    async def first_logins(self) -> None:
        """As a fresh install is taken over."""
        user, new = self.cluster.user, {"new_password": SECOND}
        self.first = [
            await self.login(user, FIRST),
            await self.login(user, FIRST, new),
            await self.login(user, SECOND),
        ]

    async def token_of(self, username: str, password: str) -> str:
        reply = await self.login(username, password)
        token: str = reply.json["users"][0]["token"]
        return token

    async def checked(self, number: str) -> str:
        """The number, once the contact store has it."""
        wish = {"blocking": "wait", "contacts": [f"+{number}"], "force_check": True}
        (contact,) = (await self.call("POST", "/v1/contacts", wish)).json["contacts"]
        wa_id: str = contact["wa_id"]
        return wa_id

    async def inject(self, message: dict[str, Any]) -> str:
        """An inbound message through the simulator; its id."""
        url = f"{self.cluster.control_url}/inbound"
        async with self.http.post(url, json=message) as response:
            assert response.status == 201, await response.text()
            message_id: str = (await response.json())["id"]
            return message_id

    async def faults(self, **switches: Any) -> None:
        """Set the simulator's switches; none clears all, and leaves no limits of rate."""
        url = f"{self.cluster.control_url}/faults"
        if not switches:
            async with self.http.delete(url) as response:
                assert response.status == 200, await response.text()
            switches = UNLIMITED if self.upstream == CLOUD else {}
        async with self.http.put(url, json=switches) as response:
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
async def installed(
    upstream: str = SIMULATOR, *, fresh: bool = False, **options: Any
) -> AsyncIterator[Integration]:
    """A cluster of real processes with a logged-in integration; gone afterwards.

    ``fresh``: nobody has given it a password yet; its webapps make the first account.
    """
    folder = await asyncio.to_thread(prepared.reachable_folder)
    await asyncio.to_thread(prepared.copy_to, folder / "postgres")
    if fresh:
        write_description(folder, msgspec.json.encode({"password": SECOND}).decode())
    environment = {"WA_API_KEY": API_KEY, **options.pop("environment", {})}
    if upstream == CLOUD:
        environment = {"WAROUTER_CLOUD_RATE": "1000", **environment}
        options = {"upstream": EMULATOR, "emulator_faults": _UNLIMITED, **options}
    cluster = Cluster(
        UpOptions(data_dir=folder, port=0, tls=False, environment=environment, **options)
    )
    integration = Integration(cluster, upstream)
    try:
        await cluster.start()
        await integration.receiver.start()
        if fresh:
            await integration.first_logins()
        integration.token = await integration.token_of(cluster.user, cluster.password)
        await integration.hook()
        yield integration
    finally:
        # First whoever calls the receiver. Where the loop stood still between two tests, calls wait
        # to be accepted, and what a server accepts while it closes is never closed.
        await cluster.stop()
        await integration.http.close()
        await integration.receiver.stop()
        refused = refusals(folder)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        assert not refused, "\n".join(refused)  # no login lacks a right that its process needs


_UNLIMITED = tuple(f"{name}={value}" for name, value in UNLIMITED.items())
