"""Whose requests a console answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.console import guard

HOSTS = guard.hosts_of("127.0.0.1", "wa.example.com, 2001:db8::7")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:9080",
        "127.0.0.1:1",
        "[::1]:9080",
        "[::1]",
        "WA.example.com",
        "wa.example.com:443",
        "[2001:db8::7]:9080",
    ],
)
def test_a_console_answers_to_its_hosts_at_any_port(host: str) -> None:
    assert guard.known_host(host, HOSTS)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "wa.example.com.evil.example",
        "evil.example:9080",
        "wa.example.com:x",
        "127.0.0.1.nip.io",
        "::1",
        "localhost:9080:1",
        "wa.example.com@evil.example",
    ],
)
def test_any_other_host_is_refused(host: str | None) -> None:
    assert not guard.known_host(host, HOSTS)


@given(st.text())
def test_no_text_is_a_host_but_those_that_are_named(text: str) -> None:
    name, _, port = text.rpartition(":")
    named = text.lower() in HOSTS or (name.lower() in HOSTS and port.isascii() and port.isdigit())
    assert guard.known_host(text, HOSTS) == named


def test_the_listening_address_is_a_host_unless_it_is_any_address() -> None:
    assert guard.known_host("192.0.2.4:9080", guard.hosts_of("192.0.2.4", ""))
    assert not guard.known_host("0.0.0.0:9080", guard.hosts_of("0.0.0.0", ""))
    assert guard.known_host("[2001:db8::1]", guard.hosts_of("2001:db8::1", ""))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "", "SAME-ORIGIN"])
def test_a_request_of_another_site_is_foreign_whatever_its_origin(site: str) -> None:
    fields = {"Sec-Fetch-Site": site, "Host": "localhost", "Origin": "https://localhost"}
    assert not guard.same_origin(fields, "https")


def test_a_request_of_our_own_page_is_none_of_those() -> None:
    assert guard.same_origin({"Sec-Fetch-Site": "same-origin"}, "https")


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://localhost:9080", True),
        ("https://localhost:9080", False),  # another scheme
        ("http://localhost", False),  # another port
        ("http://evil.example", False),
        ("null", False),
        (None, False),  # whoever sends neither may be anybody
    ],
)
def test_without_fetch_metadata_the_origin_must_be_ours(origin: str | None, own: bool) -> None:
    fields = {"Host": "localhost:9080"} | ({} if origin is None else {"Origin": origin})
    assert guard.same_origin(fields, "http") is own


def test_no_origin_is_ours_where_the_host_is_missing() -> None:
    assert not guard.same_origin({}, "http")


def test_strict_transport_is_asked_for_under_tls_and_not_on_loopback() -> None:
    name = "Strict-Transport-Security"
    assert name in guard.headers("wa.example.com", tls=True)
    assert name not in guard.headers("wa.example.com", tls=False)
    assert name not in guard.headers("localhost:9080", tls=True)


def test_the_policy_allows_no_inline_text_and_no_other_host() -> None:
    policy = guard.headers("localhost", tls=True)["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["form-action"] == "'self'"
    assert "unsafe" not in policy
