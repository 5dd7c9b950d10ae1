"""The page Access, with the process itself."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.api import FULL_USER_HASH, USER_PASSWORD
from tests.harness.console import Answer, Console, Consoles, begin_anew
from tests.harness.shell import printed, refused
from warouter.config import Settings
from warouter.store.account.accounts import USER, Accounts
from warouter.store.account.logins import USER as AT_USER
from warouter.store.account.logins import Logins
from warouter.store.audit import Audit
from warouter.store.refusal_sums import Note

pytestmark = pytest.mark.xdist_group("console access")

PAGE = "/console/access"
GOOD = "G00d!passw"
TYPED = {"password": GOOD, "again": GOOD}


@pytest.fixture(scope="module")
def settings(consoles: Consoles) -> Settings:
    return consoles.settings


@pytest_asyncio.fixture
async def console(consoles: Consoles, pool: asyncpg.Pool) -> Console:
    await begin_anew(pool)
    return await consoles.one()


@pytest_asyncio.fixture
async def admin(console: Console) -> str:
    return await console.log_in("admin", USER_PASSWORD)


async def acted(console: Console, cookie: str, act: str, **form: str) -> Answer:
    """The page that an act leads to."""
    answer = await console.ask(f"{PAGE}/{act}", form, cookie=cookie)
    assert answer.status == 303, answer.text
    assert answer.location.startswith(f"{PAGE}?said=")
    return await console.ask(answer.location, cookie=cookie)


async def users_of(pool: asyncpg.Pool) -> list[str]:
    return [r[0] for r in await pool.fetch("select username from user_account order by 1")]


async def test_a_user_from_beginning_to_end(
    console: Console, admin: str, pool: asyncpg.Pool
) -> None:
    said = await acted(console, admin, "create", username="clerk", **TYPED)
    assert "create user" in said.text
    assert "clerk" in said.text
    assert GOOD not in said.text
    clerk = await console.log_in("clerk", GOOD)
    page = await console.ask(PAGE, cookie=clerk)
    assert page.status == 200
    assert 'action="/console/access/create"' not in page.text  # who reads only is offered no act
    await acted(
        console, admin, "password", username="clerk", password="N3w!passw", again="N3w!passw"
    )
    assert (await console.ask(PAGE, cookie=clerk)).status == 303
    await console.log_in("clerk", "N3w!passw")
    await acted(console, admin, "remove", username="clerk", typed="clerk")
    assert await users_of(pool) == ["admin", "robert"]
    rows = await pool.fetch("select action, subject, outcome from audit where of is not null")
    assert [tuple(row) for row in rows] == [
        ("create user", "clerk", "done"),
        ("change password", "clerk", "done"),
        ("delete user", "clerk", "done"),
    ]


@pytest.mark.parametrize(
    ("act", "form", "said"),
    [
        ("create", {"username": "abc", **TYPED}, "Username must have 4 to 32 characters."),
        ("create", {"username": "robert", **TYPED}, "There is a user robert already"),
        ("create", {"username": "clerk", "password": GOOD, "again": "x"}, "not typed the same way"),
        ("create", {"username": "clerk", "password": "x", "again": "x"}, "must have 8 to 64"),
        ("create", TYPED, "username is required"),
        ("password", {"username": "nobody", **TYPED}, "There is no user nobody."),
        ("remove", {"username": "robert", "typed": "rob"}, "Type robert to confirm."),
        ("remove", {"username": "admin", "typed": "admin"}, "admin cannot be removed"),
        ("end", {"username": "nobody"}, "There is no user nobody."),
    ],
)
async def test_failed_acts_are_reported_and_audited(
    console: Console, admin: str, pool: asyncpg.Pool, act: str, form: dict[str, str], said: str
) -> None:
    page = await acted(console, admin, act, **form)
    assert said in page.text
    assert await users_of(pool) == ["admin", "robert"]
    assert said in await pool.fetchval("select outcome from audit where of is not null")


async def test_readers_cannot_act(console: Console, pool: asyncpg.Pool) -> None:
    robert = await console.log_in("robert", USER_PASSWORD)
    for act in ("create", "password", "remove", "end"):
        form = {"username": "robert", "typed": "robert", **TYPED}
        assert (await console.ask(f"{PAGE}/{act}", form, cookie=robert)).status == 403
    assert await users_of(pool) == ["admin", "robert"]
    assert (await console.ask(PAGE, cookie=robert)).status == 200


async def test_sessions_and_tokens_are_shown_and_ended(
    console: Console, admin: str, pool: asyncpg.Pool, settings: Settings
) -> None:
    robert = await console.log_in("robert", USER_PASSWORD)
    await Accounts(pool).add_token(1, "robert", FULL_USER_HASH, b"t" * 32)
    page = await console.ask(PAGE, cookie=admin)
    assert page.text.count('<th scope="row">robert</th>') == 3  # a user, a session, a token
    assert "127.0.0.1" in page.text
    shown = await printed(settings, "user", "list")
    assert "at the console" in shown
    found = msgspec.json.decode(await printed(settings, "user", "list", "--json"))
    assert [each["username"] for each in found["sessions"]] == ["admin", "robert"]
    assert [each["username"] for each in found["tokens"]] == ["robert"]
    said = await acted(console, admin, "end", username="robert")
    assert "robert: 1 sessions, 1 tokens" in said.text
    assert (await console.ask(PAGE, cookie=robert)).status == 303
    assert await pool.fetchval("select count(*) from token") == 0


async def test_the_command_ends_them_as_well(
    console: Console, admin: str, settings: Settings, pool: asyncpg.Pool
) -> None:
    assert await printed(settings, "user", "end-sessions", "admin") == (
        "admin: 1 sessions and 0 tokens ended.\n"
    )
    assert (await console.ask(PAGE, cookie=admin)).status == 303
    assert "There is no user nobody" in await refused(settings, "user", "end-sessions", "nobody")
    assert await pool.fetchval("select subject from audit where action = 'end sessions'") == "admin"


async def test_a_new_password_waits_for_nobodys_failures(
    console: Console, admin: str, pool: asyncpg.Pool
) -> None:
    counting = Logins(pool)
    for _ in range(counting.limits.failures):
        await counting.failed(await counting.look(AT_USER, "robert", "127.0.0.1", None))
    await acted(console, admin, "password", username="robert", **TYPED)
    await console.log_in("robert", GOOD)


async def test_the_audit_log_is_filtered_by_page_and_by_command(
    console: Console, admin: str, pool: asyncpg.Pool, settings: Settings
) -> None:
    audit = Audit(pool)
    for actor, action, outcome in (
        ("anna", "set shards", "done"),
        ("anna", "set shards", "403/1011 another one is under way"),
        ("bert", "register", "done"),
    ):
        number = await audit.begin(actor, action, "203.0.113.9")
        await audit.end(number, f"of {actor} 4915112345678", outcome)
    await audit.add({Note("bert", "log in", "203.0.113.9", "401/1005 Access denied"): 7})

    for query, command, expected in (
        ("actor=anna", ["--actor", "anna"], {("anna", "done"), ("anna", "403")}),
        ("actor=anna&outcome=done", ["--actor", "anna", "--outcome", "done"], {("anna", "done")}),
        ("outcome=failed&actor=bert", ["--failed", "--actor", "bert"], {("bert", "401")}),
        ("action=register", ["--action", "register"], {("bert", "done")}),
        ("action=register&since=2099-01-01T00:00", ["--from", "2099-01-01"], set()),
        ("action=register&until=2001-01-01T00:00", ["--to", "2001-01-01"], set()),
    ):
        page = await console.ask(f"{PAGE}?{query}", cookie=admin)
        assert page.status == 200
        body = page.text.partition('<table id="audit">')[2].partition("</table>")[0]
        assert body.count("<tr") == (len(expected) + 1 if expected else 0), query
        lines = (await printed(settings, "audit", "--json", *command)).splitlines()
        entries = [msgspec.json.decode(line) for line in lines]
        assert {(e["actor"], e["outcome"][:4].strip("/")) for e in entries} >= {
            (who, how) for who, how in expected
        }
        assert (entries == []) == (expected == set())
    assert "4915112345678" not in (await console.ask(PAGE, cookie=admin)).text  # masked


async def test_a_row_is_found_by_its_number(
    console: Console, admin: str, pool: asyncpg.Pool
) -> None:
    audit = Audit(pool)
    for n in range(150):
        number = await audit.begin(f"user{n}", "set shards", "203.0.113.9")
    page = await console.ask(f"{PAGE}?audit={number - 60}", cookie=admin)
    assert f'id="audit-{number - 60}" aria-current="true"' in page.text
    assert f'id="audit-{number}"' not in page.text
    assert "Older rows" in page.text
    first = await console.ask(PAGE, cookie=admin)
    older = first.text.partition(f'<a href="{PAGE}?upto=')[2].partition('"')[0]
    page = await console.ask(f"{PAGE}?upto={older}", cookie=admin)
    assert f'id="audit-{older}"' in page.text
    assert f'id="audit-{int(older) + 1}"' not in page.text


@pytest.mark.parametrize(
    "query", ["since=yesterday", "audit=x", "upto=1e9", f"actor={'a' * 101}", "actor=a%00b"]
)
async def test_a_filter_that_is_none_is_refused(console: Console, admin: str, query: str) -> None:
    assert (await console.ask(f"{PAGE}?{query}", cookie=admin)).status == 400


async def test_hostile_texts_are_texts(console: Console, admin: str, pool: asyncpg.Pool) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e" + "x" * 10_000
    audit = Audit(pool)
    await audit.end(await audit.begin(hostile, hostile, hostile), hostile, hostile)
    await Accounts(pool).create_user(1, "<b>bold", FULL_USER_HASH, USER)
    await console.log_in("<b>bold", USER_PASSWORD)
    page = await console.ask(PAGE, cookie=admin)
    assert page.status == 200
    assert "<img src=x" not in page.text
    assert "<b>bold" not in page.text
