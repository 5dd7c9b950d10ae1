"""What no browser sends, and what is nobody's to see, with the process itself."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web

from tests.campaigns.fuzz import framings
from tests.harness.api import FULL_USER_HASH, USER_PASSWORD
from tests.harness.console import COOKIE, OF_A_PAGE, Console, Consoles, begin_anew
from tests.harness.served import serving
from tests.harness.wait import PATIENCE, soon
from warouter.config import Settings
from warouter.console.api import Api
from warouter.console.pages import ACTS
from warouter.console.simulator import SimulatorClient
from warouter.console.visit import ConsoleRefusal, Visitor
from warouter.errors import ConfigError
from warouter.store.account.logins import Limits
from warouter.store.account.sessions import ConsoleSessions
from warouter.store.database import create_pool

pytestmark = pytest.mark.xdist_group("hostile console")

FIELDS = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=()",
    "Cache-Control": "no-store",
    "Server": "warouter",
}
ENCODED = b"Content-Type: application/x-www-form-urlencoded\r\n"
TEST = b"POST /console/webhook/test HTTP/1.1\r\n"


@pytest.fixture(scope="module")
def settings(consoles: Consoles) -> Settings:
    return consoles.settings


@pytest_asyncio.fixture(autouse=True)
async def people(pool: asyncpg.Pool) -> None:
    await begin_anew(pool)


@pytest_asyncio.fixture
async def console(consoles: Consoles) -> Console:
    return await consoles.one()


class Raw(NamedTuple):
    """An answer as it came."""

    status: int
    fields: dict[str, str]
    body: bytes


async def raw(console: Console, request: bytes) -> Raw:
    """The answer to these bytes; the server must end the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", console.port)
    try:
        writer.write(request)
        async with asyncio.timeout(PATIENCE):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return Raw(int(first.split()[1]), fields, body)


def head(console: Console, cookie: str, first: bytes, more: bytes = b"") -> bytes:
    fields = {"Host": f"127.0.0.1:{console.port}", "Connection": "close", **OF_A_PAGE}
    if cookie:
        fields["Cookie"] = f"{COOKIE}={cookie}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return first + lines.encode() + more + b"\r\n"


def missing(answer: Raw) -> set[str]:
    return {name for name, part in FIELDS.items() if part not in answer.fields.get(name, "")}


