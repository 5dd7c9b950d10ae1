"""What the settings keep from the webhook."""

import json

import pytest

from warouter.app_settings import ApplicationSettings, StatusSwitches, Webhooks
from warouter.cluster.delivery import INBOUND, STATUS
from warouter.cluster.preference import as_wanted, wanted

DEFAULT = ApplicationSettings()
ALL_OFF = ApplicationSettings(
    webhooks=Webhooks(message=StatusSwitches(sent=False, delivered=False, read=False)),
    notify_user_change_number=False,
    show_security_notifications=False,
)


def system(kind: str) -> bytes:
    return json.dumps({"type": "system", "system": {"type": kind, "body": "b"}}).encode()


@pytest.mark.parametrize(
    ("status", "by_default", "switched_off"),
    [
        ("sent", False, False),
        ("delivered", True, False),
        ("read", True, False),
        ("failed", True, True),
        ("deleted", True, True),
        ("warning", True, True),
    ],
)
def test_statuses(status: str, by_default: bool, switched_off: bool) -> None:
    for key in (f"id:{status}:1700000000", f"id:{status}"):
        assert wanted(STATUS, key, b"{}", DEFAULT) is by_default
        assert wanted(STATUS, key, b"{}", ALL_OFF) is switched_off


@pytest.mark.parametrize("kind", ["user_changed_number", "user_identity_changed"])
def test_system_messages(kind: str) -> None:
    assert wanted(INBOUND, "id", system(kind), DEFAULT)
    assert not wanted(INBOUND, "id", memoryview(system(kind)), ALL_OFF)


@pytest.mark.parametrize(
    "payload",
    [
        system("group_created"),
        b'{"type":"text","text":{"body":"\\"system\\" user_changed_number"}}',
        b'{"type":"text","system":{"type":"user_changed_number"}}',
        b'{"type":"system","system":"user_changed_number"}',
        b'"system" is no JSON',
    ],
)
def test_no_other_inbound_message_is_kept_back(payload: bytes) -> None:
    assert wanted(INBOUND, "id", payload, ALL_OFF)


def test_prices_can_be_left_out() -> None:
    off = ApplicationSettings(webhook_payload_conversation_pricingmodel_disabled=True)
    payload = b'{"id":"1","pricing":{"billable":true},"conversation":{"id":"c"},"status":"sent"}'
    assert as_wanted(STATUS, payload, DEFAULT) is payload
    assert json.loads(as_wanted(STATUS, payload, off)) == {"id": "1", "status": "sent"}
    assert as_wanted(INBOUND, payload, off) is payload
    assert as_wanted(STATUS, b"no JSON", off) == b"no JSON"
