"""Owners of the Cloud API that die, or stand still, while their requests are out.

The rows of the table in docs/testing.md for which a process has to. The window is 4 s, a request
of a former owner may be taken for 2.3 s after it was found.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.conftest import on_cloud
from tests.harness.filters import needs_filters
from tests.harness.meta import Scene, ids_of
from tests.harness.wait import soon
from warouter._hash import slot_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("cloud_deaths")]

WINDOW = 4.0
ENVIRONMENT = {
    "WAROUTER_CLOUD_DOUBT_SECONDS": f"{WINDOW:g}",
    "WAROUTER_CLOUD_RATE": "1000",
    "WAROUTER_CLOUD_CONNECTIONS": "64",  # fewer than there are requests
}
BUSY = {"latency_ms": 50, "latency_most_ms": 800, "sent_ms": 400, "delivered_ms": 700}
LATER = {"sent_ms": 9000, "delivered_ms": 9000, "read_ms": 9000}
AT_ONCE = {"sent_ms": 20, "delivered_ms": 60, "read_ms": 150}
DOUBTED = 2


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster() -> AsyncIterator[Scene]:
    async with on_cloud(shards=2, coreapps=3, masters=1, environment=ENVIRONMENT) as scene:
        yield scene


@pytest_asyncio.fixture(loop_scope="module")
async def scene(scene: Scene) -> AsyncIterator[Scene]:
    """Every coreapp is there, and customers write."""
    coreapps = [p for p in scene.cluster.processes.values() if p.role == "coreapp"]
    await soon(lambda: all(p.ready.is_set() for p in coreapps))
    async with scene.pulse():
        yield scene


async def test_owners_that_die_in_the_middle_of_requests(scene: Scene) -> None:
    """D1. Guards the issue rows (``journal.issue``, ``append``), ``Doubts.opened``, and that a lane
    opens when its settlement is on disk.
    """
    await scene.use(**BUSY, read_ms=1000)
    to = scene.recipients(16)
    loading = asyncio.create_task(scene.load(to, each=8))
    for victim in (to[0], to[1]):
        await asyncio.sleep(0.8)
        await scene.killed(victim)
    sent = await loading
    await scene.once_in_order(sent)
    assert scene.said_of("message doubted", ids_of(sent))


async def test_an_owner_that_stands_still_begins_nothing_when_it_goes_on(scene: Scene) -> None:
    """D8. Guards ``Requests.may_begin``, asked last thing before each write: more requests are
    issued than there are connections, so that some wait for one while their owner stands still. An
    answer takes longer than a slow machine needs to post them all.
    """
    await scene.use(latency_ms=8000, latency_most_ms=8000)
    to = scene.recipients(240)
    sent = await scene.load(to)
    frozen = await scene.killed(to[0], signal.SIGSTOP)
    taken_over = time.monotonic()
    try:
        await asyncio.sleep(1.0)  # the next owner sends
    finally:
        frozen.kill(signal.SIGCONT)
    await scene.once_in_order(sent)
    issued = {line["id"] for line in scene.said_of("message doubted", ids_of(sent))}
    firsts = [r for r in await scene.requests(*issued) if r["attempt"] == 1]
    assert len(firsts) < len(issued)
    assert [row for row in firsts if row["begun"] > taken_over] == []


async def test_a_death_while_the_second_attempt_is_out(scene: Scene) -> None:
    """D13. Guards the attempt in the issue row, raised before its request begins."""
    (to,) = scene.recipients(1)
    await scene.use(throttle=1.0)
    message_id = await scene.post(to)
    await scene.asked(message_id)
    await scene.use(throttle=0.0, late=1.0, late_ms=9000, late_least_ms=9000)
    await scene.asked(message_id, times=2)
    await scene.use(late=0.0)
    await scene.killed(to)
    await scene.asked(message_id, times=3)
    await scene.ended(message_id)
    assert await scene.attempts(message_id) == [1, 2, 3]

    async def both_taken() -> bool:
        found = (await scene.record())["duplicates"]
        return any(one["id"] == message_id and set(one["attempts"]) == {2, 3} for one in found)

    await soon(both_taken)
    await soon(lambda: scene.said_of("message taken twice", [message_id]))
    assert (await scene.record())["same_reference"] == 0
    assert scene.shown(message_id) == ("sent", "delivered", "read")


async def test_a_lane_stays_shut_while_a_request_may_still_be_taken(scene: Scene) -> None:
    """D15. Guards ``endings.shut_until_fence``: the ttl ends the message, and not its lane."""
    (to,) = scene.recipients(1)
    # Evidence comes long after the ttl.
    await scene.use(late=1.0, late_ms=2400, late_least_ms=2400, **LATER)
    first = await scene.post(to, ttl=1)
    await scene.asked(first)
    await scene.use(late=0.0)
    behind = await scene.post(to)
    await scene.killed(to)
    await scene.accepted(first)
    await scene.use(**AT_ONCE)
    await scene.ended(behind)
    await scene.business.called_back("failed", first)
    assert scene.business.failure(first)["code"] == 410
    record = await scene.record()
    assert record["ids"][to] == [first, behind]
    assert record["inversions"] == 0


async def test_a_doubt_keeps_its_time_through_takeovers(scene: Scene) -> None:
    """D16. Guards the ``at`` of the row, which a takeover leaves as it is."""
    (to,) = scene.recipients(1)
    await scene.use(drop_before=1.0)
    message_id = await scene.post(to)
    await scene.asked(message_id)
    (row,) = await scene.in_state(DOUBTED, message_id)
    await scene.use(drop_before=0.0)
    await asyncio.sleep(2 * WINDOW / 3)
    await scene.killed(to)
    (later,) = await scene.doubts(message_id)
    assert (later["state"], later["at"], later["attempt"]) == (DOUBTED, row["at"], 1)
    await scene.ended(message_id)
    assert await scene.attempts(message_id) == [1, 2]


@needs_filters
async def test_nothing_arrives_of_an_owner_that_died_behind_a_cut_line(scene: Scene) -> None:
    """D18. Guards linger 0 and ``TCP_USER_TIMEOUT``, which are set when a socket connects."""
    to = [r for r in scene.recipients(60) if slot_of(r) % 2 == 0]
    await scene.once_in_order(await scene.load(to))  # there are connections
    await scene.use(cut_s=2.5)
    sent = await scene.load(to)
    await scene.killed(to[0])
    await scene.ended(*ids_of(sent))
    doubted = scene.said_of("message doubted", ids_of(sent))
    lost = [(line["id"], line["attempt"]) for line in doubted if line["cause"] == "takeover"]
    arrived = [(row["id"], row["attempt"]) for row in await scene.requests(*ids_of(sent))]
    assert lost
    assert set(lost).isdisjoint(arrived)
