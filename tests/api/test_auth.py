"""Log-ins as clients write them, log-out, tokens in memory (C01 to C05; S1, S2, S4, S5)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from tests.harness.api import ADMIN_PASSWORD, USER_PASSWORD, Api, basic
from tests.harness.wait import soon
from warouter.access.login import seed_administrator
from warouter.access.token import hash_of, new_token
from warouter.api.access.tokens import TokenCache
from warouter.store.account.accounts import Accounts, Holder
from warouter.store.account.keys import Keys


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
    (await api.call("POST", "/v1/users/login", data=data, headers=headers)).refused(400, 1009)
    assert (await api.login("admin", ADMIN_PASSWORD)).status == 200


@pytest.mark.parametrize(
    "data",
    [
        *(None, b"", b" ", b"null", b"[]", b"{}", b'{"other":1}'),
        *(b'{"new_password":""}', b'{"new_password":null}'),
    ],
)
async def test_c01_c05_login_with_what_means_no_body(api: Api, data: bytes | None) -> None:
    for kind in ({}, {"Content-Type": "application/json"}):
        headers = {"Authorization": basic("admin", ADMIN_PASSWORD), **kind}
        answer = await api.call("POST", "/v1/users/login", data=data, headers=headers)
        assert answer.status == 200
        assert set(answer.json["users"][0]) == {"token", "expires_after"}


async def test_c01_a_client_that_waits_to_be_asked_is_asked_for_basic(api: Api) -> None:
    asked = await api.call("POST", "/v1/users/login")
    assert (asked.status, asked.headers["WWW-Authenticate"]) == (401, 'Basic realm="warouter"')
    asked = await api.call("GET", "/v1/health")
    assert (asked.status, asked.headers["WWW-Authenticate"]) == (401, 'Bearer realm="warouter"')


async def test_c03_a_fresh_install(fresh: Api) -> None:
    for body in (None, {"new_password": ""}, {"new_password": "secret"}):
        error = (await fresh.login("admin", "secret", body)).refused(401, 1024)
        assert error["title"] == "Password change required"
    weak = await fresh.login("admin", "secret", {"new_password": "weakpassword"})
    weak.refused(400, 1009)
    await fresh.token_of("admin", "secret", {"new_password": "N3w!passw"})
    await fresh.token_of("admin", "N3w!passw")
    (await fresh.login("admin", "secret")).refused(401, 1005)


async def test_c04_a_wrong_password(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for username, password in (("admin", "wrong"), ("nobody", "wrong"), ("", "")):
        error = (await api.login(username, password)).refused(401, 1005)
        assert (error["title"], error["details"]) == ("Access denied", "Invalid credentials.")
    assert caplog.text.count("login refused") == 3


async def test_no_token_for_a_password_that_changed_while_it_was_checked(api: Api) -> None:
    accounts = api.context.accounts
    assert await accounts.add_token(1, "worker", "another hash", hash_of(new_token())) is None
    assert await accounts.add_token(1, "nobody", "x", hash_of(new_token())) is None


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
    answer.refused(503, 1011)
    assert answer.headers["Retry-After"] == "1"
    (await api.login("admin", ADMIN_PASSWORD)).refused(503, 1011)
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
    cache = TokenCache(accounts, Keys(pool))
    await cache.refresh()
    asked = asyncio.create_task(cache.caller(api.user))
    await accounts.read.wait()
    await accounts.remove_token(hash_of(api.user))
    await cache.refresh()
    accounts.go_on.set()
    assert await asked is None
    assert await cache.caller(api.user) is None


async def test_a_counter_that_beats_tell_is_not_asked_for(
    api: Api, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts, clock = api.context.accounts, [0.0]
    read, asked = accounts.auth_version, []

    async def counted() -> int:
        version = await read()
        asked.append(clock[0])  # now, as it is answered: what beats tell is compared with that
        return version

    monkeypatch.setattr(accounts, "auth_version", counted)
    cache = TokenCache(accounts, Keys(pool), poll=0.5, clock=lambda: clock[0])
    assert await cache.caller(api.user) is not None
    await cache.refresh()  # so that the first round of what follows finds nothing new
    version = await read()
    asked.clear()
    following = asyncio.create_task(cache.run())
    await soon(lambda: asked == [0.0])
    clock[0] = 0.4
    cache.saw(version)
    clock[0] = 0.8
    await asyncio.sleep(0.75)  # time enough for its timer, by whose clock it was told 0.4 s ago
    assert asked == [0.0]
    await accounts.remove_token(hash_of(api.user))
    cache.saw(version + 1)
    await soon(lambda: len(asked) == 2)
    await soon(lambda: cache.known(api.user) is None)
    clock[0] = 10.0  # and without beats it is asked for
    await soon(lambda: asked[2:] == [10.0])
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_seeding_is_done_once(api: Api) -> None:
    accounts, passwords = api.context.accounts, api.context.passwords
    version = await accounts.auth_version()
    assert await seed_administrator(accounts, passwords) is False
    assert await accounts.auth_version() == version
    assert (await api.login("admin", ADMIN_PASSWORD)).status == 200


async def test_many_who_begin_with_a_token_ask_the_database_once(
    api: Api, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = api.context.accounts
    cache, holders, asked = TokenCache(accounts, Keys(pool)), accounts.holders, []

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
    cache = TokenCache(api.context.accounts, api.context.keys)

    async def away(_keys: list[bytes]) -> Any:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(api.context.accounts, "holders", away)
        calls = (cache.caller(api.user) for _ in range(3))
        failed = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in failed] == [TimeoutError] * 3
    assert await cache.caller(api.user) is not None  # asked again
