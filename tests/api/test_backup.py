"""POST /v1/settings/backup and /v1/settings/restore."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import zlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.harness.api import (
    ADMIN_HASH,
    ADMIN_PASSWORD,
    USER_HASH,
    USER_PASSWORD,
    Answer,
    Api,
    serve,
    set_pin,
)
from tests.harness.postgres import clone
from tests.harness.wait import soon
from warouter.access.login import seed_administrator
from warouter.access.passwords import WAITING
from warouter.access.token import hash_of, new_token
from warouter.api import sealed
from warouter.api.backup import RESTORE_LIMIT
from warouter.api.sealed import FORM, check_form, seal, unseal
from warouter.local.postgres import Postgres
from warouter.store.database import create_pool

PASSWORD = "A g00d long password! ☺"
OTHER = "0ther!Passw"
COST = sealed._COST
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


async def filled(api: Api) -> None:
    accounts = api.context.accounts
    await accounts.change_setting(
        1, "application", lambda _: {"callback_persist": False, "later": 1}
    )
    await accounts.change_setting(1, "profile", lambda _: {"about": "Bäckerei ☺"})
    await accounts.save_account(1, "49", "301234567", "CERT", bytes(range(32)))
    await set_pin(accounts, ADMIN_HASH)
    await accounts._pool.execute("update account set registered_at = now() - interval '30 days'")


async def backup(api: Api, password: object = PASSWORD) -> Answer:
    body = {"password": password}
    return await api.call("POST", "/v1/settings/backup", body, token=api.admin)


async def data_of(api: Api) -> str:
    answer = await backup(api)
    assert answer.status == 200, answer.body
    text: str = answer.json["settings"]["data"]
    return text


async def restore(api: Api, data: object, password: object = PASSWORD) -> Answer:
    body = {"password": password, "data": data}
    return await api.call("POST", "/v1/settings/restore", body, token=api.admin)


async def everything(pool: asyncpg.Pool) -> list[Any]:
    queries = (
        "select * from setting order by name",
        "select username, password_hash, role, must_change from user_account order by username",
        "select cc, phone_number, cert, authority_key, pin_hash, registered_at from account",
    )
    return [await pool.fetch(query) for query in queries]


@pytest_asyncio.fixture
async def elsewhere(postgres: Postgres) -> AsyncIterator[Api]:
    """A fresh cluster of its own, whose administrator has another password."""
    pool = await create_pool(await clone(postgres), "test", 4)
    api = await serve(pool)
    accounts, passwords = api.context.accounts, api.context.passwords
    await seed_administrator(accounts, passwords, OTHER)
    user = await accounts.user(1, "admin")
    assert user is not None
    api.admin = new_token()
    await accounts.add_token(1, "admin", user.password_hash, hash_of(api.admin))
    yield api
    await api.client.close()
    await pool.close()


async def test_a_fresh_cluster_becomes_the_one_that_was_saved(
    api: Api, pool: asyncpg.Pool, elsewhere: Api
) -> None:
    await filled(api)
    data = await data_of(api)
    (await restore(elsewhere, data)).done()
    there = elsewhere.context.accounts._pool
    assert await everything(there) == await everything(pool)
    # The administrator there has another password now: the old token and password are over.
    assert (await elsewhere.call("GET", "/v1/health", token=elsewhere.admin)).status == 401
    assert (await elsewhere.login("admin", OTHER)).status == 401
    assert (await elsewhere.login("admin", ADMIN_PASSWORD)).status == 200
    assert (await elsewhere.login("worker", USER_PASSWORD)).status == 200
    account = await elsewhere.context.accounts.account(1)
    assert account is not None
    assert account.registered_seconds_ago > 29 * 86400
    assert account.authority_key == bytes(range(32))


async def test_restored_on_the_same_cluster(api: Api, pool: asyncpg.Pool) -> None:
    await filled(api)
    saved = await everything(pool)
    data = await data_of(api)
    accounts = api.context.accounts
    await accounts.change_setting(1, "application", lambda _: {"callback_persist": True})
    await accounts.change_setting(1, "new", lambda _: {"a": 1})
    await accounts.delete_setting(1, "profile")
    await accounts.create_user(1, "clerk", ADMIN_HASH)
    token = new_token()
    await accounts.add_token(1, "clerk", ADMIN_HASH, hash_of(token))
    assert (await api.call("GET", "/v1/health", token=token)).status == 200
    await pool.execute("update user_account set password_hash = 'x' where username = 'worker'")
    await pool.execute("update account set cert = 'ANOTHER', pin_hash = null")
    await api.context.tokens.refresh()
    assert (await restore(api, data)).status == 200
    assert await everything(pool) == saved
    # Who changed or went has no token any more; who did not keeps it.
    assert (await api.call("GET", "/v1/health", token=api.user)).status == 401
    assert (await api.call("GET", "/v1/health", token=token)).status == 401
    assert (await api.call("GET", "/v1/health", token=api.admin)).status == 200
    assert await pool.fetchval("select count(*) from token") == 1


async def test_the_text_shows_nothing_and_is_another_each_time(api: Api) -> None:
    await filled(api)
    first, second = await data_of(api), await data_of(api)
    assert first.startswith("warouter-backup:2:")
    assert first[len(FORM) : len(FORM) + 30] != second[len(FORM) : len(FORM) + 30]
    raw = base64.urlsafe_b64decode(first[len(FORM) :])
    for secret in (b"argon2", b"301234567", b"admin", b"CERT", b"callback"):
        assert secret not in raw
        assert secret.decode() not in first


async def test_wrong_passwords_and_damaged_data_change_nothing(
    api: Api, pool: asyncpg.Pool
) -> None:
    await filled(api)
    data = await data_of(api)
    await api.context.accounts.change_setting(
        1, "application", lambda _: {"callback_persist": True}
    )
    before = await everything(pool)
    raw = bytearray(base64.urlsafe_b64decode(data[len(FORM) :]))
    damaged = []
    for at in (0, 15, 16, 27, 28, len(raw) // 2, len(raw) - 17, len(raw) - 1):
        flipped = bytearray(raw)
        flipped[at] ^= 1
        damaged.append(FORM + base64.urlsafe_b64encode(flipped).decode())
    for bad in (
        *damaged,
        "nonsense",
        FORM,
        f"{FORM}AAAA",
        f"{FORM}{'A' * 200}",
        f"{FORM}é",
        data[:-8],
        f"{data}AAAA",
        data.replace(":2:", ":1:"),
        data.replace(":2:", ":3:"),
        f" {data}",
        seal(b"{}", PASSWORD),  # what else its content may not be: tests/unit/api/test_restored.py
    ):
        (await restore(api, bad)).refused(400, 1009)
    for password in ("wrong", PASSWORD + " ", PASSWORD.upper()):
        (await restore(api, data, password)).refused(400, 1009)
    assert await everything(pool) == before
    assert (await api.call("GET", "/v1/health", token=api.user)).status == 200


async def test_a_hash_that_costs_too_much_is_not_checked(
    api: Api, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    """However it came into the database: whoever knows the password, its check takes no minutes."""
    dear = ADMIN_HASH.replace("m=32,", "m=4194304,")
    assert dear != ADMIN_HASH
    await pool.execute("update user_account set password_hash = $1 where username = 'worker'", dear)
    used: list[str] = []

    class Noted(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            used.append(str(hash))
            return super().verify(hash, password)

    passwords = api.context.passwords
    passwords._hasher = Noted()
    assert (await api.login("worker", USER_PASSWORD)).status == 401
    assert used == [passwords._nobody]
    assert "password hash rejected" in caplog.text


async def test_restored_while_others_log_in_and_change_things(api: Api) -> None:
    """None of them deadlocks: each would lock rows, and then the counter that triggers raise."""
    accounts, backups = api.context.accounts, api.context.backups
    await accounts.change_setting(1, "application", lambda _: {"callback_persist": True})
    saved = await backups.read(1)
    done = asyncio.Event()

    async def log_in_and_out() -> None:
        while not done.is_set():
            token = hash_of(new_token())
            await accounts.add_token(1, "worker", USER_HASH, token)
            await accounts.remove_token(token)

    async def change() -> None:
        while not done.is_set():
            await accounts.set_password(1, "worker", USER_HASH)
            await accounts.change_setting(1, "application", dict)

    async def restore() -> None:
        try:
            for _ in range(40):
                await accounts.create_user(1, "clerk", USER_HASH)
                assert await backups.replace(1, saved)
        finally:
            done.set()

    await asyncio.gather(restore(), log_in_and_out(), log_in_and_out(), change())


async def test_a_restore_is_all_or_nothing(api: Api, pool: asyncpg.Pool) -> None:
    """The last user cannot be stored: what was written before is taken back."""
    await filled(api)
    await api.context.accounts.create_user(1, "cursed", ADMIN_HASH)
    data = await data_of(api)
    await pool.execute("delete from user_account where username = 'cursed'")
    await api.context.accounts.delete_setting(1, "profile")
    before = await everything(pool)
    await pool.execute(
        "alter table user_account add constraint cursed check (username <> 'cursed')"
    )
    try:
        assert (await restore(api, data)).status == 500
    finally:
        await pool.execute("alter table user_account drop constraint cursed")
    assert await everything(pool) == before
    assert (await api.call("GET", "/v1/health", token=api.user)).status == 200


async def test_a_backup_of_another_number_is_refused(
    api: Api, pool: asyncpg.Pool, elsewhere: Api
) -> None:
    await filled(api)
    data = await data_of(api)
    await elsewhere.context.accounts.save_account(1, "1", "6315550000", None, None)
    there = elsewhere.context.accounts._pool
    before = await everything(there)
    (await restore(elsewhere, data)).refused(409, 1004)
    assert await everything(there) == before


async def test_a_backup_from_before_registration_takes_none_away(
    api: Api, pool: asyncpg.Pool
) -> None:
    data = await data_of(api)
    await filled(api)
    assert (await restore(api, data)).status == 200
    assert await api.context.accounts.account(1) is not None
    assert await pool.fetchval("select count(*) from setting") == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1008),
        ({"password": ""}, 1009),
        ({"password": None}, 1009),
        ({"password": 5}, 1009),
        ({"password": "x" * 1025}, 1009),
        ({"password": "alllower1!"}, 1009),
    ],
)
async def test_passwords_that_are_refused(api: Api, body: dict[str, Any], code: int) -> None:
    for path in ("backup", "restore"):
        sent = body | ({"data": "x"} if path == "restore" else {})
        (await api.call("POST", f"/v1/settings/{path}", sent, token=api.admin)).refused(400, code)
    lone = b'{"password":"\\ud800"}'
    answer = await api.call("POST", "/v1/settings/backup", token=api.admin, data=lone)
    answer.refused(400, 1009)


async def test_the_limit_of_restore_is_its_own(api: Api) -> None:
    frame = len('{"password":"x","data":""}')
    for size, status in ((RESTORE_LIMIT, 400), (RESTORE_LIMIT + 1, 413)):
        data = b'{"password":"x","data":"%b"}' % (b"A" * (size - frame))
        sent = io.BytesIO(data)
        answer = await api.call("POST", "/v1/settings/restore", token=api.admin, data=sent)
        answer.refused(status, 1009)
    deep = b'{"password":"x","data":' + b"[" * 1_000_000
    answer = await api.call("POST", "/v1/settings/restore", token=api.admin, data=deep)
    assert answer.status == 400


async def test_a_backup_of_much(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into user_account select 'user' || n, $1, 'ROLE_USER', false"
        " from generate_series(1, 1000) n",
        ADMIN_HASH,
    )
    before = await everything(pool)
    data = await data_of(api)
    assert len(data) < 64 * 1024
    await pool.execute("delete from user_account where username like 'user%'")
    assert (await restore(api, data)).status == 200
    assert await everything(pool) == before


async def test_backups_wait_for_their_turn(api: Api) -> None:
    passwords = api.context.passwords
    async with passwords.callers_turn("another"):
        calls = [asyncio.create_task(backup(api)) for _ in range(WAITING + 8)]
        await soon(lambda: sum(call.done() for call in calls) == 8)
    statuses = [answer.status for answer in await asyncio.gather(*calls)]
    assert (statuses.count(200), statuses.count(429)) == (WAITING, 8)


def test_the_key_costs_what_its_form_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held against another implementation of scrypt."""
    monkeypatch.setattr(sealed, "_COST", COST)
    text = seal(b"content", PASSWORD)
    raw = base64.urlsafe_b64decode(text.removeprefix(FORM))
    n = 2**17
    key = hashlib.scrypt(PASSWORD.encode(), salt=raw[:16], n=n, r=8, p=1, maxmem=2**28, dklen=32)
    packed = AESGCM(key).decrypt(raw[16:28], raw[28:], FORM.encode())
    assert zlib.decompress(packed) == b"content"
    assert unseal(check_form(text), PASSWORD) == b"content"


def test_a_backup_that_unpacks_to_too_much_is_refused() -> None:
    text = seal(b"\0" * (33 * 1024 * 1024), PASSWORD)
    assert len(text) < 64 * 1024
    with pytest.raises(ValueError, match="too large"):
        unseal(check_form(text), PASSWORD)
    assert unseal(check_form(seal(b"content", PASSWORD)), PASSWORD) == b"content"
