"""The page Keys, with the process itself."""

from __future__ import annotations

import re

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import USER_PASSWORD
from tests.harness.console import Answer, Console, Consoles, begin_anew
from warouter.access.key import may_be_key
from warouter.access.token import hash_of
from warouter.config import Settings

pytestmark = pytest.mark.xdist_group("console access")

PAGE = "/console/keys"
KEY = re.compile(r"wrk_[\w-]{49}")
GOOD = {"name": "shop", "scopes": "send", "days": "30", "networks": "192.0.2.0/24 ::1"}


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


async def said(console: Console, cookie: str, act: str, **form: str) -> Answer:
    """The page that an act leads to."""
    answer = await console.ask(f"{PAGE}/{act}", form, cookie=cookie)
    assert answer.status == 303, answer.text
    return await console.ask(answer.location, cookie=cookie)


async def test_a_key_from_beginning_to_end(
    console: Console, admin: str, pool: asyncpg.Pool
) -> None:
    assert "There are no keys." in (await console.ask(PAGE, cookie=admin)).text
    answer = await console.ask(f"{PAGE}/make", GOOD, cookie=admin)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    (key,) = set(KEY.findall(answer.text))
    assert may_be_key(key)
    row = await pool.fetchrow("select *, networks::text[] as allowed from api_key")
    assert (row["hash"], row["scopes"], row["created_by"]) == (hash_of(key), 1, "admin")
    assert row["allowed"] == ["192.0.2.0/24", "::1/128"]
    page = await console.ask(PAGE, cookie=admin)
    assert "192.0.2.0/24" in page.text
    assert key not in page.text
    ended = await said(console, admin, "remove", id=str(row["id"]))
    about = f"{row['id']} shop send"
    assert about in ended.text
    assert await pool.fetchval("select ended_at is not null from api_key")
    rows = await pool.fetch("select action, subject, outcome from audit where of is not null")
    assert [tuple(row) for row in rows] == [
        ("add key", about, "done"),
        ("remove key", about, "done"),
    ]


@pytest.mark.parametrize(
    ("act", "form", "words"),
    [
        ("make", {**GOOD, "name": ""}, "name is required"),
        ("make", {"name": "shop"}, "Scopes must name one at least"),
        ("make", {**GOOD, "scopes": "all"}, "Scopes[0] must be one of send"),
        ("make", {**GOOD, "networks": "192.0.2.1/24"}, "Networks[0] must be a network"),
        ("make", {**GOOD, "days": "0"}, "days must be a whole number from 1"),
        ("remove", {"id": "999999"}, "There is no key 999999."),
        ("remove", {"id": "x"}, "id must be a whole number"),
    ],
)
async def test_failed_acts_are_reported_and_audited(
    console: Console, admin: str, pool: asyncpg.Pool, act: str, form: dict[str, str], words: str
) -> None:
    assert words in (await said(console, admin, act, **form)).text
    assert await pool.fetchval("select count(*) from api_key") == 0
    assert words in await pool.fetchval("select outcome from audit where of is not null")


async def test_readers_make_and_remove_none(console: Console, pool: asyncpg.Pool) -> None:
    robert = await console.log_in("robert", USER_PASSWORD)
    for act in ("make", "remove"):
        answer = await console.ask(f"{PAGE}/{act}", {**GOOD, "id": "1"}, cookie=robert)
        assert answer.status == 403
    assert await pool.fetchval("select count(*) from api_key") == 0
    page = await console.ask(PAGE, cookie=robert)
    assert 'action="/console/keys/make"' not in page.text
