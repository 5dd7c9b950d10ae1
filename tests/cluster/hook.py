"""A receiver of callbacks that checks their form as real ones do, with manners that can be set."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import jsonschema_rs
from aiohttp import web

from tests.harness.wait import PATIENCE

TEXT = {"type": "string"}
DIGITS = {"type": "string", "pattern": "^[0-9]+$"}
ERROR = {
    "type": "object",
    "required": ["code", "title"],
    "properties": {"code": {"type": "integer"}, "title": TEXT, "details": TEXT, "href": TEXT},
    "additionalProperties": False,
}
STATUS = {
    "type": "object",
    "required": ["id", "recipient_id", "message", "type", "status", "timestamp"],
    "properties": {
        "id": TEXT,
        "recipient_id": DIGITS,
        "message": {"type": "object", "required": ["recipient_id"]},
        "type": {"const": "message"},
        "status": {"enum": ["sent", "delivered", "read", "failed", "deleted", "warning"]},
        "timestamp": DIGITS,
        "conversation": {
            "type": "object",
            "required": ["id", "expiration_timestamp", "origin"],
            "properties": {"id": TEXT, "expiration_timestamp": {"type": "integer"}},
        },
        "pricing": {
            "type": "object",
            "required": ["pricing_model", "billable", "category"],
            "properties": {
                "pricing_model": {"enum": ["CBP", "NBP", "PMP"]},
                "billable": {"type": "boolean"},
            },
        },
        "errors": {"type": "array", "minItems": 1, "items": ERROR},
    },
    "if": {"properties": {"status": {"const": "failed"}}},
    "then": {"required": ["errors"], "not": {"required": ["pricing"]}},
    "else": {"not": {"required": ["errors"]}},
}
NAMED = [
    "text",
    "location",
    "contacts",
    "button",
    "interactive",
    "order",
    "system",
    "image",
    "voice",
]
MESSAGE = {
    "type": "object",
    "required": ["from", "id", "timestamp", "type"],
    "properties": {"from": DIGITS, "id": TEXT, "timestamp": DIGITS, "type": TEXT},
    "allOf": [
        {
            "if": {"properties": {"type": {"const": name}}},
            "then": {"required": [name]},
        }
        for name in NAMED
    ],
}
CONTACT = {
    "type": "object",
    "required": ["profile", "wa_id"],
    "properties": {
        "profile": {"type": "object", "required": ["name"], "properties": {"name": TEXT}},
        "wa_id": DIGITS,
    },
}
CALLBACK = {
    "type": "object",
    "minProperties": 1,
    "properties": {
        name: {"type": "array", "minItems": 1, "items": items}
        for name, items in (
            ("contacts", CONTACT),
            ("messages", MESSAGE),
            ("statuses", STATUS),
            ("errors", ERROR),
        )
    },
    "additionalProperties": False,
}
check = jsonschema_rs.Draft202012Validator(CALLBACK).validate


class Hook:
    """A receiver with manners that can be set; keeps what it was told."""

    def __init__(self) -> None:
        self.heard = asyncio.Condition()
        self.answer: Callable[[dict[str, Any]], int] = lambda _body: 200
        self.silence = asyncio.Event()  # until it is set nothing is answered
        self.silence.set()
        self.open = 0  # POSTs that wait for their answer
        self.wrong: list[str] = []
        self.statuses: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.messages: dict[str, dict[str, Any]] = {}
        self.contacts: dict[str, dict[str, Any]] = {}
        self.errors: list[dict[str, Any]] = []
        self.posts: list[tuple[float, dict[str, Any], int]] = []

    async def __aenter__(self) -> Hook:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/", self._post)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE), self.heard:
            await self.heard.wait_for(holds)

    async def _post(self, request: web.Request) -> web.Response:
        assert request.headers["Content-Type"] == "application/json"
        body = await request.json()
        try:
            check(body)
        except jsonschema_rs.ValidationError as error:
            self.wrong.append(f"{error.message} in {json.dumps(body)}")
        self.open += 1
        async with self.heard:
            self.heard.notify_all()
        await self.silence.wait()
        self.open -= 1
        status = self.answer(body)
        self.posts.append((asyncio.get_running_loop().time(), body, status))
        if status == 200:
            self._take(body)
        async with self.heard:
            self.heard.notify_all()
        return web.Response(status=status)

    def _take(self, body: dict[str, Any]) -> None:
        for one in body.get("statuses", ()):
            self.statuses[one["id"]].append(one)
        for one in body.get("messages", ()):
            self.messages[one["id"]] = one
        for one in body.get("contacts", ()):
            self.contacts[one["wa_id"]] = one
        self.errors += body.get("errors", [])
