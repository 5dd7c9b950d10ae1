"""S26: what matters leaves a row: who, what, when, from where, how it ended."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

import asyncpg
import pytest

from tests.api.conftest import ADMIN_PASSWORD, USER_PASSWORD, Api, reconfigured, serve
from warouter.errors import ChangeRefused
from warouter.store.audit import Audit, read_audit

GOOD = "G00d!passw"
WISH = {"cc": "49", "phone_number": "301234567", "shards": 2}


async def rows(pool: asyncpg.Pool) -> list[tuple[str, ...]]:
    """(actor, action, subject, source, outcome), the oldest first."""
    found = await read_audit(pool, 1000)
    return [(e.actor, e.action, e.subject, e.source, e.outcome) for e in reversed(found)]


async def test_users_and_passwords(api: Api, pool: asyncpg.Pool) -> None:
    new = {"username": "clerk", "password": GOOD}
    await api.call("POST", "/v1/users", new, token=api.admin)
    await api.call("POST", "/v1/users", new, token=api.admin)
    await api.call("PUT", "/v1/users/clerk", {"password": "0ther!Pass"}, token=api.admin)
    await api.call("PUT", "/v1/users/clerk", {"password": "weak"}, token=api.admin)
    await api.call("DELETE", "/v1/users/clerk", token=api.admin)
    await api.call("DELETE", "/v1/users/admin", token=api.admin)
    await api.login("worker", USER_PASSWORD, {"new_password": GOOD})
    await api.login("worker", GOOD)  # leaves none
    await api.login("worker", "wrong")
    here = "127.0.0.1"
    taken = "400/1014 Unable to create user. Already exist?"
    assert await rows(pool) == [
        ("admin", "create user", "clerk", here, "done"),
        ("admin", "create user", "clerk", here, taken),
        ("admin", "change password", "clerk", here, "done"),
        (
            "admin",
            "change password",
            "clerk",
            here,
            "400/1009 password must have 8 to 64 characters",
        ),
        ("admin", "delete user", "clerk", here, "done"),
        ("admin", "delete user", "admin", here, "403/1005 the account admin cannot be deleted"),
        ("worker", "change password", "worker", here, "done"),
        ("worker", "log in", "", here, "401/1005 wrong credentials"),
    ]
    ages = await pool.fetch("select now() - at as age from audit")
    assert all(-1 < row["age"].total_seconds() < 60 for row in ages)
    text = str(await pool.fetch("select * from audit"))
    assert not any(secret in text for secret in (GOOD, "0ther!Pass", USER_PASSWORD, "$argon2"))


async def test_every_sensitive_call_has_its_row(api: Api, pool: asyncpg.Pool) -> None:
    calls: list[tuple[str, str, Any, str]] = [
        ("POST", "/v1/account/shards", WISH, "set shards"),
        ("POST", "/v1/account", {}, "register"),
        ("POST", "/v1/account/verify", {}, "verify registration"),
        ("POST", "/v1/settings/account/two-step", {"pin": "123456"}, "two-step on"),
        ("DELETE", "/v1/settings/account/two-step", None, "two-step off"),
        ("POST", "/v1/settings/backup", {"password": GOOD}, "backup"),
        ("POST", "/v1/settings/restore", {"password": "x", "data": "x"}, "restore"),
    ]
    for method, path, body, _ in calls:
        await api.call(method, path, body, token=api.admin)
        await api.call(method, path, body, token=api.user)  # 403: it never begins
        await api.call(method, path, body)
    seen = await rows(pool)
    assert [(r[0], r[1]) for r in seen] == [("admin", action) for _, _, _, action in calls]
    assert [r[4].partition(" ")[0] for r in seen] == [
        "404/1006",
        "400/1008",
        "400/1008",
        "404/1006",
        "404/1006",
        "done",
        "400/1009",
    ]


async def test_20_parallel_calls_20_rows(api: Api, pool: asyncpg.Pool) -> None:
    """One at a time as the database has it; the cluster's own refusal is in tests/cluster."""
    await api.context.accounts.save_account("49", "301234567", None, None)
    running, others, refused = asyncio.Lock(), asyncio.Event(), 0

    async def one_at_a_time(shards: int) -> list[str]:
        nonlocal refused
        if running.locked():
            refused += 1
            if refused == 19:
                others.set()
            raise ChangeRefused("another change of the shard count is under way; retry")
        async with running:
            await others.wait()
        return []

    api.recorder.set_shards = one_at_a_time  # type: ignore[method-assign]
    object.__setattr__(api.context, "set_shards", one_at_a_time)
    answers = await asyncio.gather(
        *(api.call("POST", "/v1/account/shards", WISH, token=api.admin) for _ in range(20))
    )
    assert sorted(a.status for a in answers) == [201] + [403] * 19
    seen = await rows(pool)
    assert sorted(r[4].partition(" ")[0] for r in seen) == ["403/1011"] * 19 + ["done"]
    assert {r[:4] for r in seen} == {("admin", "set shards", "2 shards", "127.0.0.1")}


async def test_the_source_is_what_a_trusted_proxy_says(api: Api, pool: asyncpg.Pool) -> None:
    behind = await serve(pool, reconfigured(trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),)))
    try:
        headers = {"X-Forwarded-For": "1.2.3.4, 203.0.113.9"}
        for one in (api, behind):
            await one.call("DELETE", "/v1/users/nobody", token=api.admin, headers=headers)
    finally:
        await behind.client.close()
    assert [row[3] for row in await rows(pool)] == ["127.0.0.1", "203.0.113.9"]


async def test_nothing_is_done_without_a_row(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute("alter table audit rename to audit_gone")
    try:
        new = {"username": "clerk", "password": GOOD}
        assert (await api.call("POST", "/v1/users", new, token=api.admin)).status == 500
        assert await api.context.accounts.user("clerk") is None
    finally:
        await pool.execute("alter table audit_gone rename to audit")
    assert (await api.login("admin", ADMIN_PASSWORD)).status == 200


async def test_a_deed_that_is_done_counts_although_its_row_cannot_be_completed(
    api: Api, pool: asyncpg.Pool
) -> None:
    audit = api.context.audit

    async def fails(number: int, subject: str, outcome: str) -> None:
        raise OSError("gone")

    audit.end = fails  # type: ignore[method-assign]
    new = {"username": "clerk", "password": GOOD}
    assert (await api.call("POST", "/v1/users", new, token=api.admin)).status == 201
    assert [row[4] for row in await rows(pool)] == ["begun"]


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\u202e\\n\\u001b[31m", "x" * 4000])
async def test_a_client_s_own_words_are_storable(api: Api, pool: asyncpg.Pool, text: str) -> None:
    await api.context.accounts.save_account("49", "301234567", None, None)
    data = b'{"cc":"49","phone_number":"301234567","shards":"%b"}' % text.encode()
    answer = await api.call("POST", "/v1/account/shards", token=api.admin, data=data)
    assert answer.status == 400
    ((_, _, _, _, outcome),) = await rows(pool)
    assert outcome.startswith("400/1009")
    assert len(outcome) <= 300


async def test_rows_go_after_their_time(pool: asyncpg.Pool) -> None:
    audit = Audit(pool, kept_days=10)
    for days in (9, 11):
        number = await audit.begin("admin", f"{days} days ago", "")
        await pool.execute(
            "update audit set at = now() - make_interval(days => $2) where id = $1", number, days
        )
    await audit.begin("admin", "now", "")
    assert [row[1] for row in await rows(pool)] == ["9 days ago", "now"]
