"""The cases of real clients, by id: contacts, rates and load, with each upstream.

The Cloud API has nobody to ask for a contact: each number is valid until a send has failed. So a
client hears of a number without WhatsApp by the status of its message, and loses nothing by that.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.harness.integration import CLOUD, TEXT, Integration
from tests.harness.wait import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER, WITHOUT = "250788123123", "250788123999"
CLIENTS, SECONDS, MOST = 300, 10.0, 10  # of C49; so many of each, and no more
REFUSED = {"unknown": [WITHOUT]}


async def asked(site: Integration, *spellings: str, **more: Any) -> list[dict[str, Any]]:
    wish = {"blocking": "wait", "contacts": [*spellings], "force_check": True, **more}
    reply = await site.call("POST", "/v1/contacts", wish)
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply.json["contacts"]
    return found


async def test_c32_c33_a_number_that_was_not_checked_yet(strict: Integration) -> None:
    """What courier does: word for word what it compares with, then a check, then once more."""
    to = "250788123001"
    error = (await strict.send({**TEXT, "to": to})).refused(404, 1006)
    assert (error["title"], error["details"]) == ("Resource not found", "unknown contact")
    valid = {"input": f"+{to}", "status": "valid", "wa_id": to}
    assert await asked(strict, f"+{to}") == [valid]
    await strict.receiver.status(await strict.sent({**TEXT, "to": to}), "delivered")


async def test_c34_a_number_without_whatsapp(strict: Integration) -> None:
    await strict.faults(**REFUSED)
    try:
        (shown,) = await asked(strict, f"+{WITHOUT}")
        message = {**TEXT, "to": WITHOUT}
        if strict.upstream == CLOUD:
            assert shown == {"input": f"+{WITHOUT}", "status": "valid", "wa_id": WITHOUT}
            status = await strict.receiver.status(await strict.sent(message), "failed")
            assert status["errors"][0]["code"] == 1013
        else:
            assert shown == {"input": f"+{WITHOUT}", "status": "invalid"}
            (await strict.send(message)).refused(404, 1006)
    finally:
        await strict.faults()


async def test_c35_a_thousand_numbers(site: Integration) -> None:
    numbers = [f"25078900{n:04d}" for n in range(1000)]
    wanted = [{"input": f"+{n}", "status": "valid", "wa_id": n} for n in numbers]
    # As long as a client waits at most: that is the limit of each call of the harness.
    assert await asked(site, *(f"+{n}" for n in numbers)) == wanted


async def test_c36_without_waiting(strict: Integration) -> None:
    spelling, wa_id = "+250 788 123 002", "250788123002"
    wish = {"contacts": [spelling]}
    async with asyncio.timeout(PATIENCE):
        while True:
            reply = await strict.call("POST", "/v1/contacts/", wish)
            assert reply.status == 200, reply.body
            (shown,) = reply.json["contacts"]
            if shown["status"] != "processing":
                break
            assert shown == {"input": spelling, "status": "processing"}
            await asyncio.sleep(0.1)
    assert shown == {"input": spelling, "status": "valid", "wa_id": wa_id}


async def test_c37_more_than_the_rate(strict: Integration) -> None:
    await strict.checked(NUMBER)
    async with asyncio.timeout(PATIENCE):
        replies = await asyncio.gather(*(strict.send({**TEXT, "to": NUMBER}) for _ in range(400)))
    assert {reply.status for reply in replies} == {201, 429}
    for reply in replies:
        if reply.status == 429:
            reply.refused(429, 1015)
            assert int(reply.headers["Retry-After"]) >= 1


async def test_c38_over_the_tier(site: Integration) -> None:
    """By Meta 131048 is what comes closest: too much of what was sent is blocked or reported."""
    over = {"code": 131048} if site.upstream == CLOUD else {"tier": 1}
    await site.faults(**over)
    try:
        ids = [await site.sent({**TEXT, "to": f"25078912310{n}"}) for n in range(2)]
        status = await site.receiver.status(ids[-1], "failed")
        assert status["errors"][0]["code"] == 471
    finally:
        await site.faults()
    await site.receiver.status(await site.sent(TEXT), "read")


async def test_c49_three_hundred_clients_at_once(site: Integration) -> None:
    """Each sends to recipients of its own: the Cloud API takes one message in 6 s to each."""
    ids: list[str] = []
    ends = asyncio.get_running_loop().time() + SECONDS

    async def client(n: int) -> None:
        sent = 0
        while asyncio.get_running_loop().time() < ends and sent < MOST:
            reply = await site.send({**TEXT, "to": f"2507{n:04d}{sent:04d}"})
            sent += 1
            if reply.status == 201:
                ids.append(reply.json["messages"][0]["id"])
            else:
                assert reply.status in (429, 503)
                await asyncio.sleep(0.5)

    await asyncio.gather(*(client(n) for n in range(CLIENTS)))
    assert len(ids) == len(set(ids)) > 0
    await site.receiver.until(lambda: site.receiver.ended >= set(ids))
