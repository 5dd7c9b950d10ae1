"""Contacts, identities and ``show_security_notifications`` against the Cloud door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any, NamedTuple
from unittest.mock import AsyncMock

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import Answer, Api, Webapp
from tests.harness.cloud import client_settings
from warouter.api.contacts.cloud_contacts import IDENTITY_CHECK, CloudDirectory, IdentityCheck
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.store.cloud.contacts import AT_ONCE, CloudContacts
from warouter.upstream.cloud.graph.calls import Calls, failure
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.secrets import Secrets

TO, STRANGER = "250788123123", "250788999999"
FACTS = CloudFacts(number="49301234567", name="Bakery", token="token-1")
SETTINGS = "/v1/settings/application"
SHOW = "show_security_notifications"
PASSWORD = "A g00d long password!"


class Contacts(NamedTuple):
    """An API whose contacts are the Cloud API's, and Meta's stand-in."""

    api: Api
    other: Api  # with WAROUTER_REQUIRE_CONTACT_CHECK=1
    simulator: CloudSimulator
    contacts: CloudContacts

    async def statuses(self, *numbers: str, api: Api | None = None, **more: Any) -> list[str]:
        body = {"contacts": list(numbers), **more}
        api = api or self.api
        answer = await api.call("POST", "/v1/contacts", body, token=api.user)
        assert answer.status == 200
        found = answer.json["contacts"]
        assert all(("wa_id" in each) == (each["status"] == "valid") for each in found)
        return [each["status"] for each in found]

    async def identity(self, wa_id: str = TO, hash: str = "") -> Answer:
        """GET, or PUT with a hash."""
        path, api = f"/v1/contacts/{wa_id}/identity", self.api
        if hash:
            return await api.call("PUT", path, {"hash": hash}, token=api.user)
        return await api.call("GET", path, token=api.user)

    async def patch(self, **fields: object) -> Answer:
        return await self.api.call("PATCH", SETTINGS, fields, token=self.api.admin)

    async def reset(self) -> Answer:
        return await self.api.call("DELETE", SETTINGS, token=self.api.admin)

    async def shown(self) -> bool:
        answer = await self.api.call("GET", SETTINGS, token=self.api.admin)
        shown: bool = answer.json["settings"]["application"][SHOW]
        return shown

    @property
    def checked(self) -> bool:
        """What is so at Meta."""
        return self.simulator.number.checks_identity

    async def told(self, number: str = FACTS.phone_number_id) -> bool | None:
        """What Meta was told, as far as is known here."""
        return await self.contacts.told(1, f"{IDENTITY_CHECK}:{number}")

    def change_at_meta(self, *, checks: bool) -> None:
        """Behind our back."""
        self.simulator.number.settings = {
            "user_identity_change": {"enable_identity_key_check": checks}
        }


@pytest_asyncio.fixture
async def cloud(webapp: Webapp, pool: asyncpg.Pool) -> AsyncIterator[Contacts]:
    for table in ("contact", "contact_key", "cloud_unreachable", "cloud_switch"):
        await pool.execute(f"delete from {table}")
    simulator = CloudSimulator(FACTS, random=Random(1))
    addresses = await simulator.start()
    settings, of = client_settings(FACTS, addresses.graph_url)
    calls, contacts = Calls(settings, Secrets(of)), CloudContacts(pool)
    directory, check = (
        CloudDirectory(contacts),
        IdentityCheck(of, contacts, NumberCalls(calls)),
    )
    try:
        options = {"numbers": directory, "identity_check": check}
        api, other = [await webapp(contact_check=needed, **options) for needed in (False, True)]
        yield Contacts(api, other, simulator, contacts)
    finally:
        await calls.close()
        await simulator.stop()


async def failed_ago(pool: asyncpg.Pool, wa_id: str, hours: float) -> None:
    sql = "insert into cloud_unreachable values ($1, now() - $2 * interval '1 hour')"
    await pool.execute(sql, wa_id, hours)


async def test_a_number_that_could_not_be_reached_is_invalid_for_a_day(
    cloud: Contacts, pool: asyncpg.Pool
) -> None:
    await failed_ago(pool, TO, 23.9)
    await failed_ago(pool, STRANGER, 24.1)
    numbers = (f"+{TO}", STRANGER, "250788000001", "no number")
    expected = ["invalid", "valid", "valid", "invalid"]
    assert await cloud.statuses(*numbers) == expected
    assert await cloud.statuses(*numbers, blocking="wait", force_check=True) == expected


async def test_many_numbers_at_once(cloud: Contacts, pool: asyncpg.Pool) -> None:
    numbers = [f"250788{n:06d}" for n in range(2 * AT_ONCE + 1)]
    for wa_id in (numbers[0], numbers[AT_ONCE], numbers[-1]):
        await failed_ago(pool, wa_id, 1)
    found = await cloud.statuses(*numbers)
    assert [n for n, status in enumerate(found) if status == "invalid"] == [0, AT_ONCE, 2 * AT_ONCE]


async def test_with_required_checks_whoever_was_checked_may_be_written_to(
    cloud: Contacts, pool: asyncpg.Pool
) -> None:
    """What is looked up is never seven days old, and nothing is `processing`."""
    await failed_ago(pool, STRANGER, 1)
    message = {"to": TO, "text": {"body": "hi"}}
    assert (await cloud.other.send(message)).status == 404
    assert await cloud.statuses(TO, STRANGER, api=cloud.other) == ["valid", "invalid"]
    assert (await cloud.other.send(message)).status == 201
    assert (await cloud.other.send(message | {"to": STRANGER})).status == 404
    await pool.execute("delete from cloud_unreachable")
    assert await cloud.statuses(STRANGER, api=cloud.other) == ["valid"]
    assert (await cloud.other.send(message | {"to": STRANGER})).status == 201


async def test_an_identity_is_shown_and_acknowledged(cloud: Contacts, pool: asyncpg.Pool) -> None:
    unknown = await cloud.identity()
    assert (unknown.status, unknown.error["code"]) == (404, 1006)
    assert (await cloud.identity(hash="b")).status == 404
    await pool.execute(
        "insert into contact_key values ($1, 'b', to_timestamp(1700000000), 'a')", TO
    )
    found = {"hash": "b", "created_timestamp": 1700000000, "acknowledged": False}
    assert (await cloud.identity()).json["identity"] == found
    wrong = await cloud.identity(hash="a")
    assert (wrong.status, wrong.error["code"]) == (400, 1009)
    assert (await cloud.identity()).json["identity"] == found
    assert (await cloud.identity(hash="b")).json["identity"] == found | {"acknowledged": True}
    assert (await cloud.identity()).json["identity"]["acknowledged"]


async def test_the_setting_is_set_at_meta(cloud: Contacts) -> None:
    assert (await cloud.patch(**{SHOW: True})).status == 200
    assert cloud.checked
    assert await cloud.shown()
    assert (await cloud.patch(**{SHOW: "false"})).status == 200
    assert not cloud.checked
    await cloud.patch(**{SHOW: True})
    assert (await cloud.reset()).status == 200
    assert not cloud.checked
    assert not await cloud.shown()


async def test_an_unchanged_switch_makes_no_graph_call(cloud: Contacts) -> None:
    await cloud.patch(**{SHOW: True})
    cloud.change_at_meta(checks=False)
    for fields in ({SHOW: True}, {"sent_status": True}, {SHOW: None}):
        assert (await cloud.patch(**fields)).status == 200
        assert not cloud.checked


async def test_a_switch_that_meta_refuses_is_not_stored(
    cloud: Contacts, pool: asyncpg.Pool
) -> None:
    cloud.simulator.use(cloud.simulator.world.faults.changed({"no_token": True}))
    refused = await cloud.patch(**{SHOW: True, "sent_status": True})
    assert refused.status == 503
    assert SHOW in refused.error["details"]
    assert await pool.fetchval("select count(*) from setting") == 0
    cloud.simulator.use(cloud.simulator.world.faults.changed({"no_token": False}))
    assert await cloud.told() is False
    assert (await cloud.patch(**{SHOW: True})).status == 200


async def test_a_graph_api_that_is_away_changes_nothing(
    cloud: Contacts, pool: asyncpg.Pool
) -> None:
    """It may have done it all the same: the next wish is told to it, whatever that is."""
    await cloud.patch(**{SHOW: True})
    await cloud.simulator.stop()
    assert (await cloud.patch(**{SHOW: False})).status == 503
    assert (await cloud.reset()).status == 503
    assert await cloud.shown()
    assert await cloud.told() is None
    assert (await cloud.patch(sent_status=True)).status == 200


async def test_a_permanent_refusal_by_meta_reaches_the_caller(
    cloud: Contacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door refuses no such switch, so that its client has to."""
    await cloud.patch(**{SHOW: True})
    refused = failure(400, b'{"error":{"code":100,"message":"(#100) no such switch"}}')
    monkeypatch.setattr(NumberCalls, "check_identity", AsyncMock(side_effect=refused))
    for answer in (await cloud.patch(**{SHOW: False}), await cloud.reset()):
        answer.refused(400, 1009, SHOW)
        assert "no such switch" in answer.error["details"]
    assert await cloud.shown()
    assert await cloud.told()


