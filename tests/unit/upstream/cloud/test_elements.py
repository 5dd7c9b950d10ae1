"""Webhooks of the Cloud API, taken apart: every element by itself, and what is left out counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from warouter.upstream.cloud.elements import (
    ERROR,
    INBOUND,
    STATUS,
    Action,
    Element,
    Unreadable,
    read,
)
from warouter.upstream.cloud.reference import reference

NUMBER = "106540352242922"
OURS = reference(bytes([1, 7, *range(18)]), 1)
WAMID = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5QTNEQTA2RjdGMEY4RTRGAA=="
DELIVERED = {
    "id": WAMID,
    "status": "delivered",
    "timestamp": "1764000000",
    "recipient_id": "15550001111",
    "recipient_user_id": "US.1122334455",
    "biz_opaque_callback_data": OURS,
    "pricing": {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"},
}
TEXT = {
    "from": "15550001111",
    "id": "wamid.T",
    "timestamp": "1764000003",
    "type": "text",
    "text": {"body": "hi"},
}
ANN = {"profile": {"name": "Ann"}, "wa_id": "15550001111", "user_id": "US.1122334455"}


def value(**parts: Any) -> dict[str, Any]:
    metadata = {"display_phone_number": "15557770000", "phone_number_id": NUMBER}
    return {"messaging_product": "whatsapp", "metadata": metadata, **parts}


def change(field: str = "messages", **parts: Any) -> dict[str, Any]:
    return {"field": field, "value": value(**parts)}


def webhook(*changes: Any) -> bytes:
    entry = {"id": "1020", "changes": list(changes)}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def only(body: bytes) -> Element:
    (element,) = read(body, NUMBER).elements
    return element


def test_a_status_names_its_message_its_attempt_and_its_customer() -> None:
    body = webhook(change(contacts=[ANN], statuses=[DELIVERED]))
    assert only(body) == Element(
        kind=STATUS,
        key=f"{WAMID}:delivered:1764000000",
        raw=json.dumps(DELIVERED).encode(),
        wamid=WAMID,
        status="delivered",
        reference=OURS,
        wa_id="15550001111",
        user_id="US.1122334455",
        name="Ann",
        timestamp=1764000000,
    )


def test_a_message_comes_with_its_contact() -> None:
    element = only(webhook(change(contacts=[ANN], messages=[TEXT])))
    assert element == Element(
        kind=INBOUND,
        key="wamid.T",
        raw=json.dumps(TEXT).encode(),
        contact=json.dumps(ANN).encode(),
        wamid="wamid.T",
        wa_id="15550001111",
        user_id="US.1122334455",
        name="Ann",
        timestamp=1764000003,
    )


def test_an_error_is_nobodys_and_counts_again_in_another_hour() -> None:
    body = webhook(change(errors=[{"code": 131035, "title": "Webhook could not be delivered"}]))
    (first,), (same,), (later,) = (read(body, NUMBER, now).elements for now in (7200, 10799, 10800))
    assert (first.kind, first.wa_id, first.timestamp) == (ERROR, "", 0)
    assert first.key == same.key != later.key


def test_what_is_no_object_is_unreadable() -> None:
    for body in (b"", b"[]", b"5", b"null", b'"x"', b"{", b'{"entry":[{]}', b"\xff", b"[" * 10_000):
        with pytest.raises(Unreadable):
            read(body, NUMBER)


def test_notices_say_what_they_ask_for() -> None:
    batch = read(webhook(change("phone_number_quality_update", event="THROUGHPUT_UPGRADE")), NUMBER)
    (notice,) = batch.notices
    assert (notice.field, notice.action) == ("phone_number_quality_update", Action.LEVEL)
    assert json.loads(notice.raw) == value(event="THROUGHPUT_UPGRADE")
