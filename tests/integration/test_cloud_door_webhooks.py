"""Webhooks of the Cloud door: handshake, order of POSTs, repetitions, outage; what they carry."""

from __future__ import annotations

import msgspec
import pytest

from tests.harness.cloud import TO, Business, Door
from tests.harness.wait import soon
from warouter.lab.simulator.cloud.people import user_id


async def test_each_url_is_asked_first_and_then_called_in_turn(world: Door) -> None:
    other = Business()
    await other.start()
    world.use(batch=1)
    try:
        world.simulator.subscribe([world.business.url, other.url])
        await soon(lambda: len(world.simulator.sender.urls) == 2)
        assert set(other.queries[0]) == {"hub.mode", "hub.verify_token", "hub.challenge"}
        assert other.queries[0]["hub.mode"] == "subscribe"
        for _ in range(4):
            await world.send()
        both = world.business, other
        await soon(lambda: sum(len(one.bodies) for one in both) == 12)
        assert {len(one.bodies) for one in both} == {6}
    finally:
        await other.stop()


async def test_a_url_that_fails_the_handshake_is_asked_again_and_not_called(world: Door) -> None:
    world.business.verify = False
    world.simulator.subscribe([world.business.url])
    await world.send()
    await world.business.watch.until(lambda: len(world.business.queries) > 2)
    assert world.business.bodies == []
    world.business.verify = True
    assert len(await world.statuses(3)) == 3
    webhooks = world.record.webhooks
    assert (webhooks.handshakes, webhooks.handshakes_failed >= 1) == (2, True)


@pytest.mark.parametrize("status", [201, 204, 302, 400, 500])
async def test_a_webhook_without_a_200_is_repeated_unchanged(world: Door, status: int) -> None:
    world.use(retry_ms=1, retry_most_s=1, gather_ms=600)
    world.business.status = lambda n: status if n < 2 else 200
    await world.send()
    await soon(lambda: world.record.webhooks.acknowledged)
    assert len(world.business.bodies) == 3
    assert len(set(world.business.bodies)) == 1
    webhooks = world.record.webhooks
    assert (webhooks.sent, webhooks.retried, webhooks.failed, webhooks.elements) == (1, 2, 2, 3)


async def test_a_listener_that_stalls_is_asked_again_after_the_time_out(world: Door) -> None:
    world.use(timeout_ms=50, retry_ms=1)
    world.business.stalls = True
    await world.send()
    await soon(lambda: world.record.webhooks.retried >= 2)
    assert world.record.webhooks.acknowledged == 0
    world.business.stalls = False
    await soon(lambda: world.record.webhooks.elements == 3)


@pytest.mark.parametrize("switch", [dict(outage_s=1000), dict(hold_webhooks_s=1000)])
async def test_webhooks_come_once_an_outage_or_a_hold_is_over(
    world: Door, switch: dict[str, int]
) -> None:
    """While it lasts POSTs fail, and are repeated; or they wait, and nothing is tried."""
    world.use(**switch, retry_ms=1, retry_most_s=0.2)
    await world.send()
    if "outage_s" in switch:
        await soon(lambda: world.record.webhooks.failed >= 3)
    else:
        await soon(lambda: len(world.simulator.world.outbox) == 3)
    assert switch.keys() <= (await world.ask("GET", "/"))[1]["running"].keys()
    assert world.business.bodies == []
    await world.ask("DELETE", "/faults")
    assert len(await world.statuses(3)) == 3


async def test_every_second_post_in_an_outage(world: Door) -> None:
    world.use(outage_s=1000, outage_every=2, batch=1, retry_ms=3_600_000)
    await world.send()
    await world.send()
    await soon(lambda: world.record.webhooks.failed == 3)
    assert len(await world.statuses(3)) == 3


async def test_large_batches_over_entries_and_changes(world: Door) -> None:
    world.use(gather_ms=500, entries=2, changes=3, posts=1, sent_ms=0, delivered_ms=0, read_ms=0)
    for n in range(8):
        await world.send(f"4915112345{n:02d}")
    found = await world.statuses(24)
    assert len({(s["id"], s["status"]) for s in found}) == 24
    body = msgspec.json.decode(world.business.bodies[0])
    assert len(body["entry"]) == 2
    assert {len(entry["changes"]) for entry in body["entry"]} == {3}


async def test_a_second_app_and_repeats(world: Door) -> None:
    world.use(second_app=1.0, repeat=1.0, repeat_ms=1, batch=1000)
    await world.send()
    found = await world.statuses(12)
    assert {s["status"]: found.count(s) for s in found} == dict.fromkeys(
        ("sent", "delivered", "read"), 4
    )


async def test_stragglers_arrive_all_the_same(world: Door) -> None:
    world.use(straggle=1.0, straggle_ms=50)
    await world.send()
    assert {s["status"] for s in await world.statuses(3)} == {"sent", "delivered", "read"}