async def test_a_switch_that_meta_took_and_we_could_not_store_is_unknown(
    cloud: Contacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next wish is told to Meta again, whatever it is: this one was done there."""
    await cloud.patch(**{SHOW: True})
    tell = CloudContacts.tell

    async def forgetful(contacts: CloudContacts, number: int, name: str, told: bool | None) -> None:
        if told is not None:
            raise TimeoutError
        await tell(contacts, number, name, told)

    with monkeypatch.context() as patched:
        patched.setattr(CloudContacts, "tell", forgetful)
        assert (await cloud.patch(**{SHOW: False})).status == 503
    assert not cloud.checked
    assert await cloud.shown()
    assert (await cloud.patch(**{SHOW: True})).status == 200
    assert cloud.checked


async def test_another_number_has_a_switch_of_its_own(cloud: Contacts) -> None:
    await cloud.patch(**{SHOW: True})
    assert await cloud.told()
    assert not await cloud.told("1")


async def test_a_restored_setting_is_set_at_meta(cloud: Contacts) -> None:
    await cloud.patch(**{SHOW: True})
    path, token = "/v1/settings/backup", cloud.api.admin
    kept = await cloud.api.call("POST", path, {"password": PASSWORD}, token=token)
    await cloud.reset()
    assert not cloud.checked
    body = {"password": PASSWORD, "data": kept.json["settings"]["data"]}
    answer = await cloud.api.call("POST", "/v1/settings/restore", body, token=token)
    assert (answer.status, "warnings" in answer.json.get("meta", {})) == (200, False)
    assert cloud.checked
    await cloud.reset()
    await cloud.simulator.stop()
    answer = await cloud.api.call("POST", "/v1/settings/restore", body, token=token)
    assert answer.status == 200
    assert SHOW in answer.body.decode()
    assert await cloud.shown()
