"""Log-in under floods: strangers wait behind each other, and nobody else waits behind them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
import pytest_asyncio
from argon2 import PasswordHasher

from tests.harness.api import (
    ADMIN_PASSWORD,
    BEHIND_PROXY,
    USER_PASSWORD,
    Api,
    Webapp,
)
from tests.harness.wait import soon
from warouter.access import passwords
from warouter.access.password_queue import FairQueue
from warouter.access.token import hash_of, new_token

HASHER = PasswordHasher(time_cost=2, memory_cost=6_144, parallelism=1)
CONNECTIONS = 80  # two are checked and 32 may wait, also where a check takes but 2 ms
STRANGER, LOOPBACK = "203.0.113.9", None
NEW = "N3w!passw"


@pytest_asyncio.fixture
async def door(webapp: Webapp, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Behind a proxy, so that requests come from where they say. A check costs some 7 ms: a quarter
    of production's, and several times what these connections need to fill the line.
    """
    monkeypatch.setattr(passwords, "_hasher", lambda: HASHER)
    for name, password in (("admin", ADMIN_PASSWORD), ("worker", USER_PASSWORD)):
        await pool.execute(
            "update user_account set password_hash = $2 where username = $1",
            *(name, HASHER.hash(password)),
        )
    return await webapp(**BEHIND_PROXY)


async def log_in(api: Api, username: str, password: str, source: str | None) -> int:
    return (await api.login(username, password, source=source)).status


@asynccontextmanager
async def flood(once: Callable[[int], Awaitable[int]]) -> AsyncIterator[Counter[int]]:
    """Connections that ask again and again; what they were answered."""
    seen: Counter[int] = Counter()

    async def ask(number: int) -> None:
        while True:
            seen[await once(number)] += 1
            await asyncio.sleep(0.02)  # they are elsewhere, and not in this process

    tasks = [asyncio.create_task(ask(number)) for number in range(CONNECTIONS)]
    try:
        await soon(lambda: seen.total() >= CONNECTIONS)
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def of_many_addresses(door: Api) -> list[int]:
    """Ten right log-ins at once, each from an address of its own."""
    return await asyncio.gather(
        *(log_in(door, "worker", USER_PASSWORD, f"198.51.100.{n}") for n in range(10))
    )


async def test_one_address_cannot_shut_log_in_for_others(door: Api) -> None:
    async with flood(lambda n: log_in(door, f"user{n}", "wrong", STRANGER)) as seen:
        assert await of_many_addresses(door) == [200] * 10
    assert set(seen) == {401, 429}


async def test_an_address_without_a_limit_has_a_share_as_others_have(door: Api) -> None:
    """From loopback; a user there, whose name is another one, gets in as well."""
    async with flood(lambda n: log_in(door, f"name{n % 4}", f"wrong{n}", LOOPBACK)):
        assert await of_many_addresses(door) == [200] * 10
        for _ in range(3):
            assert await log_in(door, "worker", USER_PASSWORD, LOOPBACK) == 200


async def test_failed_log_ins_from_many_addresses_shut_out_no_other_address(
    door: Api,
) -> None:
    known, failed = "198.51.100.200", set()
    assert await log_in(door, "admin", ADMIN_PASSWORD, known) == 200

    async def guess(number: int) -> int:
        status = await log_in(door, f"name{number}", "wrong", f"203.0.113.{number}")
        if status == 401:
            failed.add(number)
        return status

    async with flood(guess):
        await soon(lambda: len(failed) == CONNECTIONS)
        assert await of_many_addresses(door) == [200] * 10
        assert await log_in(door, "admin", ADMIN_PASSWORD, known) == 200


async def test_a_stolen_token_is_revoked_in_spite_of_strangers(door: Api) -> None:
    async with flood(lambda n: log_in(door, "admin", "wrong", f"203.0.113.{n}")):
        for n in range(5):
            wish = {"password": f"{NEW}{n}"}
            changed = await door.call("PUT", "/v1/users/worker", wish, token=door.admin)
            assert changed.status == 200
    assert (await door.call("GET", "/v1/stickerpacks", token=door.user)).status == 401


async def test_a_stolen_token_cannot_keep_the_administrator_from_revoking_it(door: Api) -> None:
    stolen = new_token()
    admin = await door.context.accounts.user(1, "admin")
    assert admin is not None
    assert await door.context.accounts.add_token(1, "admin", admin.password_hash, hash_of(stolen))

    async def keep_busy(number: int) -> int:
        wish = {"username": f"thief{number}", "password": NEW}
        return (await door.call("POST", "/v1/users", wish, token=stolen)).status

    async with flood(keep_busy):
        wish = {"password": NEW}
        changed = await door.call("PUT", "/v1/users/admin", wish, token=door.admin)
        assert changed.status == 200
    assert (await door.call("GET", "/v1/users/admin", token=stolen)).status == 401


async def test_the_judge_finds_a_door_without_shares(
    door: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First come, first served, and nobody gives way: as it was."""
    join = FairQueue.join

    def alike(self: FairQueue[object], address: str, name: str, item: object) -> object:
        return join(self, "", "", item)

    monkeypatch.setattr(FairQueue, "join", alike)
    async with flood(lambda n: log_in(door, f"name{n}", "wrong", LOOPBACK)):
        assert 429 in await of_many_addresses(door)
