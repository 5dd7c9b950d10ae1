"""What the upstream refuses, end to end: from the request to the callback that says why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.conftest import running
from tests.harness.business import Business

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("refusals")]

TO = "491520000001"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    async with running(masters=1, coreapps=2) as (_, business):
        yield business


async def failure(business: Business, message_id: str) -> tuple[int, str]:
    """Code and title of a message that fails, after a look at the whole error."""
    await business.called_back("failed", message_id)
    error = business.failure(message_id)
    assert set(error) == {"code", "title", "details", "href"}
    assert error["details"]
    assert error["href"] == "/docs/whatsapp/api/errors"
    return error["code"], error["title"]


def template(name: str) -> dict[str, Any]:
    return {"type": "template", "template": {"name": name, "language": {"code": "en"}}}


def hsm(name: str) -> dict[str, Any]:
    language = {"policy": "deterministic", "code": "en"}
    return {"type": "hsm", "hsm": {"namespace": "n", "element_name": name, "language": language}}


async def test_each_refusal_is_called_back_with_its_code(business: Business) -> None:
    numbers = [f"49152000010{n}" for n in range(6)]
    unknown, blocked, experiment, incapable, *fine = numbers
    await business.faults(
        unknown=[unknown],
        blocked=[blocked],
        experiment=[experiment],
        incapable=[incapable],
        templates={"promo": 2061},
        tier=2,
    )
    expected = {
        await business.message(unknown): (470, "Re-engagement message"),
        await business.message(unknown, **template("hello")): (1013, "User is not valid"),
        await business.message(blocked): (1007, "Recipient blocked to receive message"),
        await business.message(experiment): (472, "User's number is part of an experiment"),
        await business.message(incapable): (1026, "Receiver Incapable"),
        await business.message(fine[0], **template("promo")): (2061, "Template paused"),
        # An hsm is refused as the template that it is.
        await business.message(fine[0], **hsm("promo")): (2061, "Template paused"),
    }
    assert {i: await failure(business, i) for i in expected} == expected
    # C38. Nobody before was reached: the tier is two of those who follow.
    passed = [await business.message(to) for to in fine]
    for message_id in passed:
        await business.called_back("read", message_id)
    over = await business.message(TO)
    assert await failure(business, over) == (471, "Spam rate limit hit")
    await business.faults(tier=0, pair_rate=2)
    retried = [await business.message(TO) for _ in range(3)]
    for message_id in retried:
        await business.called_back("read", message_id)
    statuses = business.history.statuses
    assert not any("failed" in statuses[i] for i in retried)  # a pair rate only delays
    await business.faults(pair_rate=0)


async def test_an_identity_is_refused_until_it_is_acknowledged(business: Business) -> None:
    path = f"/v1/contacts/{TO}/identity"
    await business.faults(identity_check=True)
    await business.called_back("read", await business.message(TO))
    assert (await business.call("GET", path))["identity"]["acknowledged"]
    system = {"type": "user_identity_changed", "body": "changed"}
    await business.come({"from": TO, "type": "system", "system": system})
    refused = await business.message(TO)
    assert await failure(business, refused) == (480, "User potentially changed")
    hash = (await business.call("GET", path))["identity"]["hash"]
    assert (await business.call("PUT", path, json={"hash": hash}))["identity"]["acknowledged"]
    await business.called_back("read", await business.message(TO))
