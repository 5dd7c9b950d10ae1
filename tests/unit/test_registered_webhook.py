"""The header fields that a client registers with its webhook, and for which URL they hold."""

from __future__ import annotations

from typing import Any

import pytest

from warouter.app_settings import dated, merge, shown, with_secret
from warouter.app_settings import effective as in_force
from warouter.registered_webhook import (
    HEADER_BYTES,
    MOST_HEADERS,
    RegisteredWebhook,
    check_headers,
    registered,
    with_registered,
    without_webhook,
)

URL = "https://chat.example/webhooks/whatsapp/+16315551000"
SECRET = "canary-header-1414"
WEBHOOK = RegisteredWebhook(URL, {"Authorization": f"Bearer {SECRET}"})
KEY = "whsec_" + "A" * 32


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer x", "X-A": "", "x-b": "a\tb ~"},
        {"a" * 24: "x" * (HEADER_BYTES - 24)},
        {f"X-{n}": "x" for n in range(MOST_HEADERS)},
        {"User-Agent": "ours is replaced", "Webhooks": "x", "Contents": "x", "Hosts": "x"},
    ],
)
def test_fields_that_callbacks_can_carry(headers: dict[str, str]) -> None:
    check_headers(headers)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({f"X-{n}": "x" for n in range(11)}, "headers has 11 elements, at most 10"),
        ({"a" * 24: "x" * (HEADER_BYTES - 23)}, "is longer than 1024 bytes"),
        ({"a" * 2000: ""}, "is longer than 1024 bytes"),
        ({"": SECRET}, "headers has a name that no header field can have"),
        ({"X A": SECRET}, "headers has a name that no header field can have"),
        ({"X-A\r\nX-B": SECRET}, "headers has a name that no header field can have"),
        ({"X-A\n": SECRET}, "headers has a name that no header field can have"),
        ({"X-A": SECRET + "\r\nX-B: b"}, "headers.X-A must be printable ASCII"),
        ({"X-A": SECRET + "\n"}, "headers.X-A must be printable ASCII"),
        ({"X-A": SECRET + "\u00e9"}, "headers.X-A must be printable ASCII"),
        ({"X-A": SECRET, "x-a": SECRET}, "headers.x-a is given twice"),
        *(
            ({name: SECRET}, f"headers.{name} is a field that warouter sets itself")
            for name in (
                *("Host", "host", "Content-Type", "content-length", "CONTENT-ENCODING"),
                *("Connection", "Transfer-Encoding", "webhook-id", "Webhook-Signature", "Expect"),
            )
        ),
    ],
)
def test_other_fields_are_refused_without_their_value(headers: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("+", r"\+")) as refused:
        check_headers(headers)
    assert SECRET not in str(refused.value)


def test_a_registered_webhook_is_stored_beside_what_was_there() -> None:
    before = {
        "sent_status": True,
        "webhooks": {"url": "https://a.example", "message": {"sent": True}},
    }
    stored = with_registered(before, WEBHOOK)
    assert registered(stored) == WEBHOOK
    assert stored["sent_status"] is True
    assert stored["webhooks"]["message"] == {"sent": True}
    assert in_force(stored).webhooks.url == URL
    assert SECRET not in str(shown(in_force(stored)))
    assert SECRET not in repr(registered(stored))


def test_a_second_registration_takes_the_place_of_the_first() -> None:
    stored = with_registered(with_registered({}, WEBHOOK), RegisteredWebhook(URL))
    assert registered(stored) == RegisteredWebhook(URL, {})
    assert SECRET not in str(stored)


@pytest.mark.parametrize("url", ["https://b.example/", ""])
def test_another_url_ends_it(url: str) -> None:
    stored = merge(with_registered({}, WEBHOOK), {"webhooks": {"url": url}})
    assert registered(stored) is None
    assert SECRET not in str(stored)


def test_other_changes_leave_it_alone() -> None:
    stored = with_registered({}, WEBHOOK)
    for changed in (
        merge(stored, {"webhooks": {"url": URL}}),
        merge(stored, {"webhooks": {"max_concurrent_requests": 24}, "sent_status": True}),
        with_secret(stored, KEY, "2026-12-03T08:00:00Z"),
        dated(stored, merge(stored, {"webhooks": {"secrets": [KEY]}}), "2026-12-03T08:00:00Z"),
    ):
        assert registered(changed) == WEBHOOK


def test_a_patch_does_not_set_it() -> None:
    wish = {"webhooks": {"url": URL, "registered": {"url": URL, "headers": {"X-A": "a"}}}}
    assert registered(merge({}, wish)) is None


def test_without_a_url_nothing_is_left_of_it() -> None:
    stored = without_webhook(with_registered({"webhooks": {"message": {"sent": True}}}, WEBHOOK))
    assert stored == {"webhooks": {"url": "", "message": {"sent": True}}}


@pytest.mark.parametrize("stored", [{}, {"webhooks": None}, {"webhooks": {"url": URL}}])
def test_none_is_registered(stored: dict[str, Any]) -> None:
    assert registered(stored) is None


@pytest.mark.parametrize(
    "found",
    [
        5,
        [],
        {},
        {"url": 5},
        {"url": URL, "headers": {"Host": SECRET}},
        {"url": URL, "headers": [1]},
    ],
)
def test_garbage_is_refused_without_its_values(found: object) -> None:
    with pytest.raises(ValueError, match=r"webhooks\.registered: ") as refused:
        registered({"webhooks": {"registered": found}})
    assert SECRET not in str(refused.value)
