"""The cases of real webhook receivers, by id: what is posted to them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness import form
from tests.harness.integration import CLOUD, JPEG, PDF, TEXT, Integration
from tests.harness.receiver import Post, Receiver

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENDER = "250788123124"
BACKOFF_S = 0.2  # callback_backoff_delay_ms of the site


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
    """An inbound message as it was posted, and its element of ``contacts``, by v1's fields.

    From the Cloud API both name the user id of the customer as well, which receivers ignore, and
    what Meta says of a customer, rather than for them, has no ``contacts``.
    """
    message_id = await site.inject({"from": SENDER, "name": "Jerry Cooney", **message})
    post = await site.receiver.message(message_id)
    found = next(m for m in post.json["messages"] if m["id"] == message_id)
    is_cloud = site.upstream == CLOUD
    user_id = found.pop("from_user_id") if is_cloud else ""
    if is_cloud and message["type"] == "system":
        return found, {}
    contact = next(c for c in post.json["contacts"] if c["wa_id"] == found["from"])
    assert not is_cloud or contact.pop("user_id") == user_id
    return found, contact


async def test_c39_a_receiver_that_refuses_statuses_hears_messages(site: Integration) -> None:
    """It answers 400 to whatever holds no messages: nothing behind a status waits for it."""
    receiver = site.receiver

    def answer(post: Post) -> int:
        return 200 if "messages" in post.json else 400

    receiver.answer = answer
    try:
        refused = await site.sent(TEXT)
        await receiver.until(lambda: receiver.refused(refused))
        for n in range(3):
            await called_back(site, type="text", body=f"message {n}")
            await called_back(site, type="text", body="to the same", **{"from": TEXT["to"]})
        await receiver.until(lambda: len(refusals(receiver, refused)) >= 3)
        assert receiver.names(refused) == []
    finally:
        receiver.answer = 200
    await receiver.status(refused, "read")
    assert receiver.names(refused) == ["sent", "delivered", "read"]
    tries = refusals(receiver, refused)
    waits = [after - before for before, after in pairwise(tries)]
    assert all(wait >= n * BACKOFF_S for n, wait in enumerate(waits, 1))  # a delay more each time


def refusals(receiver: Receiver, message_id: str) -> list[float]:
    """When the first status of a message was refused by itself: a POST of several that is refused
    is halved at once, until it holds nothing but what the receiver does not take.
    """
    alone = (p for p in receiver.posts if p.answered == 400 and len(p.events) == 1)
    return [p.at for p in alone if (e := p.events[0])["id"] == message_id and e["status"] == "sent"]


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
MOVED = {"type": "user_changed_number", "body": "moved", "wa_id": "491511234567"}
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
    if site.upstream == CLOUD:
        # Meta tells of a new key by a message of its own, not with what the customer writes; a new
        # number stands under the older of v1's two names too, with the user ids.
        for one in (sent, message):
            one.pop("identity", None)
        for name in ("new_wa_id", "user_id", "previous_user_id"):
            message.get("system", {}).pop(name, None)
    common = {"from": SENDER, "type": kind, "id": message["id"], "timestamp": message["timestamp"]}
    assert message == common | sent


async def test_c44_a_contact_card_without_whatsapp(site: Integration) -> None:
    """Receivers read the wa_id of each phone unasked, which Meta leaves out then."""
    card = {"name": {"formatted_name": "Kerry Fisher"}, "phones": [{"phone": "none"}]}
    asked: dict[str, Any] = {"from": SENDER, "type": "contacts", "contacts": [card]}
    if site.upstream == CLOUD:
        raw = asked | {"id": "wamid.CARD", "timestamp": str(int(time.time()))}
        contact = {"profile": {"name": "Jerry Cooney"}, "wa_id": SENDER}
        asked = {"raw": raw, "contact": contact}
    post = await site.receiver.message(await site.inject(asked))
    (shown,) = [m for m in post.json["messages"] if m["type"] == "contacts"]
    (phone,) = shown["contacts"][0]["phones"]
    assert phone == {"phone": "none", "wa_id": ""}


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
        # Meta's statuses show no conversation any more since version 24 of the Graph API.
        shows = (priced, priced and site.upstream != CLOUD)
        assert ("pricing" in status, "conversation" in status) == shows
        stamps.append(int(status["timestamp"]))
    assert stamps == sorted(stamps)
