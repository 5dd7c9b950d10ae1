"""The cookie of a session."""

from __future__ import annotations

from aiohttp import web

from warouter.access.token import hash_of, new_token
from warouter.console.session import Cookies


def fields(response: web.StreamResponse) -> list[str]:
    return sorted(part.strip() for part in response.cookies.output(header="").split(";"))


def test_under_tls_the_cookie_is_this_hosts_alone() -> None:
    cookies, session, response = Cookies(tls=True), new_token(), web.Response()
    cookies.set(response, session)
    assert fields(response) == [
        *("HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict", "Secure"),
        f"__Host-warouter={session}",
    ]
    cookies.clear(response)
    assert {"Secure", "Path=/", "Max-Age=0"} <= set(fields(response))


def test_on_loopback_without_tls_it_has_no_prefix_that_browsers_would_refuse() -> None:
    cookies, session, response = Cookies(tls=False), new_token(), web.Response()
    cookies.set(response, session)
    assert fields(response) == [
        *("HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict"),
        f"warouter={session}",
    ]


def test_an_id_has_256_bits_and_only_its_hash_is_kept() -> None:
    drawn = {new_token() for _ in range(100)}
    assert len(drawn) == 100
    assert {(len(each), len(hash_of(each))) for each in drawn} == {(43, 32)}
