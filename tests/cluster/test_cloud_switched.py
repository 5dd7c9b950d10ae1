"""From the simulator to the Cloud API and back, by force, with messages in every state."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence

from tests.cluster.conftest import CALM, ONE, Start
from tests.harness.facts import OPEN_CURSORS, Facts
from tests.harness.meta import Scene, ids_of
from tests.harness.shell import printed
from tests.harness.switched import CLOUD, SIMULATOR, Upstreams, both_upstreams
from tests.harness.wait import soon
from warouter.message_id import parse

LATE_MS = 8_000  # longer than it takes to stop a process
HELD = 3
PROVEN = """
select count(distinct id) = cardinality($1::bytea[]) from cloud_inbox
 where kind = 0 and id = any ($1::bytea[]) and key like '%:read:%'"""
PARKED_MS = 8_000  # longer than it takes to switch
PARKED = "select count(*) from parked_message where attempts > 0"


async def test_there_and_back_with_messages_in_every_state(start: Start) -> None:
    cluster, business = await start(**ONE, environment=CALM, rate=40.0)
    async with Facts(cluster) as facts, both_upstreams(cluster, business) as upstreams:
        scene = Scene(cluster, business, facts)
        business.start()
        await business.more(100)
        await to_the_cloud(scene, upstreams)
        await business.stop()
        await none_lost(scene, upstreams)
        held = await to_the_simulator(scene, upstreams)
        await hear_the_operator(scene, upstreams, *held[:2])
        await back_to_the_cloud(scene, upstreams, held[2])


async def to_the_cloud(scene: Scene, upstreams: Upstreams) -> None:
    """Parked ones, some that are told and not answered, and a load that goes on."""
    business, to = scene.business, scene.recipients(40)
    await scene.use(throttle=1.0, throttle_ms=PARKED_MS)
    sent = dict(await scene.load(to[:10], each=2))
    await scene.facts.until_some(f"select 1 where ({PARKED}) >= 10")
    await scene.use(throttle=0.0, pause=True)
    sent |= await scene.load(to[10:20], each=2)  # out
    sent |= await scene.load(to[20:], ttl=3600)
    short = await scene.post(to[0], ttl=1)  # behind a parked one
    said = await upstreams.refused(CLOUD)
    assert "of them parked: stop the webapps and wait until `warouter status`" in said
    said = await upstreams.switch(CLOUD, "--force")
    assert "It will be sent " in said
    assert "webapps first: localhost:coreapp-1, localhost:webapp-1." in said
    await upstreams.restart(CLOUD)
    await business.more(100)
    await business.called_back("read", *ids_of(sent))
    await business.called_back("failed", short)
    assert business.failure(short)["code"] == 410
    await once_in_order(scene, sent)


async def none_lost(scene: Scene, upstreams: Upstreams) -> None:
    """Every 201 of the load is at one of the upstreams; of what both have taken the simulator's
    answer was not recorded. Those that the Cloud API took were called back from there.
    """
    await scene.facts.until_none("select count(*) from parked_message")
    await scene.facts.until_none(OPEN_CURSORS)
    taken = (await scene.record())["ids"]
    for to, ids in scene.business.history.acked.items():
        later = taken.get(to, [])
        assert later == ids[len(ids) - len(later) :]
        assert {*upstreams.accepted[to], *later} == {*ids}
        await scene.business.called_back("read", *later)
    await scene.settled()


async def once_in_order(scene: Scene, sent: Mapping[str, Sequence[str]]) -> None:
    """The upstream in use has accepted each once, those of a recipient in their order."""
    record = await scene.record()
    assert {to: record["ids"].get(to) for to in sent} == {to: [*ids] for to, ids in sent.items()}
    assert record["inversions"] == 0


async def to_the_simulator(scene: Scene, upstreams: Upstreams) -> list[str]:
    """Held, parked, out, behind one that is out, and proven in the inbox; the ids of those held."""
    business, to = scene.business, scene.recipients(30)
    await scene.use(drop_after=1.0, hold_dropped_s=3600)
    async with scene.pulse():
        held = ids_of(await scene.load(to[:3], asks={"Warouter-In-Doubt": "hold"}))
        await scene.in_state(HELD, *held)
    await scene.use(drop_after=0.0, latency_ms=LATE_MS + 10_000)
    await scene.use(sent_ms=LATE_MS, delivered_ms=LATE_MS + 100, read_ms=LATE_MS + 200)
    out = await scene.load(to[3:10], each=2)
    first = [ids[0] for ids in out.values()]
    await scene.asked(*first)
    coreapp = scene.cluster.processes["coreapp-1"]
    coreapp.kill(signal.SIGSTOP)
    (inbound,) = await business.come({"from": to[20], "type": "text", "body": "hello"})
    in_inbox = scene.facts.connection.fetchval
    await soon(lambda: in_inbox(PROVEN, [parse(i) for i in first]))
    await soon(lambda: in_inbox("select count(*) > 0 from cloud_inbox where wamid = $1", inbound))
    said = await upstreams.refused(SIMULATOR)
    assert f"In the way: {len(out)} messages not settled; {len(out)} messages that" in said
    assert "3 messages held: " in said
    assert "end what is held by `warouter doubt resend` or `warouter doubt fail`" in said
    said = await upstreams.switch(SIMULATOR, "--force")
    assert f"may have taken them: {len(out) + 3} messages." in said
    ending = asyncio.create_task(coreapp.stop())
    coreapp.kill(signal.SIGKILL)
    await ending
    await upstreams.restart(SIMULATOR)
    await scene.use(pause=False)
    await business.called_back("read", *ids_of(out))
    await business.until(lambda: business.history.inbound[to[20], inbound])
    await scene.facts.until_some(f"select 1 from send_issue having count(*) = {HELD}")
    assert await listed(scene) == dict.fromkeys(held, "held")
    await once_in_order(scene, {to: ids[1:] for to, ids in out.items()})
    assert business.history.inbound[to[20], inbound] == 1
    return held


async def hear_the_operator(scene: Scene, upstreams: Upstreams, again: str, given_up: str) -> None:
    """The simulator's owners take up what `warouter doubt` says, and nothing else of it."""
    await printed(scene.cluster.settings, "doubt", "resend", again)
    await printed(scene.cluster.settings, "doubt", "fail", given_up)
    await scene.business.called_back("read", again)
    await scene.business.called_back("failed", given_up)
    assert scene.business.failure(given_up)["code"] == 500
    await scene.facts.until_some("select 1 from send_issue having count(*) = 1")
    assert "1 message held: end" in await upstreams.refused(CLOUD)


async def back_to_the_cloud(scene: Scene, upstreams: Upstreams, held: str) -> None:
    """What is still held is so there, too."""
    assert "may have taken them: 1 message." in await upstreams.switch(CLOUD, "--force")
    await upstreams.restart(CLOUD)
    assert await listed(scene) == {held: "held"}
    await printed(scene.cluster.settings, "doubt", "fail", held)
    await scene.ended(held, status="failed")
    accepted = await upstreams.all_accepted()
    assert sum(ids.count(held) for ids in accepted.values()) == 1


async def listed(scene: Scene) -> dict[str, str]:
    rows = json.loads(await printed(scene.cluster.settings, "doubt", "list", "--json"))
    return {row["id"]: row["state"] for row in rows}
