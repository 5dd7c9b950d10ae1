"""Moves of slots, and epochs that are renewed, while requests to the Cloud API are out.

The number has a rate, so that messages wait behind it. The window is 3 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.conftest import on_cloud
from tests.harness.meta import Scene, ids_of
from tests.harness.wait import PATIENCE, soon
from warouter._hash import slot_of
from warouter.cluster.shardmap import ShardMap
from warouter.flow.budget import BURST_SECONDS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("cloud_moves")]

RATE = 20.0
ENVIRONMENT = {"WAROUTER_CLOUD_DOUBT_SECONDS": "3", "WAROUTER_CLOUD_RATE": f"{RATE:g}"}
BACKLOG = 160  # messages that take eight seconds at that rate
MUCH = 0.8  # so many of them may have gone before the machine has come to what is tested
LATENCY = {"latency_ms": 300, "latency_most_ms": 800}
MARK_SECONDS = 0.05  # from an issue row to its request, at most
COREAPPS = (  # the row of one that has stopped stays for a minute
    "select count(*) from beat join node using (incarnation)"
    " where role = 'coreapp' and not leaving and "
)
WELL, CUT_OFF = f"{COREAPPS} upstream_ok", f"{COREAPPS} not upstream_ok"
JOURNALS = """
select pg_terminate_backend(pid) from pg_stat_activity
 where application_name like '%coreapp%' and state = 'active' and pid <> pg_backend_pid()
   and query ~ 'append_|issue_|record_'"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster() -> AsyncIterator[Scene]:
    async with on_cloud(shards=2, coreapps=3, masters=1, environment=ENVIRONMENT) as scene:
        yield scene


@pytest_asyncio.fixture(loop_scope="module")
async def scene(scene: Scene) -> AsyncIterator[Scene]:
    """Customers write, so that the way of webhooks is proven."""
    async with scene.pulse():
        yield scene


def spread_over(owners: int) -> object:
    """Holds of a map in which every slot has an owner and stays there, and so many own some."""

    def holds(current: ShardMap) -> bool:
        found = {slot.owner for slot in current.slots}
        moves = any(slot.successor is not None or slot.moving for slot in current.slots)
        return None not in found and len(found) == owners and not moves

    return holds


async def test_planned_moves_leave_nothing_in_doubt(scene: Scene) -> None:
    """D9. Guards ``Quiesce``: a slot that is to move begins nothing, and waits for what is out."""
    await scene.use(**LATENCY)
    loading = asyncio.create_task(scene.load(scene.recipients(24), each=10))
    await scene.facts.until_some("select 1 from send_issue limit 1")
    await scene.business.set_shards(4)
    await scene.facts.until(spread_over(3))
    leaving = scene.cluster.processes["coreapp-1"]
    assert await leaving.stop() == 0
    await scene.facts.until(spread_over(2))
    await scene.cluster.again(leaving)
    await scene.facts.until(spread_over(3))  # it has joined
    sent = await loading
    await scene.once_in_order(sent)
    assert scene.said_of("message doubted", ids_of(sent)) == []
    reasons = {row["reason"] for row in await scene.facts.owner_log()}
    assert "handover" in reasons <= {"unowned", "handover", "renew"}


async def test_a_graph_that_is_away_for_all_moves_nothing(scene: Scene) -> None:
    """Guards ``Recovery``: a spare coreapp, and an owner with nothing to send, are not taken for
    well, and count at the same time as those that send.

    The door takes a connection and resets it: what is tried fails, and nobody knows more.
    """
    before = [row["id"] for row in await scene.facts.owner_log()]
    to = (number for number in scene.recipients(10_000) if slot_of(number) == 0)
    await scene.use(refuse=True, idle_s=0.05)
    while await scene.facts.connection.fetchval(WELL):
        await scene.post(next(to), asks={"Warouter-In-Doubt": "fail"})
        await asyncio.sleep(0.5)  # what is open ends while it is idle
    await scene.calm()
    await scene.settled()
    await scene.facts.until_none(CUT_OFF)
    assert [row["id"] for row in await scene.facts.owner_log()] == before


async def test_messages_that_wait_for_the_rate_are_not_in_doubt(scene: Scene) -> None:
    """D20. Guards that a row is written when its message has its token, and not before."""
    await scene.use(latency_ms=100, latency_most_ms=100)
    to = scene.recipients(BACKLOG)
    sent = await scene.load(to)
    accepted = (await scene.record())["accepted"]
    await scene.killed(to[0])
    assert accepted < MUCH * BACKLOG
    await scene.once_in_order(sent)
    doubted = len(scene.said_of("message doubted", ids_of(sent)))
    assert doubted <= RATE * (0.1 + MARK_SECONDS + BURST_SECONDS)


async def test_priority_messages_pass_those_that_wait_for_the_rate(scene: Scene) -> None:
    """8.4. Guards ``Turns`` and the lanes' priority."""
    sent = await scene.load(scene.recipients(BACKLOG))
    (to,) = scene.recipients(1)
    message_id = await scene.post(to, {"Warouter-Priority": "high"})
    await scene.asked(message_id)
    assert (await scene.record())["received"] < MUCH * BACKLOG
    await scene.once_in_order({**sent, to: [message_id]})


async def test_answers_of_an_epoch_that_was_renewed_are_heard(scene: Scene) -> None:
    """D21. Guards ``Requests.on_judged``: an answer counts under a later epoch of the process."""
    await scene.use(**LATENCY, sent_ms=15_000, delivered_ms=15_000, read_ms=15_000)
    sending = asyncio.create_task(scene.load(scene.recipients(24), each=6))
    before = len(scene.said("message doubted"))
    async with asyncio.timeout(PATIENCE):
        while len(scene.said("message doubted")) == before:
            await scene.facts.connection.fetch(JOURNALS)
    sent = await sending

    async def accepted() -> bool:
        found = (await scene.record())["ids"]
        return all(found.get(to) == ids for to, ids in sent.items())

    await soon(accepted)
    await scene.settled()  # by their answers: no status has come
    assert all(scene.shown(message_id) == () for message_id in ids_of(sent))
    reasons = {row["reason"] for row in await scene.facts.owner_log()}
    assert "renew" in reasons
