"""Meta, as a webapp's listener for webhooks sees it: signed bodies over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import asyncpg

from tests.harness.cloud_number import some_number
from warouter.background import begin
from warouter.cloud_number import NumberCloud
from warouter.config import Settings
from warouter.http.intake import WebhookIntake
from warouter.store.cloud.posts import Posts
from warouter.store.cloud.receive import WebhookInbox
from warouter.upstream.cloud.listener import WebhookListener
from warouter.upstream.cloud.signature import sign

NUMBER = "106540352242922"  # the id of our phone number
ACCOUNT = "1"
SENT = 1764000000  # when statuses say that they are, and messages a moment later
SECRET, OLD_SECRET, VERIFY = "app-secret-1", "app-secret-0", "verify-1"


def webhook(
    *, number: str = NUMBER, field: str = "messages", account: str = ACCOUNT, **value: Any
) -> bytes:
    """A body as Meta spells it, with one change of this value."""
    metadata = {"display_phone_number": "15557770000", "phone_number_id": number}
    change = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    entry = {"id": account, "changes": [{"field": field, "value": change}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def status(wamid: str, *, reference: str = "", name: str = "sent", **more: Any) -> dict[str, Any]:
    opaque = {"biz_opaque_callback_data": reference} if reference else {}
    common = {"id": wamid, "status": name, "timestamp": str(SENT)}
    return {**common, "recipient_id": "15550001111", **opaque, **more}


def text(wamid: str, sender: str = "15550001111", **more: Any) -> dict[str, Any]:
    said = {"id": wamid, "timestamp": "1764000004", "type": "text", "text": {"body": "hi"}}
    return {**({"from": sender} if sender else {}), **said, **more}


class Heard:
    """An answer: status, fields, body, and whether the connection ended behind it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        self.body = body

    @property
    def last(self) -> bool:
        return self.fields.get("connection") == "close"


class Line:
    """One connection to a listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self) -> Heard:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return Heard(head, await self.reader.readexactly(length))

    async def ended(self) -> bool:
        """Nothing more comes."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read() == b""
        return True


def post(
    body: bytes, *, secret: str | None = SECRET, path: str = "/cloud/webhook", **fields: str
) -> bytes:
    """A request; without a secret it has no signature."""
    lines = {"Host": "x", "Content-Length": str(len(body)), **fields}
    if secret is not None:
        lines["X-Hub-Signature-256"] = sign(body, secret)
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Webhook:
    """A listener with its inbox in a real database, as a webapp runs them.

    ``others`` are numbers of the app beside the first.
    """

    def __init__(
        self,
        settings: Settings,
        shows: str = "alias",
        owners: Any = None,
        others: Sequence[NumberCloud] = (),
        **limits: Any,
    ) -> None:
        self.incarnation = uuid4()
        self.secrets: Sequence[str] = (SECRET, OLD_SECRET)
        first = some_number(phone_number_id=NUMBER, waba_id=ACCOUNT)
        numbers = {of.id: of for of in (first, *others)}
        self.inbox = WebhookInbox(settings, "wa:test:webhook", self.incarnation, shows, numbers)
        self.posts = Posts(self.inbox, owners)
        self.now = float(SENT + 60)
        self.listener = WebhookListener(
            {of.phone_number_id: of.id for of in numbers.values()},
            lambda: self.secrets,
            lambda: VERIFY,
            self.posts,
            clock=lambda: self.now,
        )
        self.intake = WebhookIntake(self.listener, **limits)
        self._lines: list[Line] = []

    async def open(self, tls: Any = None) -> None:
        await self.inbox.open()
        self.running = [
            begin(self.posts.run(), self._failed),
            begin(self.intake.sweep(), self._failed),
        ]
        self.port = await self.intake.open("127.0.0.1", 0, tls)

    async def close(self) -> None:
        for line in self._lines:
            line.writer.close()
        await self.intake.leave()
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.posts.close()

    async def connect(self, **options: Any) -> Line:
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port, **options))
        self._lines.append(line)
        return line

    async def ask(self, request: bytes) -> Heard:
        """The answer to a request on a connection of its own."""
        line = await self.connect()
        line.say(request)
        heard = await line.hear()
        if heard.last:
            assert await line.ended()
        line.writer.close()
        return heard

    async def post(self, body: bytes, **options: Any) -> int:
        return (await self.ask(post(body, **options))).status

    def _failed(self, error: Exception) -> None:
        raise error


async def inbox_of(pool: asyncpg.Pool) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await pool.fetch("select * from cloud_inbox order by n")
    return found
