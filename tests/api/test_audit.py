"""S26: what matters leaves a row: who, what, when, from where, how it ended."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from tests.harness.api import (
    ADMIN_PASSWORD,
    BEHIND_PROXY,
    USER_PASSWORD,
    Api,
    Webapp,
)
from tests.harness.audit import ALL, back_date, by_force, forget
from tests.harness.wait import PATIENCE
from warouter.access.scopes import ANY
from warouter.api.app import ROUTES
from warouter.api.route import Access, Route
from warouter.store import audit as store_audit
from warouter.store.audit import DONE, MOST_A_MINUTE, Audit
from warouter.store.refusal_sums import MOST, Note, RefusalSums
from warouter.store.views.audit import read_audit

GOOD = "G00d!passw"


async def rows(pool: asyncpg.Pool) -> list[tuple[str, ...]]:
    """(actor, action, subject, source, outcome), the oldest first."""
    found = await read_audit(pool, 1000)
    return [(e.actor, e.action, e.subject, e.source, e.outcome) for e in reversed(found)]


async def sums(api: Api) -> dict[tuple[str, ...], int]:
    """(actor, action, source, outcome) -> how many, in whatever minutes."""
    await api.context.audit.refusals.flush()
    found: Counter[tuple[str, ...]] = Counter()
    for e in await read_audit(api.context.accounts._pool, 1000):
        found[e.actor, e.action, e.source, e.outcome] += e.times
    return found


async def check_summed(pool: asyncpg.Pool) -> None:
    """No two rows of a minute, or of an hour, are equal."""
    columns = "actor, action, source, outcome, date_trunc('minute', since)"
    twice = f"group by {columns} having count(*) > 1"
    assert await pool.fetch(f"select {columns} from {ALL} where since is not null {twice}") == []


async def test_users_and_passwords(api: Api, pool: asyncpg.Pool) -> None:
    new = {"username": "clerk", "password": GOOD}
    await api.call("POST", "/v1/users", new, token=api.admin)
    await api.call("POST", "/v1/users", new, token=api.admin)
    await api.call("PUT", "/v1/users/clerk", {"password": "0ther!Pass"}, token=api.admin)
    await api.call("PUT", "/v1/users/clerk", {"password": "weak"}, token=api.admin)
    await api.call("DELETE", "/v1/users/clerk", token=api.admin)
    await api.call("DELETE", "/v1/users/admin", token=api.admin)
    await api.login("worker", USER_PASSWORD, {"new_password": GOOD})
    await api.login("worker", "wrong")
    await api.context.audit.refusals.flush()
    here = "127.0.0.1"
    taken = "400/1014 Unable to create user. Already exist?"
    weak = "400/1009 password must have 8 to 64 characters"
    assert await rows(pool) == [
        ("admin", "create user", "clerk", here, "done"),
        ("admin", "create user", "clerk", here, taken),
        ("admin", "change password", "clerk", here, "done"),
        ("admin", "change password", "clerk", here, weak),
        ("admin", "delete user", "clerk", here, "done"),
        ("admin", "delete user", "admin", here, "403/1005 the account admin cannot be deleted"),
        ("worker", "change password", "worker", here, "done"),
        ("worker", "log in", "", here, "done"),
        ("worker", "log in", "", here, "401/1005 Access denied"),
    ]
    ages = await pool.fetch("select now() - at as age from audit")
    assert all(-1 < row["age"].total_seconds() < 60 for row in ages)
    text = str([await pool.fetch(f"select * from {t}") for t in ("audit", "audit_pending")])
    assert not any(secret in text for secret in (GOOD, "0ther!Pass", USER_PASSWORD, "$argon2"))


async def test_the_source_is_what_a_trusted_proxy_says(webapp: Webapp, pool: asyncpg.Pool) -> None:
    headers = {"X-Forwarded-For": "1.2.3.4, 203.0.113.9"}
    for api in (await webapp(), await webapp(**BEHIND_PROXY)):
        await api.call("DELETE", "/v1/users/nobody", token=api.admin, headers=headers)
    assert [row[3] for row in await rows(pool)] == ["127.0.0.1", "203.0.113.9"]


async def test_nothing_is_done_without_a_row(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute("alter table audit rename to audit_gone")
    try:
        new = {"username": "clerk", "password": GOOD}
        assert (await api.call("POST", "/v1/users", new, token=api.admin)).status == 500
        assert await api.context.accounts.user(1, "clerk") is None
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
    await api.context.accounts.save_account(1, "49", "301234567", None, None)
    data = b'{"cc":"49","phone_number":"301234567","shards":"%b"}' % text.encode()
    answer = await api.call("POST", "/v1/account/shards", token=api.admin, data=data)
    assert answer.status == 400
    ((_, _, _, _, outcome),) = await rows(pool)
    assert outcome.startswith("400/1009")
    assert len(outcome) <= 300


async def test_rows_go_after_their_time(pool: asyncpg.Pool) -> None:
    audit = Audit(pool, kept_days=10)
    for days in (11, 9):
        number = await audit.begin("admin", f"{days} days ago", "")
        await by_force(
            pool,
            "update audit set at = now() - make_interval(days => $2) where id = $1",
            *(number, days),
        )
    await audit.begin("admin", "now", "")
    assert [row[1] for row in await rows(pool)] == ["9 days ago", "now"]


# By default, from the table of routes


NAMED = (
    *("set shards", "register", "verify registration", "two-step on", "two-step off"),
    *("backup", "restore"),
)


def change_routes() -> list[Route]:
    return [r for r in ROUTES if r.access is Access.ADMIN and r.method not in ("GET", "HEAD")]


def test_whatever_an_administrator_changes_leaves_a_row_or_says_why_not() -> None:
    assert len(change_routes()) > 20
    for route in change_routes():
        assert route.audited or len(route.unaudited.split()) > 3, (route.method, route.path)
    new = Route("PUT", "/v1/new", Access.ADMIN, ANY, ROUTES[0].handler)
    assert (new.audited, new.name) == (True, "PUT /v1/new")
    assert not new._replace(unaudited="for a reason that is told").audited
    assert not new._replace(method="GET").audited
    names = [route.name for route in ROUTES if route.audited]
    assert len(set(names)) == len(names)
    assert {*NAMED} <= {*names}


async def test_each_of_them_leaves_one(api: Api, pool: asyncpg.Pool) -> None:
    for route in change_routes():
        await forget(pool)
        path = re.sub(r"{\w+}", "nobody", route.path)
        await api.call(route.method, path, {})  # of nobody, who leaves none
        answer = await api.call(route.method, path, {}, token=api.admin)
        ((actor, action, _, source, outcome),) = await rows(pool)
        assert (actor, action, source) == ("admin", route.name, "127.0.0.1")
        assert outcome == "done" or outcome.startswith(f"{answer.status}/"), route.path


async def test_refusals_by_role_are_one_row_a_minute(api: Api) -> None:
    for route in change_routes():
        path = re.sub(r"{\w+}", "nobody", route.path)
        for _ in range(3):
            assert (await api.call(route.method, path, {}, token=api.user)).status == 403
    denied = "403/1005 Access denied"
    assert await sums(api) == {
        ("worker", route.name, "127.0.0.1", denied): 3 for route in change_routes()
    }


# Log-ins, in any number


async def test_log_ins_and_log_outs(api: Api) -> None:
    for _ in range(3):
        token = await api.token_of("worker", USER_PASSWORD)
        assert (await api.call("POST", "/v1/users/logout", token=token)).status == 200
    here = "127.0.0.1"
    assert await sums(api) == {
        ("worker", "log in", here, "done"): 3,
        ("worker", "log out", here, "done"): 3,
    }


async def test_equal_guesses_are_one_row_a_minute(api: Api, pool: asyncpg.Pool) -> None:
    statuses = [(await api.login("admin", f"wrong{n}")).status for n in range(12)]
    assert (statuses.count(401), statuses.count(429)) == (5, 7)
    here = "127.0.0.1"
    expected = {
        ("admin", "log in", here, "401/1005 Access denied"): 5,
        ("admin", "log in", here, "429/1015 Too many requests"): 7,
    }
    assert await sums(api) == expected
    await check_summed(pool)
    before = await pool.fetchval(f"select count(*) from {ALL}")
    await back_date(pool, "10 minutes")
    assert (await api.login("admin", "wrong")).status == 429
    await sums(api)
    assert await pool.fetchval(f"select count(*) from {ALL}") == before + 1


async def test_the_prefix_of_an_address_is_what_is_summed(webapp: Webapp) -> None:
    behind = await webapp(**BEHIND_PROXY)
    for n in range(4):
        await behind.login("admin", "wrong", source=f"2001:db8::{n}")
    assert await sums(behind) == {("admin", "log in", "2001:db8::/64", "401/1005 Access denied"): 4}


DENIED = "401/1005 Access denied"


def guesses(names: int, addresses: int = 1) -> dict[Note, int]:
    return {
        Note(f"name{n}", "log in", f"203.0.113.{a}", DENIED): 2
        for n in range(names)
        for a in range(addresses)
    }


async def test_a_guesser_with_many_names_does_not_fill_the_table(
    api: Api, pool: asyncpg.Pool
) -> None:
    audit = api.context.audit
    for _ in range(3):
        await audit.add(guesses(300))
    await check_summed(pool)
    assert sum(e.times for e in await read_audit(pool, 1000)) == 3 * 300 * 2
    kept = f"select count(*) from {ALL} where actor <> '*' group by date_trunc('minute', since)"
    assert {row[0] for row in await pool.fetch(kept)} == {MOST_A_MINUTE}
    assert {e.source for e in await read_audit(pool, 1000) if e.actor == "*"} == {"*"}
    # Users keep their names, and log-ins are never among what is beyond.
    users = {Note("admin", "log in", f"198.51.100.{n}", DENIED): 1 for n in range(50)}
    await audit.add(users | {Note("worker", "log in", "198.51.100.1", DONE): 1})
    named = await pool.fetch(f"select actor, sum(times) from {ALL} group by actor order by actor")
    assert [tuple(row) for row in named if row[0] in ("admin", "worker")] == [
        *(("admin", 50), ("worker", 1))
    ]
    assert await pool.fetchval(f"select source from {ALL} where outcome = 'done'") != "*"


async def test_a_guesser_of_days_does_not_fill_the_table_either(pool: asyncpg.Pool) -> None:
    add = "select audit_add($1, 'log in', '203.0.113.9', $2, 1, 10, 25)"
    for minute in range(6):
        for n in range(10):
            await pool.execute(add, f"name{minute}-{n}", DENIED)
        await back_date(pool, "1 minute", "actor <> '*'")
    assert await pool.fetchval(f"select count(*) from {ALL} where actor <> '*'") == 25
    await back_date(pool, "1 day", "actor <> '*'")
    await pool.execute(add, "name", DENIED)
    assert await pool.fetchval(f"select count(*) from {ALL} where actor <> '*'") == 26


async def test_the_judge_finds_a_log_without_bounds(
    api: Api, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_audit, "MOST_A_MINUTE", 10**6)
    await api.context.audit.add(guesses(100))
    assert await pool.fetchval(f"select count(*) from {ALL}") == 100 > MOST_A_MINUTE


async def test_webapps_that_write_the_same_sums_at_once(api: Api, pool: asyncpg.Pool) -> None:
    sums = guesses(10)
    await asyncio.gather(*(api.context.audit.add(sums) for _ in range(20)))
    found = await read_audit(pool, 1000)
    assert sum(e.times for e in found) == 20 * sum(sums.values())
    await check_summed(pool)


async def test_a_webapp_sums_in_bounded_memory_and_forgets_nothing(pool: asyncpg.Pool) -> None:
    refusals = RefusalSums(Audit(pool).add)
    for n in range(5000):
        refusals.note(f"name{n}", "log in", "203.0.113.9", DENIED)
    assert len(refusals._sums) == MOST + 1
    await pool.execute("alter table audit rename to audit_gone")
    try:
        with pytest.raises(asyncpg.PostgresError):
            await refusals.flush()
    finally:
        await pool.execute("alter table audit_gone rename to audit")
    refusals.note("name1", "log in", "203.0.113.9", DENIED)
    await refusals.flush()
    assert await pool.fetchval(f"select sum(times) from {ALL}") == 5001


async def test_refused_requests_are_audited_by_themselves(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = asyncio.Event()
    refusals = api.context.audit.refusals
    add = refusals._add

    async def told(sums: Mapping[Note, int]) -> None:
        await add(sums)
        written.set()

    monkeypatch.setattr(refusals, "_add", told)
    await api.call("GET", "/v1/users/admin", token=api.user)
    async with asyncio.timeout(PATIENCE):
        await written.wait()
    ((actor, action, *_),) = await rows(api.context.accounts._pool)
    assert (actor, action) == ("worker", "GET /v1/users/{username}")  # though it only reads


# Never a secret


async def test_no_secret_stands_in_a_row(api: Api, pool: asyncpg.Pool) -> None:
    secret = "C4nary!" + "x" * 30
    here = ("application", "application/media/providers", "business/profile", "profile/about")
    bodies: list[Any] = [
        {"username": "clerk", "password": secret},
        {"password": secret, "data": secret, "pin": secret, "code": secret},
        {"webhooks": {"url": f"https://u:{secret}@example.com/{secret}", "secrets": [secret]}},
        {"webhooks": {"url": f"http://{secret}"}, "on_call_pager": secret},
        [{"name": "a", "config": {"bearer": secret}}],
        [{"name": "a", "config": {"basic": {"username": "u", "password": secret}}}],
        {"description": secret, "text": secret},
    ]
    for route in change_routes():
        path = re.sub(r"{\w+}", "nobody", route.path)
        for body in bodies:
            await api.call(route.method, path, body, token=api.admin)
    for path in here:
        await api.call("PATCH", f"/v1/settings/{path}", {"text": secret}, token=api.admin)
    await api.login("admin", secret)
    await api.call("GET", "/v1/health", headers={"Authorization": f"Apikey {secret}"})
    await api.context.audit.refusals.flush()
    text = str([await pool.fetch(f"select * from {t}") for t in ("audit", "audit_pending")])
    assert "webhooks.url" in text
    assert secret not in text
