"""What the upstream refuses, end to end: from the request to the callback that says why."""

from __future__ import annotations

import asyncio
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


async def test_only_checked_contacts_are_written_to() -> None:
    """C32-C34, with a check through one webapp and the message through the other."""
    environment = {"WAROUTER_REQUIRE_CONTACT_CHECK": "1"}
    async with running(masters=1, coreapps=2, webapps=2, environment=environment) as (_, business):
        await only_checked(business)


async def only_checked(business: Business) -> None:
    stranger = "491520000002"
    await business.faults(unknown=[stranger])

    async def send(url: str, to: str) -> tuple[int, Any]:
        message = {"to": to, "text": {"body": "hi"}}
        async with business.http.post(
            f"{url}/v1/messages", json=message, headers=business.headers
        ) as answer:
            return answer.status, await answer.json()

    async def check(url: str, *numbers: str) -> Any:
        wish = {"blocking": "wait", "contacts": [f"+{n}" for n in numbers], "force_check": True}
        async with business.http.post(
            f"{url}/v1/contacts", json=wish, headers=business.headers
        ) as answer:
            assert answer.status == 200
            return (await answer.json())["contacts"]

    one, other = business.cluster.webapp_urls
    for status, body in await asyncio.gather(send(one, TO), send(other, TO)):
        assert status == 404
        (error,) = body["errors"]
        assert (error["code"], error["title"]) == (1006, "Resource not found")
        assert error["details"] == "unknown contact"
    assert await check(one, TO, stranger) == [
        {"input": f"+{TO}", "status": "valid", "wa_id": TO},
        {"input": f"+{stranger}", "status": "invalid"},
    ]
    for url in (one, other):
        status, body = await send(url, TO)
        assert status == 201
        await business.called_back("read", body["messages"][0]["id"])
        assert (await send(url, stranger))[0] == 404
