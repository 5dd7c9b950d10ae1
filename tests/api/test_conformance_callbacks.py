"""The cases of real webhook receivers, by id: what is posted to them, and what if they refuse."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.harness import form
from tests.harness.integration import TEXT, Integration

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]

SENDER = "250788123124"


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def judged(site: Integration) -> AsyncIterator[None]:
    """Whatever the receiver was posted in a test, receivers in the field understand."""
    before = len(site.receiver.posts)
    yield
    site.receiver.answer = 200
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


async def test_c39_a_receiver_that_refuses_statuses(site: Integration) -> None:
    receiver = site.receiver
    receiver.answer = lambda post: 200 if "messages" in post.json else 400
    reply = await site.send({**TEXT, "to": "250788123199"})
    message_id = reply.json["messages"][0]["id"]

    def refusals() -> list[float]:
        return [
            post.at
            for post in receiver.posts
            if post.answered == 400
            and any(s["id"] == message_id for s in post.json.get("statuses", ()))
        ]

    await receiver.until(lambda: len(refusals()) >= 1)
    # Messages keep flowing meanwhile, each on its own.
    for n in range(5):
        await called_back(site, type="text", body=f"in {n}")
    await receiver.until(lambda: len(refusals()) >= 4, 60)
    assert receiver.statuses[message_id] == []
    times = refusals()
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    # The n-th failure waits n steps of 200 ms, up to 2 s: never less, and longer as it goes on.
    assert max(gaps) >= 0.35
    receiver.answer = 200
    await receiver.status(message_id, "read")


async def test_c40_an_inbound_text(site: Integration) -> None:
    message, contact = await called_back(site, type="text", body="Hello ☺")
    assert message["from"] == SENDER
    assert message["type"] == "text"
    assert message["text"] == {"body": "Hello ☺"}
    assert message["timestamp"].isdigit()
    assert isinstance(message["timestamp"], str)
    assert contact == {"profile": {"name": "Jerry Cooney"}, "wa_id": SENDER}


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


async def test_c44_a_phone_of_a_contact_always_says_a_wa_id(site: Integration) -> None:
    card = {"name": {"formatted_name": "Ann"}, "phones": [{"phone": "+49 151 123"}]}
    message, _contact = await called_back(site, type="contacts", contacts=[card])
    assert message["contacts"][0]["phones"][0]["wa_id"] == "49151123"


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


async def test_c43_a_status_that_failed(site: Integration) -> None:
    unknown = "250788999999"
    await site.faults(unknown=[unknown])
    try:
        message_id = (await site.send({**TEXT, "to": unknown})).json["messages"][0]["id"]
        status = await site.receiver.status(message_id, "failed")
    finally:
        await site.faults()
    (error,) = status["errors"]
    assert isinstance(error["code"], int)
    assert error["title"]


async def test_rule_9_one_recipient_does_not_hold_up_another(site: Integration) -> None:
    refused = "250788000001"

    site.receiver.answer = lambda post: 400 if refused.encode() in post.body else 200
    blocked = (await site.send({**TEXT, "to": refused})).json["messages"][0]["id"]
    await site.receiver.until(lambda: site.receiver.refused(blocked))
    others = await asyncio.gather(
        *(site.send({**TEXT, "to": f"2507880001{n:02d}"}) for n in range(40))
    )
    for other in others:
        await site.receiver.status(other.json["messages"][0]["id"], "read")
    assert site.receiver.statuses[blocked] == []
    site.receiver.answer = 200
    await site.receiver.status(blocked, "read")
