"""What a forger sends: forms of other sites, other hosts' names, sessions chosen or ended."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio

from tests.console.plain import COOKIE, LOGIN, LOGOUT, OWN, Plain
from tests.console.site import HOSTILE, Person, Site
from tests.harness.wait import soon
from warouter.console.pages import ACTS, EXPORTS, PAGES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("console")]

POSTS = [LOGIN, LOGOUT, *(act.path for act in ACTS)]
GETS = [page.path for page in PAGES]
POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# The page's own origin stands for OWN_ORIGIN.
OWN_ORIGIN = "own"
FOREIGN = [
    {},
    {"Referer": OWN_ORIGIN},
    {"Origin": "null"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": f"{OWN_ORIGIN}.evil.example"},
    {"Origin": f"{OWN_ORIGIN}/"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "same-origin, cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": OWN_ORIGIN},
    {"Sec-Fetch-Site": "none", "Origin": OWN_ORIGIN},
    {"Sec-Fetch-Site": "cross-site", "X-Requested-With": "XMLHttpRequest", "HX-Request": "true"},
]


def sent(headers: dict[str, str], site: Site) -> dict[str, str]:
    return {name: value.replace(OWN_ORIGIN, site.origin) for name, value in headers.items()}


@pytest_asyncio.fixture(loop_scope="session")
async def plain(shared: Site) -> AsyncIterator[Plain]:
    async with Plain(shared) as client:
        yield client


async def rows(site: Site) -> int:
    """How much has been done, by the audit log and its sums."""
    count: int = await site.facts.connection.fetchval(
        "select (select count(*) from audit) + (select count(*) from audit_pending)"
    )
    return count


async def begun(site: Site) -> int:
    """How many acts have begun, which those that are refused at once have not."""
    count: int = await site.facts.connection.fetchval(
        "select count(*) from audit where outcome = 'begun'"
    )
    return count


@pytest.mark.parametrize("path", POSTS)
async def test_a_form_of_another_site_is_refused(shared: Site, plain: Plain, path: str) -> None:
    session = await plain.session_of("admin")
    before = await rows(shared)
    for headers in FOREIGN:
        got = await plain.post(
            shared.place(path), session, shared.people["admin"]._asdict(), sent(headers, shared)
        )
        assert (got.status, got.session) == (403, ""), headers
    assert await rows(shared) == before
    assert await plain.lives(session)


async def test_a_form_of_another_site_leaves_a_line_in_the_log(shared: Site, plain: Plain) -> None:
    log = shared.cluster.processes["console-1"].log
    before = log.read_text().count("foreign request refused")
    await plain.post(LOGOUT, "", {}, {"Sec-Fetch-Site": "cross-site"})
    await soon(lambda: log.read_text().count("foreign request refused") == before + 1)


@pytest.mark.parametrize("headers", [OWN, {"Origin": OWN_ORIGIN}], ids=["fetch", "origin"])
async def test_a_form_of_a_page_of_its_own_is_taken(
    shared: Site, plain: Plain, headers: dict[str, str]
) -> None:
    got = await plain.log_in(shared.people["guest"], headers=sent(headers, shared))
    assert got.status == 303
    assert (await plain.post(LOGOUT, got.session, {}, sent(headers, shared))).status == 303
    assert not await plain.lives(got.session)


async def test_no_get_changes_anything(shared: Site, plain: Plain) -> None:
    session = await plain.session_of("admin")
    before = await rows(shared)
    for path in POSTS:
        got = await plain.get(shared.place(path), session, **OWN)
        assert got.status in (404, 405) or path == LOGIN or path in GETS, (path, got.status)
    for method in ("PUT", "PATCH", "DELETE"):
        assert (await plain.ask(method, "/console/", session, headers=OWN)).status in (404, 405)
    assert await rows(shared) == before
    assert await plain.lives(session)


@pytest.mark.parametrize("path", [act.path for act in ACTS])
async def test_readers_cannot_act(shared: Site, plain: Plain, path: str) -> None:
    session = await plain.session_of("reader")
    before = await begun(shared)
    got = await plain.post(shared.place(path), session, {"id": "1", "shards": "4"})
    assert got.status == 403
    assert await begun(shared) == before


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "localhost:80:80", "@"],
)
async def test_no_other_host_is_answered(shared: Site, plain: Plain, host: str) -> None:
    """A name that is made to resolve to loopback is not one of this console."""
    session = await plain.session_of("admin")
    for path in ("/console/", LOGIN, "/console/stream?page=cluster"):
        got = await plain.get(path, session, Host=host)
        assert got.status in (400, 421), (path, got.status)
        assert shared.message_id not in got.text
    got = await plain.log_in(
        shared.people["admin"], headers={"Host": host, "Origin": f"http://{host}"}
    )
    assert got.status in (400, 421)
    assert not got.session


async def test_an_id_that_was_chosen_beforehand_is_nobody_s(shared: Site, plain: Plain) -> None:
    """Session fixation: each login has a new id, and what came with it is worth nothing."""
    for chosen in ("x" * 43, "A" * 64, await plain.session_of("reader")):
        got = await plain.log_in(shared.people["guest"], chosen)
        assert got.status == 303
        assert got.session != chosen
        assert await plain.lives(got.session)
    for chosen in ("x" * 43, "A" * 64):
        assert not await plain.lives(chosen)


async def test_a_logout_ends_the_session_everywhere(shared: Site, plain: Plain) -> None:
    session, other = await plain.fresh("guest"), await plain.fresh("guest")
    async with aiohttp.ClientSession() as http:
        url = f"{shared.origin}/console/stream?page=cluster"
        async with http.get(url, headers={"Cookie": f"{COOKIE}={session}"}) as stream:
            assert stream.status == 200
            assert await stream.content.readany()
            got = await plain.post(LOGOUT, session, {})
            assert got.status == 303
            assert got.location.startswith(LOGIN)
            async for _data in stream.content.iter_any():  # until the console ends it
                pass
    assert not await plain.lives(session)
    assert await plain.lives(other)


# As if so much time had passed: by the database's clock.
UNSEEN = """
update console_session
   set seen_at = seen_at - age, expires_at = expires_at - age, created_at = created_at - age
  from (select interval '31 minutes' as age) as passed where username = 'guest'"""
OLD = """
update console_session
   set seen_at = seen_at - interval '2 minutes', created_at = created_at - interval '12 hours'
 where username = 'guest'"""


@pytest.mark.parametrize("passed", [UNSEEN, OLD], ids=["unseen", "old"])
async def test_a_session_ends_by_itself(shared: Site, plain: Plain, passed: str) -> None:
    session = await plain.fresh("guest")
    assert await plain.lives(session)
    await shared.facts.connection.execute(passed)
    assert not await plain.lives(session)
    got = await plain.get("/console/stream?page=cluster", session)
    assert got.status == 401


async def test_another_password_ends_all_sessions(shared: Site, plain: Plain) -> None:
    someone = Person("someone", "S0meone!passw0rd")
    await shared.business.call("POST", "/v1/users", json=someone._asdict())
    sessions = [(await plain.log_in(someone)).session for _ in range(2)]
    assert [await plain.lives(one) for one in sessions] == [True, True]
    body = {"password": "An0ther!passw0rd"}
    await shared.business.call("PUT", "/v1/users/someone", json=body)
    assert [await plain.lives(one) for one in sessions] == [False, False]
    assert (await plain.log_in(someone)).status == 401


async def test_a_token_is_no_session_and_a_session_no_token(shared: Site, plain: Plain) -> None:
    token = shared.business.headers["Authorization"].removeprefix("Bearer ")
    assert not await plain.lives(token)
    got = await plain.get("/console/", "", Authorization=f"Bearer {token}")
    assert (got.status, got.location[: len(LOGIN)]) == (303, LOGIN)
    session = await plain.session_of("admin")
    status, _ = await shared.business.try_call(
        "GET", "/v1/health", headers={"Authorization": f"Bearer {session}"}
    )
    assert status == 401


async def test_the_cookie_is_for_this_site_and_no_script(shared: Site, plain: Plain) -> None:
    got = await plain.log_in(shared.people["guest"])
    fields = {part.strip().lower() for part in got.headers["Set-Cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= fields
    assert not any(field.startswith("domain") for field in fields)
    assert len(got.session) >= 43  # 256 bits


async def test_every_answer_has_the_policy(shared: Site, plain: Plain) -> None:
    session = await plain.session_of("admin")
    page = await plain.get("/console/", session)
    files = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page.text)
    assert files
    for path in (*GETS, LOGIN, "/console/nothing", "/", *files):
        got = await plain.get(shared.place(path), session)
        assert {name: got.headers.get(name) for name in POLICY} == POLICY, path
        stored = "immutable" if path in files else "no-store"
        assert stored in got.headers["Cache-Control"], path


async def test_strangers_are_shown_nothing(shared: Site, plain: Plain) -> None:
    for path in (*GETS, *(export.path for export in EXPORTS)):
        for session in ("", "x" * 43):
            got = await plain.get(shared.place(path), session)
            assert got.status == 303, path
            assert got.location.startswith(LOGIN)
    for name in ("next", "back"):
        for where in ("//evil.example", "https://evil.example", "/console/\\evil", "\r\nX: 1"):
            fields = {**shared.people["guest"]._asdict(), name: where}
            got = await plain.post(LOGIN, "", fields)
            assert got.status == 303
            assert re.match(r"/console/(?!/)", got.location), (name, where, got.location)


@pytest.mark.parametrize("path", GETS)
async def test_hostile_strings_are_only_ever_text(shared: Site, plain: Plain, path: str) -> None:
    session = await plain.session_of("admin")
    page = await plain.get(shared.place(path), session)
    names = set(re.findall(r'<(?:input|select)[^>]* name="([^"]+)"', page.text))
    for text in (HOSTILE, "x" * 6_000, "\0", "-1", "9" * 40):
        for name in (*names, "said", "audit"):
            got = await plain.get(f"{shared.place(path)}?{name}={quote(text)}", session)
            assert got.status in (200, 400, 404), (name, text[:9], got.status)
            assert "<img src=x" not in got.text, (name, text[:9])
    if "{" in path:
        got = await plain.get(re.sub(r"\{\w+\}", quote(HOSTILE, safe=""), path), session)
        assert got.status in (400, 404)
        assert "<img src=x" not in got.text


async def test_hostile_names_are_only_ever_text(shared: Site, plain: Plain) -> None:
    got = await plain.log_in(Person(HOSTILE, "x"))
    assert got.status == 401
    assert "<img" not in got.text.replace('<img src="/console/static', "")
    got = await plain.log_in(Person("x" * 10_000, "y" * 10_000))
    assert 400 <= got.status < 500


@pytest.mark.parametrize("path", [act.path for act in ACTS])
async def test_an_act_without_its_fields_is_refused_with_a_sentence(
    shared: Site, plain: Plain, path: str
) -> None:
    session = await plain.session_of("admin")
    for fields in ({}, {"typed": HOSTILE, "id": HOSTILE, "shards": HOSTILE}):
        got = await plain.post(shared.place(path), session, fields)
        assert got.status < 500, got.text
        if got.status == 303:
            said = await plain.get(got.location, session)
            assert said.status == 200
            assert "<img src=x" not in said.text


async def test_a_form_has_a_bound(shared: Site, plain: Plain) -> None:
    session = await plain.session_of("admin")
    for path in (LOGIN, *(act.path for act in ACTS)):
        got = await plain.post(shared.place(path), session, {"id": "x" * 70_000})
        assert got.status == 413, path


async def test_a_session_has_twenty_streams(shared: Site, plain: Plain) -> None:
    session = await plain.session_of("reader")
    url = f"{shared.origin}/console/stream?page=cluster"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, headers={"Cookie": f"{COOKIE}={session}"}
    ) as http:
        streams = [await http.get(url) for _ in range(20)]
        assert {stream.status for stream in streams} == {200}
        async with http.get(url) as refused:
            assert refused.status == 429
        streams.pop().close()

        async def free() -> bool:
            async with http.get(url) as again:
                return again.status == 200

        await soon(free)
        for stream in streams:
            stream.close()


async def test_the_log_names_no_session_and_no_password(shared: Site, plain: Plain) -> None:
    session = await plain.fresh("admin")
    await plain.get("/console/?x=" + session, session)
    log = shared.cluster.processes["console-1"].log.read_text()
    assert session not in log
    assert json.dumps(shared.people["admin"].password)[1:-1] not in log
