"""What Meta's webhooks bring through a whole cluster: users without a number, statuses in every
spelling, repetitions.

Two webapps listen. The window is 2 s. Messages of every type, with their media, are in
``tests/api/test_conformance_callbacks.py``.
"""

from __future__ import annotations

import asyncio
import random
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.conftest import ONE, on_cloud
from tests.harness.meta import Scene, ids_of, status_of
from tests.harness.wait import soon

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("cloud_webhooks")]

ENVIRONMENT = {"WAROUTER_CLOUD_DOUBT_SECONDS": "2", "WAROUTER_CLOUD_RATE": "1000"}
CONTENT = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20
WEEK = "interval '7 days'"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster() -> AsyncIterator[Scene]:
    async with on_cloud(**ONE, webapps=2, environment=ENVIRONMENT) as scene:
        yield scene


async def heard(scene: Scene, *ids: str) -> list[dict[str, Any]]:
    """These inbound messages as they were called back."""
    messages = scene.business.receiver.messages
    await scene.business.until(lambda: set(ids) <= messages.keys())
    return [messages[i] for i in ids]


class TestInbound:
    async def test_trouble_costs_no_media(self, scene: Scene) -> None:
        """Guards ``Received.late``: the callback has the id, and who asks gets it later."""
        (sender,) = scene.recipients(1)
        await scene.business.faults(media_status=503)
        data = b64encode(CONTENT).decode()
        ids = await scene.business.come({"from": sender, "type": "image", "data": data})
        (message,) = await heard(scene, *ids)
        assert (message["image"]["status"], "errors" in message) == ("undownloaded", False)
        path = f"/v1/media/{message['image']['id']}"
        status, _ = await scene.business.try_call("GET", path)
        assert status == 503
        await scene.business.faults(media_status=0)
        assert await scene.business.try_call("GET", path) == (200, CONTENT)

    async def test_ids_of_ours_come_back_as_ours(self, scene: Scene) -> None:
        """Guards ``Drain._our_ids``: users quote and react by Meta's id."""
        (to,) = scene.recipients(1)
        ours = await scene.post(to)
        await scene.ended(ours)
        ids = await scene.business.come(
            {"from": to, "type": "reaction", "reaction": {"message_id": ours, "emoji": "x"}},
            {"from": to, "body": "y", "context": {"from": "16315550000", "id": ours}},
        )
        reaction, quote = await heard(scene, *ids)
        assert reaction["reaction"]["message_id"] == quote["context"]["id"] == ours

    async def test_a_revoked_message_is_a_status(self, scene: Scene) -> None:
        (sender,) = scene.recipients(1)
        (name,) = await scene.business.come({"from": sender, "body": "oops"})
        await heard(scene, name)
        revoke = {"original_message_id": name}
        await scene.business.come({"from": sender, "type": "revoke", "revoke": revoke})
        await scene.business.called_back("deleted", name)

    async def test_a_user_without_a_number_has_an_alias_and_can_be_answered(
        self, scene: Scene
    ) -> None:
        """Guards ``identity.alias_of`` and ``Lookups`` for aliases. What is sent to an alias of
        nobody fails.
        """
        (number,) = scene.recipients(1)
        await scene.use(withheld=[number])
        ids = await scene.business.come({"from": number, "body": "no number here"})
        (message,) = await heard(scene, *ids)
        alias = message["from"]
        assert (alias[:3], len(alias)) == ("999", 15)
        answer = await scene.post(alias)
        await scene.ended(answer)
        (request,) = await scene.requests(answer)
        assert request["recipient"] == number
        assert {s["recipient_id"] for s in scene.business.receiver.statuses[answer]} == {alias}
        nobody = await scene.post("999000000000001")
        await scene.ended(nobody, status="failed")
        assert scene.business.failure(nobody)["code"] == 1013


class TestStatuses:
    async def test_a_failure_without_a_reference_finds_its_message(self, scene: Scene) -> None:
        """D5. Guards ``match_known``, for what came before its answer was recorded; a later one is
        found by its wamid at once.
        """
        await scene.use(failed=1.0, opaque="never")
        early = await scene.load(scene.recipients(5))
        await scene.ended(*ids_of(early), status="failed")
        await scene.use(sent_ms=500, delivered_ms=500, read_ms=500)
        late = await scene.load(scene.recipients(5))
        await scene.ended(*ids_of(late), status="failed")
        assert all(scene.shown(i) == ("failed",) for i in ids_of(early) + ids_of(late))

    async def test_a_number_that_is_spelled_otherwise_is_the_same(self, scene: Scene) -> None:
        """D6. Guards that statuses go by their reference, and show the number as it was sent to."""
        await scene.use(respell=True)
        sent = await scene.load(["5511987654321", "551187654322", "5215512345678"], each=3)
        await scene.once_in_order(sent)
        for to, ids in sent.items():
            shown = [s for i in ids for s in scene.business.receiver.statuses[i]]
            assert {s["recipient_id"] for s in shown} == {to}

    async def test_a_status_repeated_after_a_week_is_called_back_once(self, scene: Scene) -> None:
        """8.3. Guards ``prune``: keys of events outlive Meta's repetitions, whatever gc does."""
        sender, to = scene.recipients(2)
        element = {"from": sender, "id": "wamid.week", "type": "text", "text": {"body": "x"}}
        element["timestamp"] = str(int(time.time()))
        contact = {"profile": {"name": "Ann"}, "wa_id": sender}
        asked = {"raw": element, "contact": contact}
        await scene.business.come(asked)
        await heard(scene, "wamid.week")
        message_id = await scene.post(to)
        await scene.ended(message_id)
        database = scene.facts.connection
        await database.execute(f"update event set recorded_at = recorded_at - {WEEK}")
        await database.execute(f"update message set accepted_at = accepted_at - {WEEK}")
        await scene.business.call("PUT", "/v1/services/message/gc")
        await scene.facts.until_none("select count(*) from message")
        await scene.business.come(asked)
        (later,) = await scene.business.come({"from": sender, "body": "later"})
        await heard(scene, later)
        assert scene.business.history.inbound[sender, "wamid.week"] == 1


