"""The cases of the older product, by id: contacts must be checked first, and rates are limited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.integration import TEXT, Integration, installed
from tests.harness.wait import PATIENCE

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("strict")]

NUMBER = "250788123123"
WITHOUT = "250788123999"
# What courier compares with, word for word.
UNKNOWN = ("unknown contact", "Could not retrieve phone number from contact store")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict() -> AsyncIterator[Integration]:
    """A cluster as the product was before v2.39, with the product's rate limits."""
    environment = {"WAROUTER_REQUIRE_CONTACT_CHECK": "1", "WAROUTER_RATE_LIMIT": "product"}
    async with installed(shards=1, coreapps=1, masters=1, environment=environment) as one:
        await one.faults(unknown=[WITHOUT])
        yield one


def check(number: str) -> dict[str, object]:
    return {"blocking": "wait", "contacts": [f"+{number}"], "force_check": True}


async def test_c32_a_number_that_was_not_checked(strict: Integration) -> None:
    reply = await strict.send({**TEXT, "to": "250788123000"})
    error = reply.refused(404, 1006)
    assert error["title"] == "Resource not found"
    assert error["details"] in UNKNOWN


async def test_c33_check_and_send_again(strict: Integration) -> None:
    (await strict.send({**TEXT, "to": NUMBER})).refused(404, 1006)
    reply = await strict.call("POST", "/v1/contacts", check(NUMBER))
    assert reply.status == 200
    assert reply.json["contacts"] == [
        {"input": f"+{NUMBER}", "status": "valid", "wa_id": NUMBER},
    ]
    again = await strict.send({**TEXT, "to": NUMBER})
    assert again.status == 201
    message_id = again.json["messages"][0]["id"]
    await strict.receiver.status(message_id, "delivered")


async def test_c34_a_number_without_whatsapp(strict: Integration) -> None:
    reply = await strict.call("POST", "/v1/contacts", check(WITHOUT))
    assert reply.status == 200
    assert reply.json["contacts"] == [{"input": f"+{WITHOUT}", "status": "invalid"}]
    (await strict.send({**TEXT, "to": WITHOUT})).refused(404, 1006)


async def test_c37_more_than_the_limit_a_second(strict: Integration) -> None:
    assert (await strict.call("POST", "/v1/contacts", check(NUMBER))).status == 200
    async with asyncio.timeout(PATIENCE):
        replies = await asyncio.gather(*(strict.send({**TEXT, "to": NUMBER}) for _ in range(400)))
    refused = [r for r in replies if r.status != 201]
    assert {r.status for r in replies} == {201, 429}
    assert refused
    for reply in refused:
        reply.refused(429, 1015)
        assert int(reply.headers["Retry-After"]) >= 1


async def test_a_local_cluster_is_told_so_by_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `warouter up` is started: by variables of the shell, not by options of a test."""
    monkeypatch.setenv("WAROUTER_REQUIRE_CONTACT_CHECK", "1")
    monkeypatch.setenv("WA_APP_MULTICONNECT", "0")
    async with installed(shards=1, coreapps=1, masters=1) as one:
        (await one.send({**TEXT, "to": NUMBER})).refused(404, 1006)
        health = await one.call("GET", "/v1/health")
        assert health.json["health"] == {"gateway_status": "connected"}
