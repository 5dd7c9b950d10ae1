"""Log in at the console, and what its sessions are good for, with the process itself."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
import pytest_asyncio
from multidict import CIMultiDict

from tests.harness.api import FULL_USER_HASH, USER_PASSWORD, basic
from tests.harness.console import Console, logins_of
from tests.harness.wait import PATIENCE
from tests.integration.test_user_cli import Webapp
from warouter.access.login import seed_administrator
from warouter.access.passwords import Passwords
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.store.account.accounts import ADMIN, USER, Accounts
from warouter.store.account.logins import Limits

LOGIN, HOME = "/console/login", "/console/"
GOOD = "G00d!passw"
Made = Callable[..., Console]


@pytest.fixture
def folder() -> AsyncIterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="warouter-test-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest_asyncio.fixture
async def kinds(settings: Settings, pool: asyncpg.Pool) -> dict[str, Settings]:
    """Settings by kind of login. There are an administrator and a user, both with USER_PASSWORD."""
    accounts = Accounts(pool)
    await accounts.create_user("admin", FULL_USER_HASH, ADMIN)
    await accounts.create_user("robert", FULL_USER_HASH, USER)
    return await logins_of(settings)


@pytest_asyncio.fixture
async def made(kinds: dict[str, Settings], folder: Path) -> AsyncIterator[Made]:
    """Makes a console; it is stopped in the end."""
    consoles = []

    def make(**environment: str) -> Console:
        console = Console(kinds["web_console"], folder / str(len(consoles)), environment)
        consoles.append(console)
        return console

    yield make
    for console in consoles:
        await console.process.stop()


@pytest_asyncio.fixture
async def console(made: Made) -> Console:
    console = made()
    await console.process.start()
    return console


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
    console: Console, pool: asyncpg.Pool
) -> None:
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


async def test_failures_count_for_the_api_and_the_console_together(
    console: Console, settings: Settings, folder: Path
) -> None:
    webapp = Webapp(settings, folder)
    try:
        await webapp.process.start()
        for _ in range(Limits().failures):
            await console.ask(LOGIN, {"username": "robert", "password": "wrong"})
        authorization = basic("robert", USER_PASSWORD)
        assert (await webapp.call("POST", "/v1/users/login", authorization))[0] == 429
    finally:
        await webapp.process.stop()


async def test_log_out_ends_the_session_on_every_console(
    console: Console, made: Made, pool: asyncpg.Pool
) -> None:
    other = made()
    await other.process.start()
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


async def test_a_token_is_no_cookie_and_a_session_no_token(
    console: Console, settings: Settings, folder: Path
) -> None:
    webapp = Webapp(settings, folder)
    try:
        await webapp.process.start()
        token = await webapp.token_of("admin", USER_PASSWORD)
        session = await console.log_in("admin", USER_PASSWORD)
        assert await webapp.opens(token)
        assert not await webapp.opens(session)
        assert (await console.ask(HOME, cookie=session)).status == 200
        assert (await console.ask(HOME, cookie=token)).status == 303
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await console.ask(HOME, headers=bearer)).status == 303
    finally:
        await webapp.process.stop()


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
async def fresh(kinds: dict[str, Settings], pool: asyncpg.Pool) -> None:
    """`admin` has the password that it came with."""
    await pool.execute("delete from user_account where username = 'admin'")
    passwords = Passwords()
    await seed_administrator(Accounts(pool), passwords)
    passwords.close()


FIRST = {"username": "admin", "new_password": GOOD, "again": GOOD}


async def test_as_long_as_admin_has_its_first_password_another_is_all_that_is_offered(
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


async def test_from_afar_it_is_not_set(fresh: None, made: Made) -> None:
    """What a proxy brings from elsewhere is from elsewhere."""
    console = made(WAROUTER_TRUSTED_PROXIES="127.0.0.1")
    await console.process.start()
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
async def behind(made: Made) -> Console:
    """A console that takes the word of a proxy on loopback."""
    console = made(WAROUTER_CONSOLE_USER_HEADER=HEADER, WAROUTER_TRUSTED_PROXIES="127.0.0.1")
    await console.process.start()
    return console


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


async def test_the_word_of_nobody_else_counts(made: Made) -> None:
    console = made(WAROUTER_CONSOLE_USER_HEADER=HEADER, WAROUTER_TRUSTED_PROXIES="192.0.2.1")
    await console.process.start()
    page = await console.ask(LOGIN, headers={HEADER: "admin"})
    assert (page.status, page.cookie) == (200, "")
    plain = made()
    await plain.process.start()
    page = await plain.ask(LOGIN, headers={HEADER: "admin"})
    assert (page.status, page.cookie) == (200, "")


# ---------------------------------------------------------------- the login of PostgreSQL


async def test_the_console_runs_under_no_login_of_another_kind(
    kinds: dict[str, Settings], pool: asyncpg.Pool, folder: Path
) -> None:
    wrong = Console(kinds["console"], folder, {})
    with pytest.raises(CommandError, match="set WA_DB_USERNAME to warouter_web_console"):
        await wrong.process.start()
    await wrong.process.stop()
    await pool.execute("delete from database_role where kind = 'web_console'")
    with pytest.raises(CommandError, match="makes the login of kind web_console"):
        await wrong.process.start()
    await wrong.process.stop()
