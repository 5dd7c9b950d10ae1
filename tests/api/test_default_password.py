"""S4: from elsewhere the default password opens nothing, and tells nothing of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from tests.harness.address import own_address
from tests.harness.answer import Answer
from tests.harness.api import BEHIND_PROXY, Api, basic, serve
from warouter.access.login import DEFAULT_PASSWORD, seed_administrator
from warouter.api.app import build_app
from warouter.cloud_settings import is_loopback
from warouter.store.account.logins import Limits
from warouter.store.views.audit import read_audit

NEW = "N3w!passw"
STRANGER = "203.0.113.9"
WORDS = (
    "the default password is accepted from this host only:"
    " an operator sets another one with `warouter user set-password admin`"
)


@pytest_asyncio.fixture
async def behind(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    """As just installed, behind a proxy on loopback that is trusted."""
    api = await serve(pool, **BEHIND_PROXY)
    await seed_administrator(api.context.accounts, api.context.passwords)
    yield api
    await api.client.close()


def checks_of(api: Api) -> list[str]:
    """The hashes that passwords are checked against from now on."""
    passwords, checked = api.context.passwords, list[str]()
    check = passwords._check

    def noted(hashed: str, password: str) -> bool:
        checked.append(hashed)
        return check(hashed, password)

    passwords._check = noted  # type: ignore[method-assign]
    return checked


@pytest.mark.parametrize("password", [DEFAULT_PASSWORD, "wrong", ""])
@pytest.mark.parametrize("body", [None, {"new_password": NEW}, {"new_password": "weak"}])
async def test_from_elsewhere_every_password_gets_the_same_answer(
    behind: Api, pool: asyncpg.Pool, password: str, body: object
) -> None:
    checked = checks_of(behind)
    answer = await behind.login("admin", password, body, source=STRANGER)
    assert answer.refused(401, 1005)["details"] == WORDS
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="warouter"'
    assert checked == [behind.context.passwords._nobody]  # the same work, and for nothing
    assert await pool.fetchval("select count(*) from token") == 0
    user = await behind.context.accounts.user(1, "admin")
    assert user is not None
    assert user.must_change


async def test_a_refused_default_is_counted_logged_and_audited(
    behind: Api, caplog: pytest.LogCaptureFixture
) -> None:
    statuses = [
        (await behind.login("admin", DEFAULT_PASSWORD, source=STRANGER)).status
        for _ in range(Limits().failures + 1)
    ]
    assert statuses == [401] * Limits().failures + [429]
    assert caplog.text.count("login refused") == Limits().failures
    token = await behind.token_of("admin", DEFAULT_PASSWORD, {"new_password": NEW})
    await behind.context.audit.refusals.flush()
    assert (await behind.call("GET", "/v1/health", token=token)).status == 200


async def test_the_audit_log_names_the_default_password(behind: Api, pool: asyncpg.Pool) -> None:
    await behind.login("admin", DEFAULT_PASSWORD, source=STRANGER)
    await behind.context.audit.refusals.flush()
    rows = [(e.actor, e.action, e.source, e.outcome) for e in await read_audit(pool, 10)]
    assert rows == [("admin", "log in", STRANGER, "401/1005 Access denied")]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": STRANGER},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": f"for={STRANGER}"},
        {"X-Real-IP": STRANGER},
        {"Via": "1.1 front"},
    ],
)
async def test_a_proxy_that_nobody_trusts_stands_for_elsewhere(
    fresh: Api, headers: dict[str, str]
) -> None:
    sent = {"Authorization": basic("admin", DEFAULT_PASSWORD), **headers}
    answer = await fresh.call("POST", "/v1/users/login", {"new_password": NEW}, headers=sent)
    assert answer.refused(401, 1005)["details"] == WORDS


async def test_through_a_trusted_proxy_a_client_on_this_host_is_let_in(behind: Api) -> None:
    (await behind.login("admin", DEFAULT_PASSWORD, source="::1")).refused(401, 1024)
    answer = await behind.login("admin", DEFAULT_PASSWORD, {"new_password": NEW}, source="::1")
    assert answer.status == 200
    # From here on it is a password as any other one.
    assert (await behind.login("admin", NEW, source=STRANGER)).status == 200
    refused = await behind.login("admin", DEFAULT_PASSWORD, source=STRANGER)
    assert refused.refused(401, 1005)["details"] == "Invalid credentials."


async def test_through_another_address_of_this_machine_it_comes_from_elsewhere(fresh: Api) -> None:
    address = own_address()
    if not address or is_loopback(address):
        pytest.skip("this machine has no address but loopback")
    (await fresh.login("admin", DEFAULT_PASSWORD)).refused(401, 1024)
    server = TestServer(build_app(fresh.context), host=address)
    async with TestClient(server) as client:
        headers = {"Authorization": basic("admin", DEFAULT_PASSWORD)}
        async with client.post("/v1/users/login", headers=headers) as response:
            answer = Answer(response.status, response.headers, await response.read())
    assert answer.refused(401, 1005)["details"] == WORDS


async def test_users_who_need_not_change_theirs_notice_nothing(behind: Api) -> None:
    known = await behind.login("nobody", DEFAULT_PASSWORD, source=STRANGER)
    assert known.refused(401, 1005)["details"] == "Invalid credentials."


async def test_the_default_is_reported_at_each_start_until_it_is_changed(
    behind: Api, caplog: pytest.LogCaptureFixture
) -> None:
    accounts, passwords = behind.context.accounts, behind.context.passwords

    async def reported() -> list[str]:
        caplog.clear()
        await seed_administrator(accounts, passwords)
        found = [r for r in caplog.records if r.getMessage() == "default password found"]
        return [record.__dict__["change_with"] for record in found]

    assert await reported() == ["warouter user set-password admin"]
    await behind.token_of("admin", DEFAULT_PASSWORD, {"new_password": NEW})
    assert await reported() == []
