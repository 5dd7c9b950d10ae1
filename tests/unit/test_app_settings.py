"""settings/application: defaults, merging, ranges, webhook addresses."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import inner
from warouter.app_settings import (
    ApplicationSettings,
    effective,
    log_level,
    merge,
    webhook_url_problem,
)

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def test_every_field_is_in_the_table_of_the_api_s_page() -> None:
    page = Path(__file__).parents[2] / "docs" / "api.md"
    named = set(re.findall(r"`(\w+)[`.]", page.read_text()))
    left = [name for name in ApplicationSettings.__struct_fields__ if name not in named]
    assert left == [], "give these a row in the table of docs/api.md (Settings)"


def test_a_patch_leaves_everything_else_alone() -> None:
    first = merge({}, {"webhooks": {"url": "https://a.example"}, "heartbeat_interval": 9})
    second = merge(first, {"webhooks": {"message": {"read": False}}})
    assert second == {
        "webhooks": {"url": "https://a.example", "message": {"read": False}},
        "heartbeat_interval": 9,
    }
    assert not effective(second).reports("read")
    assert effective(second).reports("delivered")


def test_strings_become_numbers_and_booleans() -> None:
    merged = merge(
        {},
        {
            "callback_backoff_delay_ms": "4000",
            "webhooks": {"max_concurrent_requests": "24"},
            "pass_through": "false",
            "sent_status": "true",
        },
    )
    assert merged == {
        "callback_backoff_delay_ms": 4000,
        "webhooks": {"max_concurrent_requests": 24},
        "pass_through": False,
        "sent_status": True,
    }


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"no_such_field": 1},
        # C10
        {"contacts_scrape_rate_limit": "1000000", "messaging_api_rate_limit": ["15", "54600"]},
        {"webhooks": {"unknown": {"deep": [1]}}},
        {"callback_persist": None},
        {"webhooks": None},
        {"webhooks": {"url": None}},
        {"wa_id": "49123456789"},
    ],
)
def test_unknown_fields_and_nulls_change_nothing(patch: dict[str, Any]) -> None:
    stored = {"callback_persist": False}
    assert effective(merge(stored, patch)) == effective(stored)
    assert "no_such_field" not in merge(stored, patch)
    assert "wa_id" not in merge(stored, patch)


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"callback_backoff_delay_ms": 0}, "callback_backoff_delay_ms"),
        ({"callback_backoff_delay_ms": "-5"}, "callback_backoff_delay_ms"),
        ({"callback_backoff_delay_ms": 10**12}, "callback_backoff_delay_ms"),
        ({"callback_backoff_delay_ms": "soon"}, "callback_backoff_delay_ms"),
        ({"callback_backoff_delay_ms": 1.5}, "callback_backoff_delay_ms"),
        ({"max_callback_backoff_delay_ms": []}, "max_callback_backoff_delay_ms"),
        ({"webhooks": {"max_concurrent_requests": 7}}, "webhooks.max_concurrent_requests"),
        ({"webhooks": {"url": 5}}, "webhooks.url"),
        ({"webhooks": []}, "webhooks"),
        ({"webhooks": {"message": {"sent": "perhaps"}}}, "webhooks.message.sent"),
        ({"media": {"auto_download": ["image", "film"]}}, "media.auto_download[1]"),
        ({"media": {"auto_download": "image"}}, "media.auto_download"),
        ({"heartbeat_interval": 0}, "heartbeat_interval"),
        ({"unhealthy_interval": 86_401}, "unhealthy_interval"),
        ({"callback_persist": 3}, "callback_persist"),
    ],
)
def test_wrong_values_are_named(patch: dict[str, Any], path: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        merge({}, patch)
    assert f"`$.{path}`" in str(refusal.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = [*ApplicationSettings.__struct_fields__, "other"]


@given(
    st.dictionaries(st.sampled_from(FIELDS), JSON), st.dictionaries(st.sampled_from(FIELDS), JSON)
)
def test_any_patch_is_refused_or_leaves_readable_settings(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    stored: dict[str, Any] = {}
    for patch in (first, second):
        try:
            stored = merge(stored, patch)
        except msgspec.ValidationError:
            continue
        effective(msgspec.json.decode(msgspec.json.encode(stored)))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/hook?x=1",
        "https://user:pw@example.com/",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
        "https://[2002:5db8:d822::1]/",
        "https://xn--bcher-kva.example/",
        "https://m\u00fcnchen.example/",
        "https://\u4f8b\u3048.\u30c6\u30b9\u30c8/",
    ],
)
def test_public_https_is_fine(url: str) -> None:
    assert webhook_url_problem(url, allow_http=False, allow_private=()) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://example.com",
        "example.com",
        "https://",
        "https:///path",
        "https://exa mple.com",
        "https://example.com\r\nX: 1",
        "https://example.com\\@127.0.0.1",
        "https://example.com:port/",
        "https://[::1",
        "https://" + "a" * 2048,
        *(f"https://{host}/" for host in inner.PLAIN),
    ],
)
def test_a_webhook_needs_https_to_a_public_address(url: str) -> None:
    assert webhook_url_problem(url, allow_http=False, allow_private=())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/x", "http://localhost/", "http://[::ffff:127.0.0.1]/"]
)
def test_networks_that_are_allowed(url: str) -> None:
    assert webhook_url_problem(url, allow_http=True, allow_private=LOOPBACK) is None
    assert webhook_url_problem(url, allow_http=False, allow_private=LOOPBACK)
    assert webhook_url_problem("http://10.0.0.1/", allow_http=True, allow_private=LOOPBACK)


@given(st.text(max_size=60))
def test_any_url_gets_an_answer(url: str) -> None:
    for text in (url, f"https://{url}"):
        webhook_url_problem(text, allow_http=False, allow_private=LOOPBACK)


@pytest.mark.parametrize(
    ("stored", "level"),
    [
        ({}, None),
        ({"verbose_logging": False}, None),
        ({"log_level": "warning"}, "WARNING"),
        ({"log_level": "error", "verbose_logging": True}, "DEBUG"),
    ],
)
def test_the_log_level_that_was_set(stored: dict[str, Any], level: str | None) -> None:
    assert log_level(stored) == level


@pytest.mark.parametrize(
    ("url", "ports", "fine"),
    [
        ("https://example.com/", {443, 8443}, True),
        ("https://example.com:8443/", {443, 8443}, True),
        ("https://example.com:444/", {443, 8443}, False),
        ("https://8.8.8.8:444/", {443, 8443}, False),
        ("https://8.8.8.8:0/", {443, 8443}, False),
        # A listed network and a name that may lie in one have any port.
        ("https://10.0.0.1:5000/", {443}, True),
        ("https://hook.internal:5000/", {443}, True),
        ("https://8.8.8.8:5000/", {443}, False),
    ],
)
def test_ports(url: str, ports: set[int], fine: bool) -> None:
    private = (ipaddress.ip_network("10.0.0.0/8"),) if ports == {443} else ()
    problem = webhook_url_problem(url, allow_http=False, allow_private=private, ports=ports)
    assert (problem is None) is fine
    assert fine or "WAROUTER_WEBHOOK_PORTS" in str(problem)
