"""What of an event the webhook gets to see, switch by switch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from warouter.app_settings import ApplicationSettings, effective
from warouter.kinds import INBOUND, STATUS
from warouter.webhook.shown import shown

DEFAULTS = ApplicationSettings()
STATUS_PAYLOAD = (
    b'{"id":"x","status":"delivered","timestamp":"1","conversation":{"id":"c"},"pricing":{"a":1}}'
)


def message(kind: str, **fields: object) -> bytes:
    return json.dumps({"from": "49170", "id": "x", "type": kind, **fields}).encode()


def system(kind: str) -> bytes:
    return message("system", system={"body": "b", "type": kind})


@pytest.mark.parametrize(
    ("status", "settings", "wanted"),
    [
        ("sent", {}, False),
        ("sent", {"sent_status": True}, True),
        ("sent", {"webhooks": {"message": {"sent": True}}}, True),
        ("delivered", {}, True),
        ("delivered", {"webhooks": {"message": {"delivered": False}}}, False),
        ("read", {}, True),
        ("read", {"webhooks": {"message": {"read": False}}}, False),
        ("failed", {"webhooks": {"message": {"sent": 0, "delivered": 0, "read": 0}}}, True),
        ("deleted", {}, True),
    ],
)
def test_statuses(status: str, settings: dict[str, Any], wanted: bool) -> None:
    payload = b'{"id":"x"}'
    found = shown(STATUS, f"x:{status}:17", payload, effective(settings))
    assert found == (payload if wanted else None)


def test_billing_goes_when_it_is_switched_off_and_nothing_else() -> None:
    off = effective({"webhook_payload_conversation_pricingmodel_disabled": True})
    assert shown(STATUS, "x:delivered:1", STATUS_PAYLOAD, DEFAULTS) is STATUS_PAYLOAD
    found = shown(STATUS, "x:delivered:1", STATUS_PAYLOAD, off)
    assert found is not None
    assert json.loads(found) == {"id": "x", "status": "delivered", "timestamp": "1"}
    plain = b'{"id":"x","status":"delivered"}'
    assert shown(STATUS, "x:delivered:1", plain, off) is plain


@pytest.mark.parametrize(
    ("payload", "settings", "wanted"),
    [
        (system("user_changed_number"), {}, True),
        (system("user_changed_number"), {"notify_user_change_number": False}, False),
        (system("customer_changed_number"), {"notify_user_change_number": False}, False),
        (system("user_identity_changed"), {}, False),
        (system("user_identity_changed"), {"show_security_notifications": True}, True),
        (system("customer_identity_changed"), {}, False),
        (system("group_icon_changed"), {"notify_user_change_number": False}, True),
        (message("system"), {}, True),
        (message("text", text={"body": 'a "system"'}), {}, True),
        (message("text", system={"type": "user_identity_changed"}), {}, True),
        (b'{"type":"system","system":5}', {}, True),
        (b'"system"', {}, True),
    ],
)
def test_inbound_messages(payload: bytes, settings: dict[str, Any], wanted: bool) -> None:
    found = shown(INBOUND, "x", payload, effective(settings))
    assert found == (payload if wanted else None)
