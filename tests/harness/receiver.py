"""A business's webhook as the clients in the field have it: a real server that keeps what came.

``judge_courier`` and ``judge_vumi`` refuse what those two receivers would refuse.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from aiohttp import web

from tests.harness.wait import PATIENCE

MEDIA_TYPES = ("image", "audio", "voice", "video", "document", "sticker")
ENDS = ("read", "failed")
STATUSES = {"sending", "sent", "delivered", "read", "failed", "deleted", "warning"}


class Posted(NamedTuple):
    """One POST: when it came (monotonic seconds), its body, and what was answered."""

    at: float
    headers: Any
    body: dict[str, Any]
    answered: int


class Receiver:
    """Answers what ``answer`` says of a body: 200 to everything, at first."""

    def __init__(self) -> None:
        self.posts: list[Posted] = []
        self.ended: set[str] = set()  # messages that were reported read or failed
        self.answer: Callable[[dict[str, Any]], int] = lambda _body: 200
        self.url = ""
        self._heard = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/hook", self._hook)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def statuses(self, message_id: str, *, refused: bool = False) -> list[dict[str, Any]]:
        """The statuses of a message in the order in which they were taken (or refused)."""
        return [s for s in self._elements("statuses", refused) if s["id"] == message_id]

    def messages(self, message_id: str) -> list[dict[str, Any]]:
        return [m for m in self._elements("messages", False) if m["id"] == message_id]

    async def until(self, holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """What ``holds`` returns once that is true; TimeoutError after so many seconds."""
        async with asyncio.timeout(seconds), self._heard:
            while not (found := holds()):
                await self._heard.wait()
            return found

    async def message(self, message_id: str) -> Posted:
        """The POST that brought an inbound message."""
        await self.until(lambda: self.messages(message_id))
        return next(
            p for p in self.posts if any(m["id"] == message_id for m in p.body.get("messages", ()))
        )

    async def status(self, message_id: str, name: str, seconds: float = PATIENCE) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((s for s in self.statuses(message_id) if s["status"] == name), None)

        status: dict[str, Any] = await self.until(found, seconds)
        return status

    def _elements(self, key: str, refused: bool) -> Iterator[dict[str, Any]]:
        for post in self.posts:
            if (post.answered >= 300) == refused:
                yield from post.body.get(key, ())

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.json()
        status = self.answer(body)
        async with self._heard:
            self.posts.append(Posted(time.monotonic(), request.headers.copy(), body, status))
            if status < 300:
                ends = (s["id"] for s in body.get("statuses", ()) if s["status"] in ENDS)
                self.ended.update(ends)
            self._heard.notify_all()
        return web.Response(status=status)


def judge_courier(body: dict[str, Any]) -> None:
    """What courier reads of a callback: AssertionError where it would not understand it."""
    for contact in body.get("contacts", ()):
        assert isinstance(contact["profile"]["name"], str)
        assert contact["wa_id"].isdigit()
    for message in body.get("messages", ()):
        for key in ("from", "id", "timestamp", "type"):
            assert isinstance(message[key], str), key
            assert message[key]
        assert message["timestamp"].isdigit()
        _judge_object(message)
    for status in body.get("statuses", ()):
        assert isinstance(status["id"], str)
        assert status["status"] in STATUSES
        assert isinstance(status["timestamp"], str)
        assert status["timestamp"].isdigit()


def _judge_object(message: dict[str, Any]) -> None:
    kind = message["type"]
    content = message.get(kind)
    match kind:
        case "text":
            assert isinstance(content["body"], str)
        case "location":
            assert isinstance(content["latitude"], int | float)
            assert isinstance(content["longitude"], int | float)
        case "button":
            assert isinstance(content["text"], str)
            assert "payload" in content
        case "interactive":
            reply = content[content["type"]]
            if content["type"] in ("button_reply", "list_reply"):
                assert isinstance(reply["id"], str)
                assert isinstance(reply["title"], str)
        case "contacts":
            for card in content:
                assert card["name"]["formatted_name"]
        case _ if kind in MEDIA_TYPES:
            assert content["mime_type"]
            assert content["sha256"]
            if "id" not in content:
                assert content["status"] == "undownloaded"
            else:
                assert isinstance(content["id"], str)


def judge_vumi(body: dict[str, Any]) -> None:
    """The schema of vumi-whatsapp's receiver, which answers 400 to what breaks it."""
    assert set(body) & {"messages", "statuses", "errors"}
    for message in body.get("messages", ()):
        if message["type"] not in ("unknown", "ephemeral"):
            assert message["type"] in message, "the object named by type must be there"
        for error in message.get("errors", ()):
            assert isinstance(error["code"], int)
            assert error["title"]
    for status in body.get("statuses", ()):
        assert status.get("pricing", {}).get("pricing_model", "CBP") in ("CBP", "NBP", "PMP")
        for error in status.get("errors", ()):
            assert isinstance(error["code"], int)
            assert error["title"]
