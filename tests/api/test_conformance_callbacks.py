"""The cases of real webhook receivers, by id: what is posted to them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness import form
from tests.harness.integration import JPEG, PDF, TEXT, Integration

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]

SENDER = "250788123124"


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def judged(site: Integration) -> AsyncIterator[None]:
    """Whatever the receiver was posted in a test, receivers in the field understand."""
    before = len(site.receiver.posts)
    yield
    for post in site.receiver.posts[before:]:
        form.check(post.json)
        assert post.headers["Content-Type"] == "application/json"
        assert "Content-Encoding" not in post.headers


async def called_back(site: Integration, **message: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """An inbound message as it was posted, and its element of ``contacts``."""
    message_id = await site.inject({"from": SENDER, "name": "Jerry Cooney", **message})
    post = await site.receiver.message(message_id)
    found = next(m for m in post.json["messages"] if m["id"] == message_id)
    contact = next(c for c in post.json["contacts"] if c["wa_id"] == SENDER)
    return found, contact


async def test_c40_an_inbound_text(site: Integration) -> None:
    message, contact = await called_back(site, type="text", body="Hello ☺")
    text = {"from": SENDER, "type": "text", "text": {"body": "Hello ☺"}}
    assert message == text | {"id": message["id"], "timestamp": message["timestamp"]}
    assert contact == {"profile": {"name": "Jerry Cooney"}, "wa_id": SENDER}


INBOUND: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "image": (JPEG, "image/jpeg", {"body": "a caption"}),
    "document": (PDF, "application/pdf", {"body": "a caption"}),
    "audio": (b"ID3\x03" + b"\0" * 60, "audio/mpeg", {}),
    "voice": (b"OggS" + b"\0" * 60, "audio/ogg; codecs=opus", {}),
    "video": (b"\0\0\0\x18ftypmp42" + b"\0" * 60, "video/mp4", {"body": "a caption"}),
    "sticker": (b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 60, "image/webp", {}),
}


@pytest.mark.parametrize("kind", INBOUND)
async def test_c41_inbound_media(site: Integration, kind: str) -> None:
    data, mime, more = INBOUND[kind]
    sent = {"data": base64.b64encode(data).decode(), "mime": mime, **more}
    message, _contact = await called_back(site, type=kind, **sent)
    assert "errors" not in message
    shown = message[kind]
    assert "status" not in shown
    assert (shown["mime_type"], shown["sha256"]) == (mime, hashlib.sha256(data).hexdigest())
    assert shown["link"] == f"{site.cluster.url}/v1/media/{shown['id']}"
    stored = await asyncio.to_thread(Path(shown["file"]).read_bytes)
    assert stored == data  # a path on the shared volume, as the product has it
    assert shown.get("caption") == more.get("body")
    reply = await site.call("GET", f"/v1/media/{shown['id']}")
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, data, mime)


BUTTON_REPLY = {"type": "button_reply", "button_reply": {"id": "0", "title": "Yes"}}
ROW = {"id": "0", "title": "ROW1", "description": "the first"}
FLOW = {"response_json": "{}", "body": "Sent", "name": "flow"}
CARD = {
    "name": {"formatted_name": "Kerry Fisher", "first_name": "Kerry"},
    "phones": [{"phone": "+1 (940) 555-1234", "type": "CELL", "wa_id": "19405551234"}],
}
PRODUCT = {"product_retailer_id": "p", "quantity": 1, "item_price": 2.5, "currency": "EUR"}
MOVED = {"type": "user_changed_number", "body": "moved", "wa_id": "491"}
CONTEXT = {
    "from": "16315550000",
    "id": "earlier",
    "forwarded": True,
    "frequently_forwarded": True,
    "mentions": ["491511"],
}
FORMS: dict[str, dict[str, Any]] = {
    "an answer": {"text": {"body": "again"}, "context": CONTEXT},
    "an ad": {"text": {"body": "ad"}, "referral": {"source_type": "ad", "source_id": "1"}},
    "a new key": {
        "text": {"body": "k"},
        "identity": {"acknowledged": False, "created_timestamp": 1, "hash": "h"},
    },
    "C42 button": {"button": {"text": "No", "payload": None}},
    "C42 button reply": {"interactive": BUTTON_REPLY},
    "C42 list reply": {"interactive": {"type": "list_reply", "list_reply": ROW}},
    "C42 location": {
        "location": {"latitude": 0.25, "longitude": -1.5, "name": "Here", "address": "Street"}
    },
    "a flow": {"interactive": {"type": "nfm_reply", "nfm_reply": FLOW}},
    "C44 contacts": {"contacts": [CARD]},
    "an order": {"order": {"catalog_id": "c", "product_items": [PRODUCT]}},
    "a new number": {"system": MOVED},
    "ephemeral": {"ephemeral": None},
}


@pytest.mark.parametrize("what", FORMS)
async def test_c42_c44_what_customers_choose_and_share(site: Integration, what: str) -> None:
    wanted = FORMS[what]
    kind = next(iter(wanted))
    sent = {key: value for key, value in wanted.items() if value is not None}
    message, _contact = await called_back(site, type=kind, **sent)
    common = {"from": SENDER, "type": kind, "id": message["id"], "timestamp": message["timestamp"]}
    assert message == common | sent


async def test_c42_an_unknown_type(site: Integration) -> None:
    message, _contact = await called_back(site, type="unknown")
    assert message["errors"][0]["code"] == 501
    assert message["errors"][0]["title"]


async def test_c43_statuses(site: Integration) -> None:
    message_id = await site.sent(TEXT)
    stamps = []
    for name in ("sent", "delivered", "read"):
        status = await site.receiver.status(message_id, name)
        assert status["timestamp"].isdigit()
        assert status["recipient_id"] == status["message"]["recipient_id"] == TEXT["to"]
        priced = name != "read"
        assert ("pricing" in status, "conversation" in status) == (priced, priced)
        stamps.append(int(status["timestamp"]))
    assert stamps == sorted(stamps)
