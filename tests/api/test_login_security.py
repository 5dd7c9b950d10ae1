"""S1, S2, S4, S5: passwords, the default account and tokens, seen by an attacker."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import asyncpg
import pytest
from argon2 import PasswordHasher

from tests.harness.api import (
    ADMIN_PASSWORD,
    FULL_USER_HASH,
    USER_HASH,
    USER_PASSWORD,
    Api,
    Webapp,
    basic,
    set_pin,
)
from tests.harness.audit import ALL
from warouter.access.passwords import WAITING, WORKERS, check_new_password
from warouter.access.token import hash_of, new_token
from warouter.api.access.caller import Caller
from warouter.api.access.tokens import TokenCache
from warouter.api.app import ROUTES
from warouter.api.route import Access
from warouter.errors import ParameterInvalid
from warouter.store.account.accounts import TOKENS_PER_USER, Accounts
from warouter.store.account.keys import Keys

NEW = "N3w!passw"


@pytest.mark.parametrize(
    ("password", "good"),
    [
        *(("x", False), ("Sh0rt!a", False), ("alllower1!", False), ("ALLUPPER1!", False)),
        *(("NoDigits!", False), ("NoSpecial1", False), ("Aa1!" * 16 + "x", False)),
        *(("Passw0rd!11", True), ("Aa1!Aa1!", True), ("Aa1!" * 16, True)),
    ],
)
def test_s4_the_password_rule(password: str, good: bool) -> None:
    with nullcontext() if good else pytest.raises(ParameterInvalid, match=r"^new_password "):
        check_new_password(password, "new_password")


async def test_s5_a_password_change_ends_all_tokens_of_the_user(api: Api) -> None:
    changed = await api.login("worker", USER_PASSWORD, {"new_password": NEW})
    assert changed.status == 200
    assert (await api.call("GET", "/v1/health", token=api.user)).code == 1005
    assert (await api.call("GET", "/v1/health", token=api.admin)).status == 200
    token = changed.json["users"][0]["token"]
    assert (await api.call("GET", "/v1/health", token=token)).status == 200
    assert (await api.login("worker", USER_PASSWORD)).status == 401


async def test_s5_bad_tokens_are_401_and_submit_nothing(api: Api) -> None:
    body = {"to": "12345678", "text": {"body": "x"}}
    flipped = [
        api.user[:n] + ("A" if api.user[n] != "A" else "B") + api.user[n + 1 :] for n in range(43)
    ]
    spelt = [api.user + "A", api.user + "=", api.user.swapcase(), hash_of(api.user).hex()]
    for token in [*flipped, *spelt, "", "x", "é" * 43, "' or 1=1 --", "eyJhbGciOiJub25lIn0.e30."]:
        answer = await api.call("POST", "/v1/messages", body, token=token)
        answer.refused(401, 1005)
        assert answer.headers["WWW-Authenticate"]
    for headers in (
        {},
        {"D360-API-KEY": api.user},  # C50: another product's header
        {"Authorization": api.user},
        {"Authorization": basic("admin", ADMIN_PASSWORD)},
        {"Authorization": f"Apikey {api.user}"},
    ):
        (await api.call("POST", "/v1/messages", body, headers=headers)).refused(401, 1005)
    assert api.recorder.submitted == []


@pytest.mark.usefixtures("full_cost")
async def test_s1_the_database_keeps_only_hashes(api: Api, pool: asyncpg.Pool) -> None:
    token = await api.token_of("worker", USER_PASSWORD)
    pin = "908172"
    await api.context.accounts.save_account(1, "49", "301234567", None, None)
    await set_pin(api.context.accounts, await api.context.passwords.hash(pin))
    assert (await api.login("worker", USER_PASSWORD, {"new_password": NEW})).status == 200
    assert (await api.login("worker", USER_PASSWORD)).status == 401
    hashes = await pool.fetch(
        "select password_hash from user_account where username = 'worker'"
        " union all select pin_hash from account"
    )
    assert len(hashes) == 2
    assert all(row[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$") for row in hashes)
    tables = await pool.fetch("select tablename from pg_tables where schemaname = 'warouter'")
    assert len(tables) > 15
    dump = "".join([str(await pool.fetch(f'select * from "{t[0]}"')) for t in tables])
    assert "$argon2id$" in dump
    for secret in (ADMIN_PASSWORD, USER_PASSWORD, NEW, token, api.admin, pin):
        assert secret not in dump
    assert hash_of(api.admin) in {row[0] for row in await pool.fetch("select hash from token")}


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.usefixtures("full_cost")
async def test_s1_200_logins_at_a_time(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute("update user_account set password_hash = $1", FULL_USER_HASH)
    before, most, over = resident_bytes(), 0, asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not over.is_set():
            most = max(most, resident_bytes())
            await asyncio.sleep(0.002)

    async def messages() -> list[int]:
        body = {"to": "12345678", "text": {"body": "x"}}
        return [(await api.send(body)).status for _ in range(20)]

    watching = asyncio.create_task(watch())
    sending = asyncio.create_task(messages())
    answers = await asyncio.gather(*(api.login("worker", USER_PASSWORD) for _ in range(200)))
    # Messages go on meanwhile: hashing is done beside the loop.
    assert await sending == [201] * 20
    over.set()
    await watching
    seen = Counter(answer.status for answer in answers)
    assert set(seen) == {200, 429}
    assert seen[200] >= WORKERS + WAITING
    for answer in answers:
        if answer.status == 429:
            assert answer.code == 1015
            assert answer.headers["Retry-After"] == "1"
    assert most - before <= 64 * 1024 * 1024


@pytest.mark.usefixtures("full_cost")
async def test_s2_an_unknown_user_costs_the_same_work_and_gets_the_same_answer(api: Api) -> None:
    passwords = api.context.passwords
    check, checked = passwords._check, []
    assert await api.context.accounts.set_password(1, "worker", FULL_USER_HASH)

    def noted(hashed: str, password: str) -> bool:
        checked.append((hashed.rpartition("$")[0].rpartition("$")[0], password))
        return check(hashed, password)

    passwords._check = noted  # type: ignore[method-assign]
    answers = [await api.login(name, "wrong") for name in ("worker", "nobody")]
    assert checked == [("$argon2id$v=19$m=19456,t=2,p=1", "wrong")] * 2
    assert answers[0].body == answers[1].body
    assert answers[0].status == answers[1].status == 401
    assert set(answers[0].headers) == set(answers[1].headers)


async def test_s4_the_default_password_is_good_for_setting_another_only(
    fresh: Api, pool: asyncpg.Pool
) -> None:
    user = await fresh.context.accounts.user(1, "admin")
    assert user is not None
    # No login gives a token before the change. Should there be one, it opens nothing.
    assert (await fresh.login("admin", "secret")).code == 1024
    assert await pool.fetchval("select count(*) from token") == 0
    token = new_token()
    assert await fresh.context.accounts.add_token(1, "admin", user.password_hash, hash_of(token))
    seen = 0
    for route in ROUTES:
        if route.access in (Access.OPEN, Access.LOGIN):
            continue
        path = re.sub(r"{[^}]*}", "x", route.path)
        answer = await fresh.call(route.method, path, {}, token=token)
        assert answer.status == 401, (route.method, route.path)
        if route.method != "HEAD":
            assert answer.code == 1024, (route.method, route.path)
        seen += 1
    assert seen > 15
    assert await pool.fetchval("select count(*) from audit where action <> 'log in'") == 0
    changed = await fresh.login("admin", "secret", {"new_password": NEW})
    token = changed.json["users"][0]["token"]
    assert (await fresh.call("GET", "/v1/health", token=token)).status == 200


async def test_s5_at_most_fifty_tokens_a_user_the_oldest_go(api: Api, pool: asyncpg.Pool) -> None:
    accounts = api.context.accounts
    user = await accounts.user(1, "worker")
    assert user is not None
    tokens = [new_token() for _ in range(TOKENS_PER_USER + 5)]
    for token in tokens:
        assert await accounts.add_token(1, "worker", user.password_hash, hash_of(token))
    count = await pool.fetchval("select count(*) from token where username = 'worker'")
    assert count == TOKENS_PER_USER
    await api.context.tokens.refresh()
    assert (await api.call("GET", "/v1/health", token=api.user)).status == 401
    assert (await api.call("GET", "/v1/health", token=tokens[4])).status == 401
    assert (await api.call("GET", "/v1/health", token=tokens[5])).status == 200
    assert (await api.call("GET", "/v1/health", token=api.admin)).status == 200


async def test_s5_the_token_that_goes_for_a_new_one_is_that_which_nobody_uses(
    api: Api, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever goes on with an old one is not in the way of a client that logs in for each request,
    and not the one that pays for it.
    """
    tokens = [await add(api) for _ in range(TOKENS_PER_USER - 1)]
    assert (await api.call("GET", "/v1/health", token=api.user)).status == 200
    await api.token_of("worker", USER_PASSWORD)
    assert await lives(api, [api.user, tokens[0], tokens[1]]) == [True, False, True]
    told = [record for record in caplog.records if record.getMessage() == "tokens ended"]
    assert [(vars(r)["username"], vars(r)["tokens"]) for r in told] == [("worker", 1)]
    row = await pool.fetchrow(
        f"select actor, times from {ALL} where action = 'end the least used token'"
    )
    assert tuple(row) == ("worker", 1)


