"""The console acts through the API: in the name of who is logged in, with a token for one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import FULL_USER_HASH
from tests.harness.console import logins_of
from tests.integration.test_user_cli import Webapp
from warouter.config import Settings
from warouter.console.api import Api
from warouter.console.visit import ConsoleRefusal, Visitor
from warouter.store.account.accounts import ADMIN, USER, Accounts
from warouter.store.account.sessions import ConsoleSessions
from warouter.store.database import create_pool

HERE = "192.0.2.7"


def visitor(username: str) -> Visitor:
    return Visitor(username, username == "admin", sha256(username.encode()).digest(), HERE)


@pytest_asyncio.fixture
async def api(settings: Settings, pool: asyncpg.Pool, folder: Path) -> AsyncIterator[Api]:
    """The client, under the console's login, with a session of each user; and a webapp."""
    accounts = Accounts(pool)
    await accounts.create_user(1, "admin", FULL_USER_HASH, ADMIN)
    await accounts.create_user(1, "robert", FULL_USER_HASH, USER)
    kinds = await logins_of(settings)
    own = await create_pool(kinds["web_console"], "console", 2)
    sessions = ConsoleSessions(own)
    for username in ("admin", "robert"):
        await sessions.begin(1, username, FULL_USER_HASH, visitor(username).session, HERE)
    webapp = Webapp(kinds["webapp"], folder)
    await webapp.process.start()
    api = Api(f"http://127.0.0.1:{webapp.port}", "", sessions)
    yield api
    await api.close()
    await webapp.process.stop()
    await own.close()


async def test_a_call_has_the_rights_of_who_is_logged_in_and_leaves_no_token(
    api: Api, pool: asyncpg.Pool
) -> None:
    path = "/v1/users/robert"
    found = await api.call(visitor("admin"), "GET", path)
    assert found["users"] == [{"username": "robert", "ROLES": USER}]
    with pytest.raises(ConsoleRefusal) as refused:
        await api.call(visitor("robert"), "GET", path)
    assert (refused.value.status, refused.value.code) == (403, 1005)
    assert await pool.fetchval("select count(*) from token") == 0


async def test_many_calls_at_once_disturb_each_other_in_nothing(
    api: Api, pool: asyncpg.Pool
) -> None:
    calls = [
        api.call(visitor(username), "GET", "/v1/health")
        for _ in range(20)
        for username in ("admin", "robert")
    ]
    assert len(await asyncio.gather(*calls)) == 40
    assert await pool.fetchval("select count(*) from token") == 0


async def test_without_a_session_nothing_is_asked(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute("update console_session set expires_at = now()")
    with pytest.raises(ConsoleRefusal, match="session has ended") as refused:
        await api.call(visitor("admin"), "GET", "/v1/users/robert")
    assert refused.value.status == 403
