"""Where a request comes from, and what of it is limited."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from warouter.http.source import is_from_this_host, limited_address, source_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # no proxy of ours: its word is nothing
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # the client wrote 1.1.1.1
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.2.2.2"], "198.51.100.1"),  # two proxies
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("", ["198.51.100.1"], ""),  # a Unix socket
    ],
)
def test_source(peer: str, forwarded: list[str], source: str) -> None:
    headers = CIMultiDict([("X-Forwarded-For", line) for line in forwarded])
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=peer)
    assert source_of(request, PROXIES) == source


@pytest.mark.parametrize(
    ("source", "limited"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("192.168.1.1", "192.168.1.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1", None),
        ("127.8.8.8", None),
        ("::1", None),
        ("10.1.2.3", None),
        ("fd12::1", None),
        ("", None),
    ],
)
def test_sources_that_share_a_limit(source: str, limited: str | None) -> None:
    assert limited_address(source, PROXIES) == limited


FORWARDED = "X-Forwarded-For"
LOOPBACKS = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("peer", "headers", "here", "behind"),
    [
        ("127.0.0.1", [], True, True),
        ("127.8.8.8", [], True, True),
        ("::1", [], True, True),
        ("::ffff:127.0.0.1", [], True, True),
        ("127.0.0.1", [("Host", "public.example")], True, True),
        *[
            (peer, [], False, False)
            for peer in ("192.0.2.2", "10.0.0.1", "172.17.0.1", "fe80::1%eth0", "0.0.0.0", "::", "")
        ],
        # A proxy on this host: its word counts if it is trusted, and none of its doubts do.
        ("127.0.0.1", [(FORWARDED, "127.0.0.1")], False, True),
        ("::1", [(FORWARDED, "[::1]:4711")], False, True),
        ("127.0.0.1", [(FORWARDED, "127.0.0.1"), ("Via", "1.1 front")], False, True),
        ("127.0.0.1", [(FORWARDED, "203.0.113.9")], False, False),
        ("127.0.0.1", [(FORWARDED, "127.0.0.1, 203.0.113.9")], False, False),  # the client lies
        ("127.0.0.1", [(FORWARDED, "203.0.113.9, 127.0.0.1")], False, False),
        ("127.0.0.1", [(FORWARDED, "203.0.113.9"), (FORWARDED, "127.0.0.1")], False, False),
        ("127.0.0.1", [(FORWARDED, "unknown")], False, False),
        ("127.0.0.1", [(FORWARDED, "203.0.113.9, unknown")], False, False),
        ("127.0.0.1", [(FORWARDED, "127.0.0.1, ")], False, False),
        ("127.0.0.1", [(FORWARDED, "")], False, False),
        ("127.0.0.1", [("Forwarded", "for=203.0.113.9")], False, False),
        ("127.0.0.1", [("Forwarded", "for=127.0.0.1")], False, False),  # read by nobody
        ("127.0.0.1", [("X-Real-IP", "127.0.0.1")], False, False),
        ("127.0.0.1", [("Via", "1.1 front")], False, False),
        # From elsewhere no header helps.
        ("192.0.2.2", [(FORWARDED, "127.0.0.1")], False, False),
        ("", [(FORWARDED, "127.0.0.1")], False, False),
    ],
)
def test_a_client_on_this_host_is_known(
    peer: str, headers: list[tuple[str, str]], here: bool, behind: bool
) -> None:
    """``here``: without trusted proxies; ``behind``: where loopback is one."""
    request = make_mocked_request("GET", "/", headers=CIMultiDict(headers)).clone(remote=peer)
    assert is_from_this_host(request, ()) is here
    assert is_from_this_host(request, PROXIES) is here
    assert is_from_this_host(request, LOOPBACKS) is behind


def test_a_trusted_proxy_elsewhere_cannot_speak_for_this_host() -> None:
    headers = CIMultiDict([(FORWARDED, "127.0.0.1")])
    request = make_mocked_request("GET", "/", headers=headers).clone(remote="10.0.0.1")
    assert is_from_this_host(request, PROXIES) is False