async def test_posts_are_given_up(world: Door) -> None:
    world.use(retry_ms=1, give_up_s=0.0, gather_ms=600)
    world.business.status = lambda n: 500
    await world.send()
    await soon(lambda: world.record.webhooks.dead)
    assert len(world.business.bodies) == 1


async def test_an_override_is_checked_at_once_and_called_from_then_on(world: Door) -> None:
    other = Business()
    await other.start()
    node = world.url(world.simulator.facts.phone_number_id)
    callback = {"override_callback_uri": other.url, "verify_token": "wrong"}
    try:
        status, answer = await world.call("POST", node, json={"webhook_configuration": callback})
        assert (status, answer["error"]["code"]) == (400, 100)
        callback["verify_token"] = "verify-1"
        asked = {"webhook_configuration": callback}
        assert await world.call("POST", node, json=asked) == (200, {"success": True})
        await world.send()
        await other.watch.until(lambda: len(other.elements()) == 3)
        assert world.business.bodies == []
        waba = world.url(f"{world.simulator.facts.waba_id}/subscribed_apps")
        assert (await world.call("POST", waba, json=callback))[0] == 200
        _, apps = await world.call("GET", waba)
        assert apps["data"][0]["override_callback_uri"] == other.url
        callback["override_callback_uri"] = ""
        await world.call("POST", node, json={"webhook_configuration": callback})
        assert world.simulator.sender.urls == [other.url]  # it is the account's still
        await world.call("POST", waba)
        await world.send()
        assert len(await world.statuses(3)) == 3
    finally:
        await other.stop()


async def test_an_app_that_is_not_subscribed_hears_nothing(world: Door) -> None:
    apps = world.url(f"{world.simulator.facts.waba_id}/subscribed_apps")
    await world.call("DELETE", apps)
    await soon(lambda: not world.simulator.world.heard)
    await world.send()
    await soon(lambda: world.record.statuses["read"])
    assert len(world.simulator.world.outbox) == 0
    await world.call("POST", apps)
    await soon(lambda: world.simulator.world.heard)
    _, answer = await world.send()
    assert {s["id"] for s in await world.statuses(3)} == {answer["messages"][0]["id"]}


# Inbound


async def test_an_inbound_message_of_the_native_form_leaves_as_a_webhook(world: Door) -> None:
    status, answer = await world.ask("POST", "/inbound", {"from": TO, "name": "Änn", "body": "ö"})
    assert status == 201
    (message,) = await world.inbound()
    assert (message["id"], message["text"]) == (answer["id"], {"body": "ö"})
    (value,) = world.business.values()
    assert value["contacts"][0]["profile"]["name"] == "Änn"
    assert rb"\u00c4nn" in world.business.bodies[0]


async def test_inbound_media_is_looked_up_and_fetched(world: Door) -> None:
    asked = {"from": TO, "type": "voice", "data": "YWJj", "mime": "audio/ogg"}
    assert (await world.ask("POST", "/inbound", asked))[0] == 201
    (message,) = await world.inbound()
    assert message["type"] == "audio"
    audio = message["audio"]
    assert audio["voice"] is True
    assert audio["sha256"] == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    status, found = await world.call("GET", world.url(audio["id"]))
    assert (status, found["mime_type"], found["file_size"]) == (200, "audio/ogg", 3)
    for url in (found["url"], audio["url"]):
        assert await world.call("GET", url) == (200, b"abc")
    no_token = {"Authorization": "Bearer x"}
    assert (await world.call("GET", found["url"], headers=no_token))[0] == 401
    world.use(media_url_s=0.0)
    _, found = await world.call("GET", world.url(audio["id"]))
    assert (await world.call("GET", found["url"]))[0] == 404
    counters = world.record.counters
    assert (counters.media_lookups, counters.media_downloads) == (2, 2)


async def test_a_list_keeps_its_order_and_one_bad_one_changes_nothing(world: Door) -> None:
    asked = [{"from": TO, "body": str(n)} for n in range(5)]
    assert (await world.ask("POST", "/inbound", [*asked, {"from": "x"}]))[0] == 400
    assert (await world.ask("POST", "/inbound", [*asked, {"raw": 1}]))[0] == 400
    status, answer = await world.ask("POST", "/inbound", asked)
    assert status == 201
    assert [m["id"] for m in await world.inbound(5)] == answer["ids"]
    assert world.record.counters.inbound == 5


async def test_raw_elements_and_values(world: Door) -> None:
    raw = {"id": "wamid.7", "from_user_id": user_id(TO), "type": "strange"}
    assert await world.ask("POST", "/inbound", {"raw": raw}) == (201, {"id": "wamid.7"})
    assert await world.inbound() == [raw]
    value = {"event": "DISABLED_UPDATE"}
    await world.ask("POST", "/inbound", {"value": value, "field": "account_update"})
    await world.business.watch.until(lambda: value in world.business.values())