async def test_s5_a_token_in_use_stays_whoever_logs_in(api: Api, pool: asyncpg.Pool) -> None:
    """As its last use is older than all that a client has got by log-ins within a second."""
    await pool.execute("update token set created_at = now() - interval '1 hour'")
    assert await lives(api, [api.user]) == [True]
    await api.context.tokens.write_uses()
    for _ in range(2 * TOKENS_PER_USER):
        await add(api)
    assert await lives(api, [api.user]) == [True]
    await pool.execute(
        "update token set used_at = created_at where hash = $1",
        hash_of(api.user),
    )
    await add(api)
    assert await lives(api, [api.user, api.admin]) == [False, True]


async def test_s5_a_token_is_in_use_by_the_messages_of_the_fast_path(
    api: Api, pool: asyncpg.Pool
) -> None:
    """It looks no token up again whose head has come before."""
    tokens, now = api.context.tokens, time.monotonic()
    await pool.execute("update token set used_at = now() - interval '1 hour'")
    tokens.others = lambda: [(Caller("worker", "ROLE_USER", hash_of(api.user)), now + 60)]
    version = await api.context.accounts.auth_version()
    await tokens.write_uses()
    fresh = "select count(*) from token where used_at > now() - interval '1 minute'"
    assert await pool.fetchval(fresh) == 1
    assert await api.context.accounts.auth_version() == version  # nobody need read tokens anew