async def test_malformed_http_gets_the_policy_and_is_not_quoted(console: Console) -> None:
    cookie = await console.log_in("admin", USER_PASSWORD)
    for request in (
        b"<img src=x onerror=alert(1)>\r\n\r\n",
        head(console, cookie, b"GET /console/ HTTP/1.1\r\n", b"<img src=x>\r\n"),
        head(console, cookie, b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n"),
        head(console, cookie, b"GET /console/ HTTP/1.1\r\n", b"Expect: <img>\r\n"),
        head(console, cookie, b"OPTIONS * HTTP/1.1\r\n"),
        head(console, cookie, b"TRACE /console/ HTTP/1.1\r\n"),
        head(console, cookie, b"GET /console/failovers.json HTTP/1.1\r\n"),
        head(console, cookie, b"GET /console/failovers.json?reason=x HTTP/1.1\r\n"),
        head(console, "", b"GET /console/?x=%0d%0aX:1 HTTP/1.1\r\n"),
        head(console, "", b"GET /console/stream?page=cluster HTTP/1.1\r\n"),
        head(console, cookie, b"GET /console/stream?page=message HTTP/1.1\r\n"),
    ):
        answer = await raw(console, request)
        assert missing(answer) == set(), request[:60]
        assert b"<img src=x" not in answer.body, request[:60]
        assert "X" not in answer.fields
    log = console.process.log.read_text()
    assert cookie not in log
    assert "Traceback" not in log


async def test_the_console_refuses_the_same_http_as_the_api(console: Console) -> None:
    """One front door for both: no proxy can be led to see another end of a request than we do."""
    here = b"Host: 127.0.0.1:%d" % console.port
    cases = {
        name: framings.odd("none", b"a=b", **parts) for name, parts in framings.REFUSED.items()
    }
    cases |= {
        name: framings.chunked("none", chunks) for name, chunks in framings.REFUSED_CHUNKS.items()
    }
    read = {}
    for name, case in cases.items():
        request = case.replace(b"Host: localhost:9090", here)
        answer = await raw(console, request + head(console, "", b"GET /console/login HTTP/1.1\r\n"))
        if answer.status not in (400, 431) or b"HTTP/1.1 " in answer.body or missing(answer):
            read[name] = answer
    assert read == {}


async def test_the_consoles_connections_are_limited_and_silent_ones_are_closed(
    consoles: Consoles,
) -> None:
    console = await consoles.one(WAROUTER_CONNECTIONS="3")
    mute = [await asyncio.open_connection("127.0.0.1", console.port) for _ in range(3)]
    mute[0][1].write(b"GET /console/login HTTP/1.1\r\nHost: ")
    answer = await raw(console, b"")
    assert (answer.status, missing(answer)) == (503, set())
    assert answer.body == b"There are too many connections; retry later.\n"
    async with asyncio.timeout(PATIENCE):  # ten seconds for a head; nothing is said to the mute
        said = [await reader.read() for reader, _ in mute]
    assert [text[:13] for text in said] == [b"HTTP/1.1 408 ", b"", b""]
    for _, writer in mute:
        writer.close()
    assert (await console.ask("/console/login")).status == 200


@pytest.mark.parametrize(
    ("fields", "body", "status"),
    [
        (ENCODED, b"id=\xff", 400),
        (ENCODED, b"id=%ff", 400),
        (ENCODED, b"&".join([b"i="] * 2_001), 400),
        (ENCODED.replace(b"\r\n", b"; charset=no-such\r\n"), b"a=b", 303),
        (ENCODED + b"Content-Encoding: gzip\r\n", gzip.compress(b"a" * 1_000_000), 415),
        (ENCODED + b"Content-Encoding: gzip\r\n", b"none", 415),
        (b"Content-Type: multipart/form-data\r\n", b"a=b", 415),
        (b"Content-Type: multipart/form-data; boundary=x\r\n", b"--x\r\nA: b\r\n\r\nc\r\n--x", 415),
        (b"Content-Type: text/plain\r\n", b"a=b", 415),
        (b"Content-Type: application/json\r\n", b"{}", 415),
        (b"", b"a=b", 415),
    ],
)
async def test_a_form_is_what_a_browser_sends_or_nothing(
    console: Console, pool: asyncpg.Pool, fields: bytes, body: bytes, status: int
) -> None:
    cookie = await console.log_in("admin", USER_PASSWORD)
    length = f"Content-Length: {len(body)}\r\n".encode()
    answer = await raw(console, head(console, cookie, TEST, fields + length) + body)
    assert answer.status == status
    assert missing(answer) == set()
    assert (await pool.fetchval("select count(*) from audit") > 0) == (status == 303)
    assert "Traceback" not in console.process.log.read_text()
    first = b"POST /console/login HTTP/1.1\r\n"
    answer = await raw(console, head(console, "", first, fields + length) + body)
    assert answer.status == (401 if status == 303 else status)


async def test_every_act_that_a_reader_is_refused_stands_in_the_audit_log(
    console: Console, pool: asyncpg.Pool
) -> None:
    cookie = await console.log_in("robert", USER_PASSWORD)
    for act in ACTS:
        path = act.path.replace("{id}", "<img src=x>")
        assert (await console.ask(path, {"id": "1"}, cookie=cookie)).status == 403, path
    refused = {(act.action, "robert", "127.0.0.1", "403/1005 Access denied") for act in ACTS}

    async def noted() -> bool:
        rows = await pool.fetch(
            "select action, actor, source, outcome from audit_pending where action <> 'log in'"
            " union select action, actor, source, outcome from audit where action <> 'log in'"
        )
        return {tuple(row) for row in rows} == refused

    await soon(noted)


@pytest.mark.parametrize("trusted", ["", "192.0.2.1", "127.0.0.1"])
async def test_guesses_count_for_the_address_that_a_trusted_proxy_names(
    consoles: Consoles, trusted: str
) -> None:
    behind = await consoles.one(**({"WAROUTER_TRUSTED_PROXIES": trusted} if trusted else {}))
    for n in range(Limits().failures):
        far = {"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.9"}
        wrong = {"username": "admin", "password": "wrong"}
        assert (await behind.ask("/console/login", wrong, headers=far)).status == 401
    right = {"username": "admin", "password": USER_PASSWORD}
    for address, status in (
        ("203.0.113.9", 429),
        ("198.51.100.1, 203.0.113.9", 429),
        # Without a proxy that is trusted, all come from here.
        ("203.0.113.10", 303 if trusted == "127.0.0.1" else 429),
    ):
        far = {"X-Forwarded-For": address}
        assert (await behind.ask("/console/login", right, headers=far)).status == status


async def test_a_command_to_copy_runs_nothing_else(console: Console) -> None:
    """A colleague's link has chosen the filter."""
    cookie = await console.log_in("admin", USER_PASSWORD)
    page = await console.ask("/console/failovers?node=x;%20touch%20/tmp/y%20%23", cookie=cookie)
    assert "--node &#39;x; touch /tmp/y #&#39;" in page.text


# ---------------------------------------------------------------- what the console asks


class Elsewhere(NamedTuple):
    """A server that answers with redirects to another one, and what came to that."""

    url: str
    came: list[web.Request]


@pytest_asyncio.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    came: list[web.Request] = []

    async def take(request: web.Request) -> web.Response:
        came.append(request)
        return web.json_response({"id": "x", "what": "simulator"})

    async def lead(request: web.Request) -> web.Response:
        headers = {"Location": other + request.path, "Set-Cookie": "a=b"}
        return web.Response(status=307, headers=headers)

    async with serving(take) as other, serving(lead) as url:
        yield Elsewhere(url, came)


@pytest.mark.parametrize(
    "url",
    ["", "localhost:9090", "ftp://localhost", "https://", "https://a:b@localhost", "https://h/?x=1",
     "https://h/#x", "https://h\r\nX: 1", "https://h:99999", "https://h\u0100"],
)  # fmt: skip
def test_an_address_of_the_api_that_is_none_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigError, match="WAROUTER_CONSOLE_API is no URL") as refused:
        Api(url, "", ConsoleSessions(None))  # type: ignore[arg-type]
    assert "a:b" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("http://api.internal:9090", True),
        ("http://192.0.2.9:9090", True),
        ("http://0.0.0.0:9090", True),
        ("https://api.internal:9090", False),
        ("http://localhost:9090", False),
        ("http://127.0.0.7:9090", False),
        ("http://[::1]:9090", False),
    ],
)
def test_no_token_goes_to_another_host_in_clear_text(url: str, refused: bool) -> None:
    if refused:
        with pytest.raises(ConfigError, match="plain http is for this host only"):
            Api(url, "", ConsoleSessions(None))  # type: ignore[arg-type]
    else:
        assert Api(url, "", ConsoleSessions(None)).url == url  # type: ignore[arg-type]


async def test_no_redirect_of_the_api_takes_a_token_or_a_body_along(
    consoles: Consoles, elsewhere: Elsewhere
) -> None:
    own = await create_pool(consoles.kinds["web_console"], "console", 2)
    sessions, session = ConsoleSessions(own), b"s" * 32
    await sessions.begin(1, "admin", FULL_USER_HASH, session, "192.0.2.7")
    api = Api(elsewhere.url, "", sessions)
    try:
        for method, body in (("GET", None), ("POST", {"secret": "whsec_x"})):
            with pytest.raises(ConsoleRefusal, match="answered 307") as refused:
                await api.call(Visitor("admin", True, session, ""), method, "/v1/x", body)
            assert refused.value.status == 502
    finally:
        await api.close()
        await own.close()
    assert elsewhere.came == []


async def test_no_redirect_of_the_simulator_is_followed(elsewhere: Elsewhere) -> None:
    simulator = SimulatorClient(elsewhere.url)
    try:
        with pytest.raises(ConsoleRefusal):
            await simulator.inject("4915112345678", "", json.dumps("text"))
    finally:
        await simulator.close()
    assert elsewhere.came == []
