"""The cases of real clients, by id: contacts and their identity."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.harness.integration import Integration
from tests.harness.wait import PATIENCE

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]


SENDER = "250788123124"


async def test_c35_a_thousand_contacts(site: Integration) -> None:
    numbers = [f"+25078{n:07}" for n in range(1000)]
    began = time.monotonic()
    body = {"blocking": "wait", "contacts": numbers, "force_check": True}
    reply = await site.call("POST", "/v1/contacts", body)
    assert reply.status == 200
    assert [c["input"] for c in reply.json["contacts"]] == numbers
    assert time.monotonic() - began < 20


async def test_c36_contacts_without_waiting(site: Integration) -> None:
    body = {"contacts": ["+1 631 555 1001"]}
    async with asyncio.timeout(PATIENCE):
        while True:
            reply = await site.call("POST", "/v1/contacts/", body)
            assert reply.status == 200
            (contact,) = reply.json["contacts"]
            assert contact["input"] == "+1 631 555 1001"
            assert contact["status"] in ("processing", "valid")
            if contact["status"] == "valid":
                break
            await asyncio.sleep(0.1)
    assert contact["wa_id"] == "16315551001"


async def test_c45_identity(site: Integration) -> None:
    path = f"/v1/contacts/{SENDER}/identity"
    shown = await site.call("GET", path)
    if shown.status == 404:
        shown.refused(404, 1006)
        (await site.call("PUT", path, {"hash": "x"})).refused(404, 1006)
        await site.inject({"from": SENDER, "type": "text", "body": "hello"})
        shown = await site.call("GET", path)
    assert shown.status == 200
    identity = shown.json["identity"]
    assert isinstance(identity["hash"], str)
    assert isinstance(identity["created_timestamp"], int)
    reply = await site.call("PUT", path, {"hash": identity["hash"]})
    assert reply.status == 200
    assert isinstance(reply.json, dict)
    (await site.call("GET", "/v1/contacts/15550000000/identity")).refused(404, 1006)
