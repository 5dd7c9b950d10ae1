"""The Cloud door over real sockets, with a business beside it: it sends, and hears webhooks."""

from __future__ import annotations

import asyncio
import hmac
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from tests.harness.wait import Watch, soon
from warouter._hash import slot_of
from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import CloudSettings
from warouter.config import load
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.server import CloudAddresses, CloudSimulator
from warouter.message_id import mint
from warouter.upstream.cloud.reference import reference

TO, OTHER = "491511234567", "491511234568"
TOKEN = "token-1"
SECRET = "app-secret-1"


class Business:
    """A webhook listener. ``status`` is what it answers, ``verify`` if the handshake succeeds;
    while it ``stalls`` nobody is answered.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.status: Callable[[int], int] = lambda n: 200
        self.verify = True
        self.stalls = False
        self.watch = Watch()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_get("/cloud/webhook", self._handshake)
        app.router.add_post("/cloud/webhook", self._post)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls).start()
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._runner.addresses[0][1]}/cloud/webhook"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def values(self, bodies: list[bytes] | None = None) -> list[dict[str, Any]]:
        """The value of every change, in the order they came."""
        found = [msgspec.json.decode(body) for body in (self.bodies if bodies is None else bodies)]
        return [c["value"] for body in found for e in body["entry"] for c in e["changes"]]

    def elements(self, kind: str = "statuses") -> list[dict[str, Any]]:
        """Every element of one kind, in the order they came."""
        return [one for value in self.values() for one in value.get(kind, ())]

    async def _handshake(self, request: web.Request) -> web.Response:
        self.queries.append(dict(request.query))
        self.watch.notify()
        good = self.verify and request.query["hub.verify_token"] == "verify-1"
        return web.Response(text=request.query["hub.challenge"] if good else "no")

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        expected = "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()
        assert request.headers["X-Hub-Signature-256"] == expected
        assert body.isascii()
        status = self.status(len(self.bodies))
        self.bodies.append(body)
        self.signatures.append(expected)
        self.watch.notify()
        if self.stalls:
            await asyncio.Event().wait()
        return web.Response(status=status)


class Door:
    """A running Cloud door and one caller."""

    def __init__(self, simulator: CloudSimulator, addresses: CloudAddresses) -> None:
        self.simulator = simulator
        self.addresses = addresses
        self.record = simulator.record
        self.business = Business()
        self.session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"})
        self._sent = 0

    @property
    def messages_url(self) -> str:
        return self.url(f"{self.simulator.facts.phone_number_id}/messages")

    def url(self, path: str) -> str:
        return f"{self.addresses.graph_url}/v25.0/{path}"

    def use(self, **switches: Any) -> None:
        self.simulator.use(CloudFaults(level=0, pair_s=0).changed(switches))

    async def send(
        self, to: str = TO, ref: str | None = None, *, follow: bool = True, **body: Any
    ) -> tuple[int, Any]:
        """Send a text, or what ``body`` says; returns the status and the answer, decoded if it is
        JSON. Raises aiohttp.ClientError if there is none.
        """
        message = text(to, new_reference(to) if ref is None else ref) | body
        return await self.call("POST", self.messages_url, json=message, allow_redirects=follow)

    async def call(self, method: str, url: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, url, **options) as answer:
            said = await answer.read()
            try:
                return answer.status, msgspec.json.decode(said)
            except msgspec.DecodeError:
                return answer.status, said

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Call the control port."""
        async with self.session.request(
            method, self.addresses.control_url + path, json=body
        ) as answer:
            return answer.status, await answer.json()

    async def statuses(self, count: int) -> list[dict[str, Any]]:
        """The first ``count`` statuses that come."""
        await self.business.watch.until(lambda: len(self.business.elements()) >= count)
        return self.business.elements()

    async def inbound(self, count: int = 1) -> list[dict[str, Any]]:
        """The first ``count`` inbound messages that come."""
        await self.business.watch.until(lambda: len(self.business.elements("messages")) >= count)
        return self.business.elements("messages")


def text(to: str = TO, ref: str = "") -> dict[str, Any]:
    """The body of a text, with a reference."""
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": f"+{to}",
        "type": "text",
        "text": {"body": "hi", "preview_url": False},
        "biz_opaque_callback_data": ref,
    }


def client_variables(facts: CloudFacts, graph_url: str) -> dict[str, str]:
    """The variables of a process whose Graph API is a Cloud door with these facts."""
    return {
        "WAROUTER_CLOUD_PHONE_NUMBER_ID": facts.phone_number_id,
        "WAROUTER_CLOUD_WABA_ID": facts.waba_id,
        "WAROUTER_CLOUD_TOKEN": facts.token,
        "WAROUTER_CLOUD_APP_SECRET": facts.app_secret,
        "WAROUTER_CLOUD_VERIFY_TOKEN": facts.verify_token,
        "WAROUTER_CLOUD_BASE_URL": graph_url,
    }


def client_settings(facts: CloudFacts, graph_url: str) -> tuple[CloudSettings, NumberCloud]:
    """The settings of such a process, and its number."""
    settings = load({"WAROUTER_UPSTREAM": "cloud", **client_variables(facts, graph_url)})
    return settings.cloud, settings.number_cloud


_random = Random(4)


def new_reference(to: str = TO, attempt: int = 1, at_ms: int = 1_764_000_000_000) -> str:
    """A reference of a new message; ``at_ms`` is the time of its id."""
    return reference(new_id(to, at_ms), attempt)


def new_id(to: str = TO, at_ms: int = 1_764_000_000_000) -> bytes:
    """The id of a new message."""
    return mint(slot_of(to), at_ms, _random.randbytes(12))


@asynccontextmanager
async def door(
    seed: int = 1, tls: ssl.SSLContext | None = None, **switches: Any
) -> AsyncIterator[Door]:
    """A Cloud door without limits of rate, whose business is subscribed."""
    facts = CloudFacts(token=TOKEN, app_secret=SECRET)
    simulator = CloudSimulator(facts, random=Random(seed), tls=tls)
    found = Door(simulator, await simulator.start())
    await found.business.start()
    found.use(**switches)
    simulator.subscribe([found.business.url])
    try:
        await soon(lambda: simulator.sender.urls)
        yield found
    finally:
        await found.session.close()
        await simulator.stop()
        await found.business.stop()
        await asyncio.sleep(0)


class Raw:
    """A caller that does what HTTP clients do not: bytes on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def begin(self, found: Door, ref: str, to: str = TO, **fields: str) -> None:
        """Send a whole request."""
        self.writer.write(request(found, ref, to, **fields))

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer; raises EOFError or ConnectionError."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        return int(head.split(b" ", 2)[1]), await self.reader.readexactly(length)

    async def end(self) -> bytes:
        """What comes until the end; raises ConnectionError if that is a reset."""
        return await self.reader.read()

    def reset(self) -> None:
        """Close with a reset, which leaves nothing in this side's kernel."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def request(found: Door, ref: str, to: str = TO, **fields: str) -> bytes:
    """The bytes of a request for a text, with further header fields."""
    body = msgspec.json.encode(text(to, ref))
    path = found.messages_url.removeprefix(found.addresses.graph_url)
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}"]
    head += [f"{name}: {value}" for name, value in fields.items()]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


@asynccontextmanager
async def connected(found: Door) -> AsyncIterator[Raw]:
    """A connection to the Graph side."""
    port = int(found.addresses.graph_url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
