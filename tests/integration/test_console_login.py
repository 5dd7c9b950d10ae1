"""Log in at the console, and what its sessions are good for, with the process itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
import pytest_asyncio
from multidict import CIMultiDict

from tests.harness.api import USER_PASSWORD, Api, serve
from tests.harness.console import Console, Consoles, begin_anew
from tests.harness.wait import PATIENCE
from warouter.access.login import seed_administrator
from warouter.access.passwords import Passwords
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.store.account.accounts import Accounts
from warouter.store.account.logins import Limits

pytestmark = pytest.mark.xdist_group("console log-ins")

LOGIN, HOME = "/console/login", "/console/"
GOOD = "G00d!passw"


@pytest.fixture(scope="module")
def settings(consoles: Consoles) -> Settings:
    return consoles.settings


@pytest_asyncio.fixture
async def people(pool: asyncpg.Pool) -> None:
    await begin_anew(pool)


@pytest_asyncio.fixture
async def console(consoles: Consoles, people: None) -> Console:
    return await consoles.one()


async def audited(pool: asyncpg.Pool) -> list[tuple[str, str, str, int]]:
    """(actor, action, outcome, times) of what is summed, written or not."""
    rows = await pool.fetch(
        "select actor, action, outcome, sum(times)::int as times from ("
        " select actor, action, outcome, times from audit where of is null"
        " union all select actor, action, outcome, times from audit_pending) a"
        " group by 1, 2, 3 order by 1, 2, 3"
    )
    return [tuple(row) for row in rows]


async def test_a_visitor_without_a_session_logs_in_and_comes_back(console: Console) -> None:
    asked = "/console/?slot=7"
    answer = await console.ask(asked)
    assert answer.status == 303
    assert urlsplit(answer.location).path == LOGIN
    assert parse_qs(urlsplit(answer.location).query) == {"next": [asked]}
    page = await console.ask(answer.location)
    assert (page.status, page.cookie) == (200, "")
    assert 'name="next" value="/console/?slot=7"' in page.text
    form = {"username": "admin", "password": USER_PASSWORD, "next": asked}
    came = await console.ask(LOGIN, form)
    assert (came.status, came.location) == (303, asked)
    assert (await console.ask(asked, cookie=came.cookie)).status == 200


@pytest.mark.parametrize(
    "wanted",
    ["https://example.org/", "//example.org/console/", "/v1/users", "/console/../v1/users",
     "/console/%2e%2e/v1", "/console/\\example.org", "/console//example.org", "javascript:x",
     "/console/login", "/console/logout", "/console/\r\nSet-Cookie: a=b", ""],
)  # fmt: skip
async def test_a_log_in_leads_nowhere_but_to_the_console(console: Console, wanted: str) -> None:
    form = {"username": "admin", "password": USER_PASSWORD, "next": wanted}
    assert (await console.ask(LOGIN, form)).location == HOME


async def test_wrong_passwords_are_counted_and_audited_as_at_the_api(
    consoles: Consoles, folder: Path, people: None, pool: asyncpg.Pool
) -> None:
    console = Console(consoles.kinds["web_console"], folder, {})
    await console.process.start()
    for name in ("admin", "nobody", "a\0b", "x" * 40):
        answer = await console.ask(LOGIN, {"username": name, "password": "wrong"})
        assert answer.status == 401
        assert "Invalid credentials." in answer.text
        assert answer.cookie == ""
    for _ in range(Limits().failures - 1):
        await console.ask(LOGIN, {"username": "admin", "password": "wrong"})
    answer = await console.ask(LOGIN, {"username": "admin", "password": USER_PASSWORD})
    assert answer.status == 429
    assert 0 < int(answer.headers["Retry-After"]) <= Limits().first
    assert "Too many failed attempts" in answer.text
    await console.log_in("robert", USER_PASSWORD)
    await console.process.stop()  # which writes what it has summed
    assert await audited(pool) == [
        ("", "log in", "401/1005 Access denied", 2),
        ("admin", "log in", "401/1005 Access denied", Limits().failures),
        ("admin", "log in", "429/1015 Too many requests", 1),
        ("nobody", "log in", "401/1005 Access denied", 1),
        ("robert", "log in", "done", 1),
    ]


@pytest_asyncio.fixture
async def api(people: None, pool: asyncpg.Pool) -> AsyncIterator[Api]:
    api = await serve(pool)
    yield api
    await api.client.close()


async def test_failures_count_for_the_api_and_the_console_together(
    console: Console, api: Api
) -> None:
    for _ in range(Limits().failures):
        await console.ask(LOGIN, {"username": "robert", "password": "wrong"})
    assert (await api.login("robert", USER_PASSWORD)).status == 429


async def test_log_out_ends_the_session_on_every_console(
    console: Console, consoles: Consoles, pool: asyncpg.Pool
) -> None:
    other = await consoles.one(2)
    cookie = await console.log_in("admin", USER_PASSWORD)
    kept = await console.log_in("admin", USER_PASSWORD)
    assert (await other.ask(HOME, cookie=cookie)).status == 200
    assert (await console.ask("/console/logout", cookie=cookie)).status == 405  # a GET
    assert (await other.ask(HOME, cookie=cookie)).status == 200
    out = await console.ask("/console/logout", {}, cookie=cookie)
    assert (out.status, out.location) == (303, "/console/login?out=1")
    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert "You are logged out." in (await console.ask(out.location)).text
    for each in (console, other):
        assert (await each.ask(HOME, cookie=cookie)).status == 303
        assert (await each.ask(HOME, cookie=kept)).status == 200
    assert ("admin", "log out", "done", 1) in await audited(pool)


async def test_an_id_of_somebodys_choice_is_nobodys_session(
    console: Console, pool: asyncpg.Pool
) -> None:
    """Session fixation: what is planted before a log-in is worth nothing after it."""
    planted = "A" * 43
    form = {"username": "admin", "password": USER_PASSWORD}
    first = await console.ask(LOGIN, form, cookie=planted)
    assert first.cookie not in ("", planted)
    assert (await console.ask(HOME, cookie=planted)).status == 303
    second = await console.ask(LOGIN, form, cookie=first.cookie)
    assert second.cookie not in ("", first.cookie)
    assert (await console.ask(HOME, cookie=first.cookie)).status == 303  # it has ended
    assert (await console.ask(HOME, cookie=second.cookie)).status == 200
    assert await pool.fetchval("select count(*) from console_session") == 1


async def test_the_cookie_is_for_this_server_and_for_no_script(console: Console) -> None:
    answer = await console.ask(LOGIN, {"username": "admin", "password": USER_PASSWORD})
    fields = {part.strip() for part in answer.headers["Set-Cookie"].split(";")[1:]}
    assert fields == {"HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict"}


async def test_a_token_is_no_cookie_and_a_session_no_token(console: Console, api: Api) -> None:
    token = await api.token_of("admin", USER_PASSWORD)
    session = await console.log_in("admin", USER_PASSWORD)
    assert (await api.call("GET", "/v1/health", token=token)).status == 200
    assert (await api.call("GET", "/v1/health", token=session)).status == 401
    assert (await console.ask(HOME, cookie=session)).status == 200
    assert (await console.ask(HOME, cookie=token)).status == 303
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await console.ask(HOME, headers=bearer)).status == 303


@pytest.mark.parametrize(
    "change",
    [
        "update user_account set password_hash = 'new' where username = 'robert'",
        "delete from user_account where username = 'robert'",
        "update console_session set expires_at = now()",
    ],
)
async def test_a_session_ends_at_once(console: Console, pool: asyncpg.Pool, change: str) -> None:
    cookie = await console.log_in("robert", USER_PASSWORD)
    assert (await console.ask(HOME, cookie=cookie)).status == 200
    await pool.execute(change)
    assert (await console.ask(HOME, cookie=cookie)).status == 303
    assert (await console.ask("/console/stream?page=cluster", cookie=cookie)).status == 401


async def test_a_page_that_keeps_itself_up_to_date_keeps_no_session_alive(
    console: Console, pool: asyncpg.Pool
) -> None:
    cookie = await console.log_in("admin", USER_PASSWORD)
    async with console.streaming("cluster", cookie) as stream:
        # Whoever is seen now goes on for half an hour. The stream asks every five seconds.
        await pool.execute("update console_session set seen_at = seen_at - interval '5 minutes'")
        await pool.execute("update console_session set expires_at = now() + interval '7 s'")
        await asyncio.wait_for(stream.read(), PATIENCE)
    assert await pool.fetchval("select expires_at < now() from console_session")


# ---------------------------------------------------------------- the first password


@pytest_asyncio.fixture
async def fresh(people: None, pool: asyncpg.Pool) -> None:
    """`admin` has the password that it came with."""
    await pool.execute("delete from user_account where username = 'admin'")
    passwords = Passwords()
    await seed_administrator(Accounts(pool), passwords)
    passwords.close()


FIRST = {"username": "admin", "new_password": GOOD, "again": GOOD}


async def test_with_the_first_password_admin_can_only_change_it(
    fresh: None, console: Console, pool: asyncpg.Pool
) -> None:
    page = await console.ask(LOGIN)
    assert "Set the first password" in page.text
    assert 'name="password"' not in page.text
    answer = await console.ask(LOGIN, FIRST)
    assert (answer.status, answer.location) == (303, HOME)
    assert (await console.ask(HOME, cookie=answer.cookie)).status == 200
    assert "Log in" in (await console.ask(LOGIN)).text
    assert await console.log_in("admin", GOOD)
    assert ("admin", "change password", "begun", 1) in await audited(pool)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"again": "0ther!Pass"}, "was not typed the same way twice"),
        ({"new_password": "short1A", "again": "short1A"}, "must have 8 to 64 characters"),
        ({"new_password": "", "again": ""}, "must be replaced first"),
    ],
)
async def test_a_first_password_that_is_none_is_refused(
    fresh: None, console: Console, pool: asyncpg.Pool, changed: dict[str, str], said: str
) -> None:
    answer = await console.ask(LOGIN, {**FIRST, **changed})
    assert answer.status in (400, 401)
    assert said in answer.text
    assert answer.cookie == ""
    assert await pool.fetchval("select must_change from user_account where username = 'admin'")


async def test_from_afar_it_is_not_set(fresh: None, consoles: Consoles) -> None:
    """What a proxy brings from elsewhere is from elsewhere."""
    console = await consoles.one(WAROUTER_TRUSTED_PROXIES="127.0.0.1")
    far = {"X-Forwarded-For": "203.0.113.9"}
    page = await console.ask(LOGIN, headers=far)
    assert "own host only" in page.text
    assert 'name="new_password"' not in page.text
    assert "warouter user set-password admin" in page.text
    answer = await console.ask(LOGIN, FIRST, headers=far)
    assert answer.status == 401
    assert "from this host only" in answer.text


# ---------------------------------------------------------------- by a proxy

HEADER = "X-Authenticated-User"


@pytest_asyncio.fixture
async def behind(consoles: Consoles, people: None) -> Console:
    """A console that takes the word of a proxy on loopback."""
    trusting = {"WAROUTER_CONSOLE_USER_HEADER": HEADER, "WAROUTER_TRUSTED_PROXIES": "127.0.0.1"}
    return await consoles.one(**trusting)


async def test_a_user_named_by_a_trusted_proxy_is_let_in(
    behind: Console, pool: asyncpg.Pool
) -> None:
    named = {HEADER: "robert", "X-Forwarded-For": "203.0.113.9"}
    sent = await behind.ask("/console/?slot=7", headers=named)
    answer = await behind.ask(sent.location, headers=named)
    assert (answer.status, answer.location) == (303, "/console/?slot=7")
    page = await behind.ask(HOME, cookie=answer.cookie, headers=named)
    assert page.status == 200
    assert "robert" in page.text
    assert await pool.fetchval("select source from console_session") == "203.0.113.9"
    assert ("robert", "log in", "done", 1) in await audited(pool)


async def test_a_session_is_not_handed_to_whom_the_proxy_names_next(behind: Console) -> None:
    first = await behind.ask(LOGIN, headers={HEADER: "robert"})
    assert first.cookie
    other = await behind.ask(HOME, cookie=first.cookie, headers={HEADER: "admin"})
    assert other.status == 303


@pytest.mark.parametrize("site", ["cross-site", "same-site", ""])
async def test_a_page_of_another_site_lets_nobody_in(
    behind: Console, pool: asyncpg.Pool, site: str
) -> None:
    """A browser that follows a link from elsewhere sends no cookie, and would go in a circle."""
    named = {HEADER: "robert", "Sec-Fetch-Site": site}
    sent = await behind.ask("/console/?slot=7", headers=named)
    page = await behind.ask(sent.location, headers=named)
    assert (page.status, page.cookie) == (200, "")
    assert await pool.fetchval("select count(*) from console_session") == 0
    assert 'href="/console/login?next=/console/%3Fslot%3D7">Go on as robert' in page.text
    for own in ("same-origin", "none"):
        came = await behind.ask(LOGIN, headers={HEADER: "robert", "Sec-Fetch-Site": own})
        assert came.status == 303


async def test_after_a_log_out_nobody_is_let_in_by_themselves(behind: Console) -> None:
    named = {HEADER: "robert"}
    cookie = (await behind.ask(LOGIN, headers=named)).cookie
    out = await behind.ask("/console/logout", {}, cookie=cookie, headers=named)
    page = await behind.ask(out.location, headers=named)
    assert (page.status, page.cookie) == (200, "")
    assert "Go on as robert" in page.text


@pytest.mark.parametrize("name", ["nobody", "", "a\tb", "x" * 40, "<b>"])
async def test_a_proxy_makes_no_users(behind: Console, name: str) -> None:
    page = await behind.ask(LOGIN, headers={HEADER: name})
    assert page.status == (401 if name else 200)
    assert page.cookie == ""
    assert "<b>" not in page.text


async def test_of_two_names_one_came_from_the_client(behind: Console) -> None:
    both = CIMultiDict([(HEADER, "robert"), (HEADER, "admin")])
    page = await behind.ask(LOGIN, headers=both)
    assert (page.status, page.cookie) == (200, "")


async def test_the_word_of_nobody_else_counts(console: Console, consoles: Consoles) -> None:
    trusting = {"WAROUTER_CONSOLE_USER_HEADER": HEADER, "WAROUTER_TRUSTED_PROXIES": "192.0.2.1"}
    for each in (console, await consoles.one(**trusting)):
        page = await each.ask(LOGIN, headers={HEADER: "admin"})
        assert (page.status, page.cookie) == (200, "")


# ---------------------------------------------------------------- the login of PostgreSQL


async def test_the_console_runs_under_no_login_of_another_kind(
    consoles: Consoles, pool: asyncpg.Pool, folder: Path
) -> None:
    wrong = Console(consoles.kinds["console"], folder, {})
    with pytest.raises(CommandError, match="set WA_DB_USERNAME to warouter_web_console"):
        await wrong.process.start()
    await wrong.process.stop()
    row = await pool.fetchrow("delete from database_role where kind = 'web_console' returning *")
    with pytest.raises(CommandError, match="makes the login of kind web_console"):
        await wrong.process.start()
    await wrong.process.stop()
    await pool.execute("insert into database_role values ($1, $2)", *row)