@pytest.mark.parametrize("errors", ["answer", "status"])
async def test_a_number_that_a_message_did_not_reach_is_invalid(scene: Scene, errors: str) -> None:
    """Guards ``LearnedUsers.unreachable`` by answers and by statuses, and ``CloudDirectory``."""
    to, other = scene.recipients(2)
    await scene.use(unknown=[to], errors=errors)
    message_id = await scene.post(to)
    await scene.ended(message_id, status="failed")
    assert scene.business.failure(message_id)["code"] == 1013

    async def found() -> bool:
        body = {"contacts": [to, other], "force_check": True}
        headers = scene.business.headers
        answer = await scene.business.call("POST", "/v1/contacts", json=body, headers=headers)
        return [each["status"] for each in answer["contacts"]] == ["invalid", "valid"]

    await soon(found)


async def identity_of(scene: Scene, wa_id: str, **more: Any) -> dict[str, Any]:
    """As the API tells it; with ``json`` it is acknowledged."""
    method, path = ("PUT" if more else "GET"), f"/v1/contacts/{wa_id}/identity"
    answer = await scene.business.call(method, path, headers=scene.business.headers, **more)
    found: dict[str, Any] = answer["identity"]
    return found


async def names_identity(scene: Scene, to: str) -> bool:
    """Whether the request for one more message says whose it is."""
    message_id = await scene.post(to)
    await scene.ended(message_id)
    (row,) = await scene.requests(message_id)
    return "identity" in row


async def test_a_changed_identity_is_shown_acknowledged_and_sent_along(scene: Scene) -> None:
    """Guards ``IdentityCheck``, ``keep_keys`` and ``Lookups`` for identities, from end to end."""
    (to,) = scene.recipients(1)
    await scene.business.settings(show_security_notifications=True)
    try:
        # Once the first status has shown it, and the owner goes by the setting.
        await soon(lambda: names_identity(scene, to))
        first = await identity_of(scene, to)
        assert first["acknowledged"]
        system = {"type": "user_identity_changed", "body": "new telephone"}
        (name,) = await scene.business.come({"from": to, "type": "system", "system": system})
        (message,) = await heard(scene, name)
        second = await identity_of(scene, to)
        assert message["system"]["type"] == "user_identity_changed"
        assert (second["acknowledged"], second["hash"]) == (False, message["identity"]["hash"])
        refused = await scene.post(to)
        await scene.ended(refused, status="failed")
        assert scene.business.failure(refused)["code"] == 480
        hash = second["hash"]
        assert (await identity_of(scene, to, json={"hash": hash}))["acknowledged"]
        accepted = await scene.post(to)
        await scene.ended(accepted)
        sent = {row["id"]: row["identity"] for row in await scene.requests(refused, accepted)}
        assert sent == {refused: first["hash"], accepted: hash}
    finally:
        await scene.business.settings(show_security_notifications=False)

    async def named_no_more() -> bool:
        return not await names_identity(scene, to)

    await soon(named_no_more)


async def test_two_webapps_get_the_same_statuses_in_different_order(scene: Scene) -> None:
    """D19. Guards the order of keys in ``receive_cloud``: else they wait for each other's rows."""
    sent = await scene.load(scene.recipients(50))
    await scene.ended(*ids_of(sent))
    rows = await scene.requests(*ids_of(sent))
    answers: Counter[int] = Counter()
    for n in range(40):
        # v1 does not show this one, so that only its way is tested.
        times = (2_000_000_000 + n, 2_100_000_000 + n)
        statuses = [status_of(row, "played", time) for time in times for row in rows]
        shuffled = [random.sample(statuses, len(statuses)) for _ in range(8)]
        urls = scene.cluster.cloud_webhooks * 4
        answers += Counter(await asyncio.gather(*map(scene.webhook, shuffled, urls)))
    assert answers == {200: 320}
    await scene.facts.until_none("select count(*) from cloud_inbox")
    for process in scene.cluster.processes.values():
        if process.role == "webapp":
            assert "deadlock" not in process.log.read_text()
