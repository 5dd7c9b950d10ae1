"""Guesses at WA_API_KEY: limited, logged and audited as those at passwords are."""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import API_KEY, BEHIND_PROXY, Answer, Api, Webapp
from warouter.store.account.logins import Limits
from warouter.store.views.audit import read_audit

LIMITS = Limits()
STRANGER, MONITOR = "203.0.113.9", "198.51.100.7"


@pytest_asyncio.fixture
async def webapps(webapp: Webapp) -> list[Api]:
    return [await webapp(**BEHIND_PROXY) for _ in range(2)]


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
