"""Log-ins that are malformed, log-out, tokens in memory (S1, S2, S4, S5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from tests.api.conftest import ADMIN_PASSWORD, USER_PASSWORD, Api, basic
from warouter.api.access.auth import seed_administrator
from warouter.api.access.tokens import Caller, TokenCache, hash_of, new_token
from warouter.log import JsonLines
from warouter.store.account.accounts import Accounts, Holder


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YWRtaW4=",  # admin, no colon
        "Basic /////w==",  # no UTF-8
        "Basic YWRtaW4AOng=",  # NUL in the name
        "Basic " + "QQ" * 2000,
        "Bearer abc",
        "Digest username=admin",
    ],
)
async def test_malformed_credentials(api: Api, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await api.call("POST", "/v1/users/login", headers=headers)
    assert answer.status == 401
    assert answer.code == 1005


@pytest.mark.parametrize("data", [b"{", b"[1]", b'"x"', b'{"new_password":5}', b"\xff"])
async def test_malformed_login_bodies(api: Api, data: bytes) -> None:
    headers = {"Authorization": basic("admin", ADMIN_PASSWORD)}
    answer = await api.call("POST", "/v1/users/login", data=data, headers=headers)
    assert (answer.status, answer.code) == (400, 1009)
    assert (await api.login("admin", ADMIN_PASSWORD)).status == 200


async def test_logout_ends_only_the_token_that_was_sent(api: Api) -> None:
    other = await api.token_of("worker", USER_PASSWORD)
    answer = await api.call("POST", "/v1/users/logout", token=api.user)
    assert answer.status == 200
    assert set(answer.json) == {"meta"}
    assert (await api.call("POST", "/v1/users/logout", token=api.user)).code == 1005
    assert (await api.call("GET", "/v1/health", token=other)).status == 200


async def test_no_token_for_a_password_that_changed_while_it_was_checked(api: Api) -> None:
    accounts = api.context.accounts
    assert await accounts.add_token("worker", "another hash", hash_of(new_token())) is None
    assert await accounts.add_token("nobody", "x", hash_of(new_token())) is None


async def test_login_does_not_make_others_reload(api: Api) -> None:
    before = await api.context.accounts.auth_version()
    await api.token_of("worker", USER_PASSWORD)
    assert await api.context.accounts.auth_version() == before


async def test_cached_tokens_go_on_while_the_database_is_away(api: Api, pool: asyncpg.Pool) -> None:
    unseen = await api.token_of("worker", USER_PASSWORD)
    assert (await api.call("GET", "/v1/health", token=api.user)).status == 200
    pool.terminate()
    for _ in range(3):
        api.context.tokens.wake()
        await asyncio.sleep(0.05)
    assert (await api.send({"to": "12345678", "text": {"body": "x"}})).status == 201
    answer = await api.call("GET", "/v1/health", token=unseen)
    assert (answer.status, answer.code) == (503, 1011)
    assert answer.headers["Retry-After"] == "1"
    login = await api.login("admin", ADMIN_PASSWORD)
    assert (login.status, login.code) == (503, 1011)
    assert (await api.call("GET", "/")).status == 200


class Stalling(Accounts):
    """Holds the answer of ``holders`` back once, after it was read."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self.read, self.go_on = asyncio.Event(), asyncio.Event()
        self.stall = True

    async def holders(self, hashes: Sequence[bytes]) -> list[Holder]:
        found = await super().holders(hashes)
        if self.stall:
            self.stall = False
            self.read.set()
            await self.go_on.wait()
        return found


async def test_a_look_up_that_a_revocation_overtook_is_repeated(
    api: Api, pool: asyncpg.Pool
) -> None:
    accounts = Stalling(pool)
    cache = TokenCache(accounts)
    await cache.refresh()
    asked = asyncio.create_task(cache.caller(api.user))
    await accounts.read.wait()
    await accounts.remove_token(hash_of(api.user))
    await cache.refresh()
    accounts.go_on.set()
    assert await asked is None
    assert await cache.caller(api.user) is None


async def test_seeding_is_done_once(api: Api) -> None:
    accounts, passwords = api.context.accounts, api.context.passwords
    version = await accounts.auth_version()
    assert await seed_administrator(accounts, passwords) is False
    assert await accounts.auth_version() == version
    assert (await api.login("admin", ADMIN_PASSWORD)).status == 200


async def test_a_token_of_an_account_that_must_change_its_password(
    api: Api, pool: asyncpg.Pool
) -> None:
    await pool.execute("update user_account set must_change = true where username = 'worker'")
    await api.context.tokens.refresh()
    answer = await api.send({"to": "12345678", "text": {"body": "x"}})
    assert (answer.status, answer.code) == (401, 1024)


async def test_line_breaks_in_a_name_stay_in_one_log_line(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await api.login("adm\u2028in", "x")
        await api.login("admin\x1b[31m", "x")
        await api.login("admi%0d%0an", "x")
        await api.login("admin", "x\r\nforged")
    for record in caplog.records:
        assert record.getMessage() == "login refused"
        line = JsonLines().format(record)
        assert line.isprintable()
        assert "\n" not in line
        assert "forged" not in line


async def test_caller_of_a_known_token(api: Api) -> None:
    caller = await api.context.tokens.caller(api.user)
    assert caller == Caller("worker", "ROLE_USER", hash_of(api.user))


async def test_many_who_begin_with_a_token_ask_the_database_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = api.context.accounts
    cache, holders, asked = TokenCache(accounts), accounts.holders, []

    async def counted(keys: list[bytes]) -> Any:
        asked.append(keys)
        return await holders(keys)

    monkeypatch.setattr(accounts, "holders", counted)
    callers = await asyncio.gather(*(cache.caller(api.user) for _ in range(100)))
    assert {caller.username for caller in callers if caller} == {"worker"}
    assert len(callers) == 100
    assert asked == [[hash_of(api.user)]]
    nobody = new_token()
    assert await asyncio.gather(*(cache.caller(nobody) for _ in range(100))) == [None] * 100
    assert len(asked) == 2


async def test_a_question_that_fails_fails_for_all_who_asked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = TokenCache(api.context.accounts)

    async def away(_keys: list[bytes]) -> Any:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(api.context.accounts, "holders", away)
        calls = (cache.caller(api.user) for _ in range(3))
        failed = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in failed] == [TimeoutError] * 3
    assert await cache.caller(api.user) is not None  # asked again
