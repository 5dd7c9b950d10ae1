"""The cases of the older product, by id: contacts must be checked first, and rates are limited."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.integration import TEXT, installed
from tests.harness.wait import PATIENCE

NUMBER, WITHOUT = "250788123123", "250788123999"


async def test_c32_c33_c34_c37_a_local_cluster_as_the_product_was_before_2_39(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `warouter up` is started: by variables of the shell, not by options of a test."""
    for name, value in (
        ("WAROUTER_REQUIRE_CONTACT_CHECK", "1"),
        ("WAROUTER_RATE_LIMIT", "product"),
        ("WA_APP_MULTICONNECT", "0"),
    ):
        monkeypatch.setenv(name, value)
    async with installed(shards=1, coreapps=1, masters=1) as one:
        health = await one.call("GET", "/v1/health")
        assert health.json["health"] == {"gateway_status": "connected"}
        await one.faults(unknown=[WITHOUT])
        error = (await one.send({**TEXT, "to": NUMBER})).refused(404, 1006)
        # What courier compares with, word for word.
        assert (error["title"], error["details"]) == ("Resource not found", "unknown contact")
        contacts = [f"+{NUMBER}", f"+{WITHOUT}"]
        wish = {"blocking": "wait", "contacts": contacts, "force_check": True}
        assert (await one.call("POST", "/v1/contacts", wish)).json["contacts"] == [
            {"input": contacts[0], "status": "valid", "wa_id": NUMBER},
            {"input": contacts[1], "status": "invalid"},
        ]
        await one.receiver.status(await one.sent({**TEXT, "to": NUMBER}), "delivered")
        (await one.send({**TEXT, "to": WITHOUT})).refused(404, 1006)
        async with asyncio.timeout(PATIENCE):
            replies = await asyncio.gather(*(one.send({**TEXT, "to": NUMBER}) for _ in range(400)))
        assert {reply.status for reply in replies} == {201, 429}
        for reply in replies:
            if reply.status == 429:
                reply.refused(429, 1015)
                assert int(reply.headers["Retry-After"]) >= 1