async def test_s5_a_use_waits_for_nobody(api: Api, pool: asyncpg.Pool) -> None:
    """Webapps that note uses of the same tokens, or one and who ends them, wait in no circle."""
    await pool.execute("update token set used_at = now() - interval '1 hour'")
    assert await lives(api, [api.user, api.admin]) == [True, True]
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from token where hash = $1 for update", hash_of(api.user))
        await api.context.tokens.write_uses()
        fresh = "select hash from token where used_at > now() - interval '1 minute'"
        assert [row["hash"] for row in await pool.fetch(fresh)] == [hash_of(api.admin)]


async def add(api: Api) -> str:
    """A new token of the user, as a log-in makes it."""
    token = new_token()
    assert await api.context.accounts.add_token(1, "worker", USER_HASH, hash_of(token))
    return token


async def lives(api: Api, tokens: list[str]) -> list[bool]:
    """Which of these tokens are good."""
    await api.context.tokens.refresh()
    return [(await api.call("GET", "/v1/health", token=t)).status == 200 for t in tokens]


async def test_s5_a_log_out_ends_that_token_and_no_other(api: Api) -> None:
    first, second = [await api.token_of("worker", USER_PASSWORD) for _ in range(2)]
    for token in (first, second, api.user):
        assert (await api.call("GET", "/v1/health", token=token)).status == 200
    assert (await api.call("POST", "/v1/users/logout", token=first)).status == 200
    assert (await api.call("GET", "/v1/health", token=first)).code == 1005
    await api.context.tokens.refresh()
    for token in (second, api.user, api.admin):
        assert (await api.call("GET", "/v1/health", token=token)).status == 200


async def test_s5_a_token_ends_to_the_second(api: Api, pool: asyncpg.Pool) -> None:
    accounts = Accounts(pool)
    clock = [1000.0]
    cache = TokenCache(accounts, Keys(pool), clock=lambda: clock[0])
    assert await cache.caller(api.user) is not None
    await pool.execute("update token set expires_at = now() + interval '100 seconds'")
    await cache.refresh()
    clock[0] += 60.0
    assert await cache.caller(api.user) is not None
    clock[0] += 40.0
    # From memory no more; and one that is read anew goes by the database's clock.
    await pool.execute("update token set expires_at = now() - interval '1 second'")
    assert await cache.caller(api.user) is None
    assert (await api.call("GET", "/v1/health", token=api.user)).code == 1005
    await pool.execute("update token set expires_at = now() + interval '1 minute'")
    assert await TokenCache(accounts, Keys(pool)).caller(api.user) is not None


async def test_s5_revocation_reaches_another_webapp_within_a_second(
    api: Api, webapp: Webapp
) -> None:
    other = await webapp()

    async def ended(token: str) -> None:
        async with asyncio.timeout(5.0):  # a second; more if the machine stands still
            while (await other.call("GET", "/v1/health", token=token)).status == 200:
                pass

    changed = await api.token_of("worker", USER_PASSWORD)
    for token in (api.user, changed, api.admin):
        assert (await other.call("GET", "/v1/health", token=token)).status == 200
    await api.call("POST", "/v1/users/logout", token=api.user)
    await ended(api.user)
    assert (await other.call("GET", "/v1/health", token=changed)).status == 200
    body = {"password": NEW}
    await api.call("PUT", "/v1/users/worker", body, token=api.admin)
    await ended(changed)
    again = await api.token_of("worker", NEW)
    assert (await other.call("GET", "/v1/health", token=again)).status == 200
    await api.call("DELETE", "/v1/users/worker", token=api.admin)
    await ended(again)
    assert (await other.call("GET", "/v1/health", token=api.admin)).status == 200


@pytest.mark.usefixtures("full_cost")
async def test_s1_weaker_hashes_are_renewed_at_login(api: Api, pool: asyncpg.Pool) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(USER_PASSWORD)
    await pool.execute("update user_account set password_hash = $1 where username = 'worker'", weak)
    assert (await api.login("worker", USER_PASSWORD)).status == 200
    user = await api.context.accounts.user(1, "worker")
    assert user is not None
    assert "m=19456" in user.password_hash
    assert (await api.login("worker", USER_PASSWORD)).status == 200
