"""What was checked may have been replaced by the time it is written: then it is written no more.

And changes of the same rows at the same time: each is done or refused, none dies of the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from argon2 import PasswordHasher

from tests.harness.answer import Answer
from tests.harness.api import ADMIN_HASH, ADMIN_PASSWORD, USER_HASH, USER_PASSWORD, Api
from tests.harness.wait import PATIENCE
from warouter.access.passwords import Passwords
from warouter.access.token import hash_of, new_token

WEAK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
OLDER, NEW, OTHER = "Old3r!passw", "N3w!passw", "0ther!Passw"
WORKER = "/v1/users/worker"


class Held:
    """Hashes of new passwords that are made when the test says so."""

    def __init__(self, passwords: Passwords, whose: str) -> None:
        self._hash = passwords.hash
        self._whose = whose
        self._asked: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def hash(self, password: str, whose: str = "") -> str:
        if whose == self._whose:
            made = asyncio.Event()
            self._asked.put_nowait(made)
            await made.wait()
        return await self._hash(password, whose)

    async def next(self) -> asyncio.Event:
        return await self._asked.get()


Hold = Callable[[str], Held]


@pytest.fixture
def hold(api: Api, monkeypatch: pytest.MonkeyPatch) -> Hold:
    def begin(whose: str) -> Held:
        held = Held(api.context.passwords, whose)
        monkeypatch.setattr(api.context.passwords, "hash", held.hash)
        return held

    return begin


async def test_a_log_in_under_way_does_not_undo_a_new_password(api: Api, hold: Hold) -> None:
    held = hold("worker")
    late = asyncio.create_task(api.login("worker", USER_PASSWORD, {"new_password": OTHER}))
    made = await held.next()
    assert (await api.call("PUT", WORKER, {"password": NEW}, token=api.admin)).status == 200
    made.set()
    (await late).refused(401, 1005)
    assert (await api.login("worker", OTHER)).status == 401
    assert (await api.login("worker", NEW)).status == 200


async def test_of_two_log_ins_that_set_a_password_one_does(api: Api, hold: Hold) -> None:
    held = hold("worker")
    wishes = [{"new_password": new} for new in (NEW, OTHER)]
    both = [asyncio.create_task(api.login("worker", USER_PASSWORD, wish)) for wish in wishes]
    for made in [await held.next(), await held.next()]:
        made.set()
    answers = await asyncio.gather(*both)
    assert sorted(answer.status for answer in answers) == [200, 401]
    done = next(answer for answer in answers if answer.status == 200)
    token = done.json["users"][0]["token"]
    assert (await api.call("GET", "/v1/health", token=token)).status == 200


def _put(api: Api, token: str) -> Awaitable[Answer]:
    return api.call("PUT", "/v1/users/admin", {"password": OTHER}, token=token)


def _create(api: Api, token: str) -> Awaitable[Answer]:
    return api.call("POST", "/v1/users", {"username": "thief", "password": OTHER}, token=token)


@pytest.mark.parametrize("act", [_put, _create])
async def test_a_request_of_a_token_that_ended_meanwhile_changes_no_user(
    api: Api, hold: Hold, pool: asyncpg.Pool, act: Callable[[Api, str], Awaitable[Answer]]
) -> None:
    """Whoever has a stolen token does not take the account back by what was under way."""
    stolen = new_token()
    assert await api.context.accounts.add_token(1, "admin", ADMIN_HASH, hash_of(stolen))
    held = hold(hash_of(stolen).hex())
    late = asyncio.create_task(act(api, stolen))
    made = await held.next()
    changed = await api.login("admin", ADMIN_PASSWORD, {"new_password": NEW})
    assert changed.status == 200
    made.set()
    (await late).refused(401, 1005)
    assert (await api.login("admin", NEW)).status == 200
    assert await pool.fetchval("select count(*) from user_account") == 2


async def test_a_hash_that_two_log_ins_renew_lets_both_in(api: Api, hold: Hold) -> None:
    """It is of one password, and neither is told that it is wrong."""
    assert await api.context.accounts.set_password(1, "worker", WEAK.hash(OLDER))
    held = hold("worker")
    both = [asyncio.create_task(api.login("worker", OLDER)) for _ in range(2)]
    for made in [await held.next(), await held.next()]:
        made.set()
    assert [answer.status for answer in await asyncio.gather(*both)] == [200, 200]


async def test_a_hash_renewed_while_the_password_changes_lets_nobody_in(
    api: Api, hold: Hold
) -> None:
    assert await api.context.accounts.set_password(1, "worker", WEAK.hash(OLDER))
    held = hold("worker")
    late = asyncio.create_task(api.login("worker", OLDER))
    made = await held.next()
    assert await api.context.accounts.set_password(1, "worker", USER_HASH)
    made.set()
    (await late).refused(401, 1005)


# Of the same rows


SETTINGS = "/v1/settings/application"
WAITING = """
select count(*) from pg_stat_activity
 where wait_event_type = 'Lock' and datname = current_database()"""


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PATCH", {"sent_status": True})])
async def test_settings_are_locked_in_one_order(
    api: Api, pool: asyncpg.Pool, method: str, body: object
) -> None:
    """The counter first, then the row: otherwise PATCH and DELETE at once were a deadlock."""
    assert (await api.call("PATCH", SETTINGS, {"sent_status": True}, token=api.admin)).status == 200
    async with pool.acquire() as holder, pool.acquire() as looker:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("select from change where what = 'settings' for update")
        call = asyncio.create_task(api.call(method, SETTINGS, body, token=api.admin))
        async with asyncio.timeout(PATIENCE):
            while not await looker.fetchval(WAITING):
                pass
        free = await looker.fetchval("select name from setting for update skip locked")
        await transaction.rollback()
    assert free == "application"
    assert (await call).status == 200


async def test_a_password_changed_while_its_tokens_end(api: Api) -> None:
    accounts = api.context.accounts
    for n in range(3):
        name = f"user{n}"
        await accounts.create_user(1, name, "hash")
        tokens = [new_token() for _ in range(8)]
        for token in tokens:
            assert await accounts.add_token(1, name, "hash", hash_of(token))
        path, wish = f"/v1/users/{name}", {"password": ADMIN_PASSWORD}
        calls = [
            *(api.call("POST", "/v1/users/logout", token=token) for token in tokens),
            api.call("PUT", path, wish, token=api.admin),
            api.call("DELETE", path, token=api.admin),
        ]
        statuses = {a.status for a in await asyncio.gather(*calls)}
        # 503 where PostgreSQL broke a circle of locks: nothing was done, and a retry helps.
        assert statuses <= {200, 401, 404, 503}
