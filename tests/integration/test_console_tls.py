"""The console under TLS, as whoever reaches it beyond loopback does."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import FULL_USER_HASH, USER_PASSWORD
from tests.harness.console import Console, logins_of
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.store.account.accounts import ADMIN, Accounts
from warouter.tls.certificate import self_signed

NAME = "console.example"
FORM = {"username": "admin", "password": USER_PASSWORD}
OWN = {"Sec-Fetch-Site": "same-origin"}


class Got(NamedTuple):
    status: int
    headers: Mapping[str, str]


class Secured:
    """A console with a certificate, asked under its name."""

    def __init__(self, console: Console, trust: ssl.SSLContext) -> None:
        self._console = console
        self._trust = trust

    async def ask(self, method: str, path: str, **sent: str) -> Got:
        headers = {"Host": f"{NAME}:{self._console.port}", **sent}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(
                method,
                f"https://127.0.0.1:{self._console.port}{path}",
                data=FORM if method == "POST" else None,
                headers=headers,
                ssl=self._trust,
                server_hostname=NAME,
                allow_redirects=False,
            ) as answer,
        ):
            await answer.read()
            return Got(answer.status, answer.headers)


@pytest_asyncio.fixture
async def web_console(settings: Settings, pool: asyncpg.Pool) -> Settings:
    await Accounts(pool).create_user(1, "admin", FULL_USER_HASH, ADMIN)
    return (await logins_of(settings))["web_console"]


@pytest_asyncio.fixture
async def secured(web_console: Settings, tmp_path: Path) -> AsyncIterator[Secured]:
    certificate, key = self_signed(NAME, [NAME])
    (tmp_path / "tls.crt").write_bytes(certificate)
    (tmp_path / "tls.key").write_bytes(key)
    (tmp_path / "tls.key").chmod(0o600)
    environment = {
        "WAROUTER_NO_TLS": "0",
        "WAROUTER_TLS_CERT": str(tmp_path / "tls.crt"),
        "WAROUTER_TLS_KEY": str(tmp_path / "tls.key"),
        "WAROUTER_CONSOLE_HOSTS": NAME,
    }
    console = Console(web_console, tmp_path / "console", environment)
    await console.process.start()
    yield Secured(console, ssl.create_default_context(cadata=certificate.decode()))
    await console.process.stop()


async def test_the_cookie_is_this_hosts_alone_and_no_other_is_taken(secured: Secured) -> None:
    came = await secured.ask("POST", "/console/login", **OWN)
    assert came.status == 303
    cookie, *fields = came.headers["Set-Cookie"].split("; ")
    assert set(fields) == {"HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict", "Secure"}
    name, _, session = cookie.partition("=")
    assert name == "__Host-warouter"
    page = await secured.ask("GET", "/console/", Cookie=cookie)
    assert page.status == 200
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    # Which a neighbour under the same domain could have set.
    assert (await secured.ask("GET", "/console/", Cookie=f"warouter={session}")).status == 303


async def test_a_form_of_the_same_name_without_tls_is_foreign(secured: Secured) -> None:
    for origin, status in ((f"http://{NAME}", 403), ("https://evil.example", 403)):
        got = await secured.ask("POST", "/console/login", Origin=origin)
        assert (got.status, "Set-Cookie" in got.headers) == (status, False)
    assert (await secured.ask("GET", "/console/login", Host="evil.example")).status == 421


async def test_beyond_loopback_there_is_no_console_without_tls(
    web_console: Settings, tmp_path: Path
) -> None:
    console = Console(web_console, tmp_path, {"WAROUTER_CONSOLE_LISTEN": "0.0.0.0:0"})
    with pytest.raises(CommandError, match="passwords are typed there"):
        await console.process.start()
    await console.process.stop()
