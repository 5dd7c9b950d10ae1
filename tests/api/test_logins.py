"""S3: attempts at passwords, pins and WA_API_KEY are counted for all webapps together.

That is done before argon2.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import (
    ADMIN_PASSWORD,
    API_KEY,
    BEHIND_PROXY,
    USER_PASSWORD,
    Answer,
    Api,
    Webapp,
    set_pin,
)
from warouter.store.account.logins import Attempt, Limits, Logins
from warouter.store.views.audit import read_audit

LIMITS = Limits()
STRANGER = "203.0.113.9"


async def pass_by(pool: asyncpg.Pool, seconds: float) -> None:
    """Let time pass for the attempts: all that is remembered of them gets older."""
    await pool.execute(
        "update attempt set since = since - $1::float8 * interval '1 s',"
        " until = until - $1::float8 * interval '1 s'",
        seconds,
    )


class Checked:
    """Counts what reaches argon2 in an API."""

    def __init__(self, *apis: Api) -> None:
        self.count = 0
        for api in apis:
            passwords = api.context.passwords
            check = passwords._check

            def counted(hashed: str, password: str, check=check) -> bool:  # type: ignore[no-untyped-def]
                self.count += 1
                return bool(check(hashed, password))

            passwords._check = counted  # type: ignore[method-assign]


@pytest_asyncio.fixture
async def webapps(webapp: Webapp) -> list[Api]:
    """Three behind a proxy on loopback."""
    return [await webapp(**BEHIND_PROXY) for _ in range(3)]


async def guess(api: Api, username: str, password: str, source: str | None = STRANGER) -> Answer:
    return await api.login(username, password, source=source)


async def fail_often(api: Api, username: str, times: int = LIMITS.failures) -> None:
    for _ in range(times):
        assert (await guess(api, username, "wrong")).status == 401


async def wait_of(api: Api, username: str, source: str | None = STRANGER) -> int:
    """For how many seconds the user must wait now."""
    answer = await guess(api, username, "wrong", source)
    answer.refused(429, 1015)
    assert "Token" not in answer.body.decode()
    return int(answer.headers["Retry-After"])


async def test_s3_five_failures_then_waits_that_double_up_to_15_minutes(
    webapps: list[Api], pool: asyncpg.Pool
) -> None:
    checked = Checked(*webapps)
    for n in range(LIMITS.failures):
        assert (await guess(webapps[n % 3], "worker", "wrong")).status == 401
    expected = [30, 60, 120, 240, 480, 900, 900, 900]
    for n, seconds in enumerate(expected):
        webapp = webapps[n % 3]
        assert seconds - 3 <= await wait_of(webapp, "worker") <= seconds
        # The right password must wait as well: else it could be guessed.
        assert (await guess(webapps[(n + 1) % 3], "worker", USER_PASSWORD)).status == 429
        await pass_by(pool, seconds)
        assert (await guess(webapp, "worker", "wrong")).status == 401
    assert checked.count == LIMITS.failures + len(expected)
    # Never for good: 15 minutes after the last failure it is let in, and all is forgotten.
    await pass_by(pool, LIMITS.longest)
    assert (await guess(webapps[0], "worker", USER_PASSWORD)).status == 200
    await fail_often(webapps[1], "worker")


async def test_s3_failures_over_more_than_a_minute_cost_nothing(
    webapps: list[Api], pool: asyncpg.Pool
) -> None:
    for _ in range(3):
        for _ in range(LIMITS.failures - 1):
            assert (await guess(webapps[0], "worker", "wrong")).status == 401
        await pass_by(pool, LIMITS.window)
    assert (await guess(webapps[0], "worker", USER_PASSWORD)).status == 200


async def test_s3_who_has_waited_starts_anew_after_15_quiet_minutes(
    webapps: list[Api], pool: asyncpg.Pool
) -> None:
    await fail_often(webapps[0], "worker")
    await pass_by(pool, LIMITS.first + LIMITS.longest)
    await fail_often(webapps[0], "worker")


async def test_s3_unknown_users_are_treated_alike(webapps: list[Api]) -> None:
    await fail_often(webapps[0], "nobody")
    assert await wait_of(webapps[1], "nobody") > 25


async def test_s3_a_wait_of_one_user_is_none_of_another(webapps: list[Api]) -> None:
    await fail_often(webapps[0], "worker")
    assert (await guess(webapps[0], "worker", USER_PASSWORD)).status == 429
    assert (await guess(webapps[0], "admin", ADMIN_PASSWORD)).status == 200


async def test_s3_nobody_is_locked_out_by_what_others_guess(webapps: list[Api]) -> None:
    """Neither where that user has logged in before nor anywhere else."""
    assert (await guess(webapps[0], "admin", ADMIN_PASSWORD, "198.51.100.7")).status == 200
    for n in range(6):
        for _ in range(LIMITS.failures):
            await guess(webapps[n % 3], "admin", "wrong", f"203.0.113.{n}")
    assert await wait_of(webapps[1], "admin", "203.0.113.5") > 0
    for fresh in ("198.51.100.7", "198.51.100.8", "2001:db8::1"):
        assert (await guess(webapps[1], "admin", ADMIN_PASSWORD, fresh)).status == 200


async def test_s3_the_judge_finds_a_door_that_counts_by_name_alone(
    webapps: list[Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Logins.look

    async def by_name(self: Logins, what: str, name: str, *_where: object) -> Attempt:
        return await look(self, what, name, "everywhere", None)

    monkeypatch.setattr(Logins, "look", by_name)
    for _ in range(LIMITS.failures):
        await guess(webapps[0], "admin", "wrong", "203.0.113.0")
    assert (await guess(webapps[1], "admin", ADMIN_PASSWORD, "198.51.100.8")).status == 429


async def test_s3_where_a_user_logs_in_there_are_limits_too(webapps: list[Api]) -> None:
    assert (await guess(webapps[0], "admin", ADMIN_PASSWORD)).status == 200
    await fail_often(webapps[2], "admin")
    assert await wait_of(webapps[1], "admin") > 25


async def test_s3_who_guesses_from_many_addresses_has_one_failure_at_each(
    webapps: list[Api], pool: asyncpg.Pool
) -> None:
    home = "198.51.100.7"
    assert (await guess(webapps[0], "admin", ADMIN_PASSWORD, home)).status == 200
    for n in range(LIMITS.spread - 1):
        assert (await guess(webapps[n % 3], "admin", "wrong", f"203.0.113.{n}")).status == 401
    checked = Checked(*webapps)
    for n in range(100, 110):
        assert (await guess(webapps[n % 3], "admin", "wrong", f"203.0.113.{n}")).status == 401
        assert 25 < await wait_of(webapps[0], "admin", f"203.0.113.{n}") <= 30
    assert checked.count == 10
    # Not so at home, and not for another user.
    for name, source in (("admin", home), ("worker", "203.0.113.0")):
        for _ in range(LIMITS.failures):
            assert (await guess(webapps[0], name, "wrong", source)).status == 401
    await pass_by(pool, LIMITS.spread_window)
    for _ in range(LIMITS.failures):
        assert (await guess(webapps[0], "admin", "wrong", "203.0.113.200")).status == 401
    assert (await guess(webapps[0], "admin", "wrong", "203.0.113.200")).status == 429


async def spread(webapps: list[Api], name: str) -> None:
    """Guess from so many addresses that one failure is left to each."""
    for n in range(LIMITS.spread):
        await guess(webapps[n % 3], name, "wrong", f"192.0.2.{n}")


@pytest.mark.parametrize("minutes", [0, 50])
async def test_s3_the_first_wait_is_30_seconds_whatever_came_before_it(
    webapps: list[Api], pool: asyncpg.Pool, minutes: int
) -> None:
    await fail_often(webapps[0], "worker", LIMITS.failures - 1)
    await pass_by(pool, 60 * minutes)
    await spread(webapps, "worker")
    for n, seconds in enumerate((30, 60, 120)):
        assert (await guess(webapps[n], "worker", "wrong")).status == 401
        assert seconds - 5 < await wait_of(webapps[0], "worker") <= seconds
        await pass_by(pool, seconds)


async def test_s3_a_wait_doubles_on_when_the_guesses_elsewhere_begin_or_end(
    webapps: list[Api], pool: asyncpg.Pool
) -> None:
    await fail_often(webapps[0], "worker")
    assert 25 < await wait_of(webapps[0], "worker") <= 30
    await pass_by(pool, 30)
    await spread(webapps, "worker")
    assert (await guess(webapps[1], "worker", "wrong")).status == 401
    assert 55 < await wait_of(webapps[0], "worker") <= 60
    await pass_by(pool, 60)
    await pool.execute("delete from attempt where what = 'spread'")
    assert (await guess(webapps[1], "worker", "wrong")).status == 401
    assert 115 < await wait_of(webapps[0], "worker") <= 120
    # 15 quiet minutes after it, that is forgotten: also if one failure is all that is left.
    await pass_by(pool, 120 + LIMITS.longest)
    await spread(webapps, "worker")
    assert (await guess(webapps[2], "worker", "wrong")).status == 401
    assert 25 < await wait_of(webapps[0], "worker") <= 30


async def test_s3_a_customer_of_ipv6_has_a_64(webapps: list[Api]) -> None:
    for n in range(LIMITS.failures):
        assert (await guess(webapps[0], "admin", "wrong", f"2001:db8::{n}")).status == 401
    assert await wait_of(webapps[0], "admin", "2001:db8::ffff:1") > 25
    assert (await guess(webapps[0], "admin", ADMIN_PASSWORD, "2001:db8:0:1::1")).status == 200


async def test_s3_an_address_has_20_failures_a_minute(
    webapps: list[Api], pool: asyncpg.Pool
) -> None:
    checked, began = Checked(*webapps), time.monotonic()
    for n in range(LIMITS.per_address):
        assert (await guess(webapps[n % 3], f"user{n}", "wrong")).status == 401
    answer = await guess(webapps[0], "worker", USER_PASSWORD)
    answer.refused(429, 1015)
    least = 60 - (time.monotonic() - began)
    assert least <= int(answer.headers["Retry-After"]) <= 60
    assert checked.count == LIMITS.per_address
    assert (await guess(webapps[0], "worker", USER_PASSWORD, "203.0.113.10")).status == 200
    await pass_by(pool, LIMITS.window)
    assert (await guess(webapps[0], "worker", USER_PASSWORD)).status == 200
    for n in range(LIMITS.per_address):
        assert (await guess(webapps[n % 3], f"user{n}", "wrong")).status == 401
    (await guess(webapps[0], "worker", USER_PASSWORD)).refused(429, 1015)


@pytest.mark.parametrize("names", ["one", "many"])
async def test_s3_of_all_guesses_of_five_minutes_a_hundred_are_checked(
    webapps: list[Api], pool: asyncpg.Pool, names: str
) -> None:
    """From one address, over three webapps, whether they are at one name or at many."""
    checked, guesses, began = Checked(*webapps), 0, time.monotonic()
    for half_minute in range(10):
        await pass_by(pool, 30 if half_minute else 0)
        for _ in range(25):
            guesses += 1
            name = "worker" if names == "one" else f"user{guesses}"
            await guess(webapps[guesses % 3], name, "wrong")
    minutes = (9 * 30 + time.monotonic() - began) // LIMITS.window  # the fifth is not over
    assert LIMITS.failures < checked.count <= LIMITS.per_address * (1 + minutes)
    await pass_by(pool, LIMITS.longest)
    assert (await guess(webapps[0], "worker", USER_PASSWORD)).status == 200


async def test_s3_right_passwords_in_parallel_are_all_let_in(webapps: list[Api]) -> None:
    answers = await asyncio.gather(
        *(guess(webapps[n % 3], "worker", USER_PASSWORD) for n in range(30))
    )
    assert {a.status for a in answers} == {200}  # what succeeds does not count for the address
    assert (await guess(webapps[0], "worker", USER_PASSWORD)).status == 200


async def test_s3_loopback_and_proxies_have_no_limit_of_the_address(
    api: Api, webapps: list[Api]
) -> None:
    for n in range(LIMITS.per_address + 2):
        assert (await guess(api, f"user{n}", "wrong", None)).status == 401
        assert (await guess(webapps[0], f"name{n}", "wrong", None)).status == 401


async def test_s3_parallel_guesses_are_not_let_through_before_they_are_counted(
    webapps: list[Api],
) -> None:
    checked = Checked(*webapps)
    answers = await asyncio.gather(
        *(guess(webapps[n % 3], "worker", f"wrong{n}") for n in range(90))
    )
    # Two a webapp are under way when the fifth failure is written.
    assert checked.count <= LIMITS.failures - 1 + 2 * 3
    assert sum(a.status == 401 for a in answers) == checked.count
    assert {a.status for a in answers} == {401, 429}


async def test_s3_pins_guessed_at_set_shards_count(api: Api, pool: asyncpg.Pool) -> None:
    accounts = api.context.accounts
    await accounts.save_account(1, "49", "301234567", None, None)
    await set_pin(accounts, await api.context.passwords.hash("123456"))
    wish = {"cc": "49", "phone_number": "301234567", "shards": 2}

    async def set_shards(pin: str) -> Answer:
        return await api.call("POST", "/v1/account/shards", wish | {"pin": pin}, token=api.admin)

    checked = Checked(api)
    for n in range(LIMITS.failures):
        assert (await set_shards(f"00000{n}")).code == 1009
    answer = await set_shards("123456")
    answer.refused(429, 1015)
    assert 25 < int(answer.headers["Retry-After"]) <= 30
    assert checked.count == LIMITS.failures
    assert api.recorder.shard_count == 1
    await pass_by(pool, LIMITS.first)
    assert (await set_shards("123456")).status == 201
    # Pins are not passwords: the administrator may log in meanwhile.
    for n in range(LIMITS.failures):
        await set_shards(f"00000{n}")
    assert (await api.login("admin", ADMIN_PASSWORD)).status == 200


async def fail(logins: Logins, name: str, prefix: str, address: str | None) -> None:
    attempt = await logins.look("user", name, prefix, address)
    await logins.begin(attempt)
    await logins.failed(attempt)


async def test_old_attempts_are_pruned(pool: asyncpg.Pool) -> None:
    logins = Logins(pool)
    for name in ("a", "b"):
        await fail(logins, name, "203.0.113.9", "203.0.113.9")
    attempt = await logins.look("user", "c", "203.0.113.9", None)
    await logins.begin(attempt)
    await logins.succeeded(attempt)
    await pass_by(pool, 3_700)
    await fail(logins, "d", "203.0.113.8", None)
    rows = await pool.fetch("select what, name from attempt order by what")
    failed = [("spread", "d"), ("user", "d\n203.0.113.8")]
    assert [tuple(r) for r in rows] == [("known", "c\n203.0.113.9"), *failed]
    await pass_by(pool, LIMITS.known_days * 86_400)
    await fail(logins, "d", "203.0.113.8", None)
    assert await pool.fetchval("select count(*) from attempt") == 2


async def test_a_name_cannot_pose_as_a_name_at_an_address(api: Api) -> None:
    (await guess(api, "admin\n127.0.0.1", "wrong", None)).refused(401, 1005)
    assert await api.context.accounts._pool.fetchval("select count(*) from attempt") == 0


# Guesses at WA_API_KEY: limited, logged and audited as those at passwords are


MONITOR = "198.51.100.7"


async def ask(api: Api, key: str, source: str = STRANGER, path: str = "/v1/health") -> Answer:
    headers = {"Authorization": f"Apikey {key}", "X-Forwarded-For": source}
    return await api.call("GET", path, headers=headers)


async def test_guesses_at_the_key_must_wait(
    webapps: list[Api], caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(LIMITS.failures):
        assert (await ask(webapps[n % 2], f"wrong{n}")).status == 401
    for webapp in webapps:
        answer = await ask(webapp, "wrong")
        answer.refused(429, 1015)
        assert 25 < int(answer.headers["Retry-After"]) <= 30
        # The right one as well: else it could be guessed.
        assert (await ask(webapp, API_KEY)).status == 429
        assert (await ask(webapp, API_KEY, path="/metrics")).status == 429
        assert (await ask(webapp, API_KEY, MONITOR)).status == 200
    assert caplog.text.count("API key refused") == LIMITS.failures
    assert "wrong" not in caplog.text


async def test_they_are_summed_in_the_audit_log(webapps: list[Api], pool: asyncpg.Pool) -> None:
    for _ in range(LIMITS.failures + 3):
        await ask(webapps[0], "wrong")
    await webapps[0].context.audit.refusals.flush()
    found: Counter[tuple[str, ...]] = Counter()
    for e in await read_audit(pool, 10):  # of one minute, or of two
        found[e.action, e.source, e.outcome] += e.times
    assert found == {
        ("API key", STRANGER, "401/1005 Access denied"): LIMITS.failures,
        ("API key", STRANGER, "429/1015 Too many requests"): 3,
    }


async def test_they_count_for_the_address_with_all_else_that_it_guesses(
    webapps: list[Api],
) -> None:
    """Of IPv6 the /64, and of one like the others."""
    for n in range(LIMITS.per_address):
        guessed = await webapps[0].login(f"user{n}", "wrong", source=f"2001:db8::{n}")
        assert guessed.status == 401
    assert (await ask(webapps[1], "wrong", "2001:db8::ffff:1")).status == 429
    assert (await ask(webapps[1], API_KEY, "2001:db8::ffff:1")).status == 429
    assert (await ask(webapps[1], API_KEY, "2001:db8:0:1::1")).status == 200


async def test_the_right_key_asks_no_database(webapps: list[Api]) -> None:
    async def fails(*_arguments: object) -> object:
        raise AssertionError("it was asked")

    for name in ("look", "begin", "failed"):
        setattr(webapps[0].context.logins, name, fails)
    assert (await ask(webapps[0], API_KEY, path="/metrics")).status == 200


async def test_parallel_guesses_are_few(webapps: list[Api]) -> None:
    """From loopback, which has no limit of the address; one a webapp is under way too many."""
    local = {"source": "127.0.0.1"}
    answers = await asyncio.gather(*(ask(webapps[n % 2], f"wrong{n}", **local) for n in range(60)))
    assert LIMITS.failures <= sum(a.status == 401 for a in answers) <= LIMITS.failures + 1
    assert {a.status for a in answers} == {401, 429}
