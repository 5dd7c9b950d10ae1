"""What goes before what at the Cloud API: priority, and the next message of a recipient."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.harness.cloud_owned import (
    SLOT,
    Request,
    ScriptedGraph,
    hear,
    issues,
    owning_cloud,
    settled,
    silent,
    taken,
)
from tests.harness.patch import patched
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.flow.lanes import Lanes
from warouter.kinds import MESSAGE, kind_with
from warouter.message_id import text_of
from warouter.owner import slot as slots_module
from warouter.upstream.cloud.graph.exchange import Exchanged

HIGH = kind_with(MESSAGE, priority=True)
URGENT = "4915199999999"
OTHERS = [f"49151000{n:05d}" for n in range(40)]
AUTHENTICATION = {
    "to": URGENT,
    "type": "template",
    "template": {"name": "code", "language": {"code": "en", "policy": "deterministic"}},
}


def _head(lanes: Lanes) -> bytes | None:
    """The head that goes next of those with priority."""
    head = lanes.peek(priority=True)
    return head.id if head is not None else None


def recipients(graph: ScriptedGraph) -> list[str]:
    return [request.body["to"].lstrip("+") for request in graph.requests]


async def test_the_next_message_waits_for_the_end_of_the_last_on_disk(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as me:
        first, second = me.message(), me.message()
        [request] = await me.begun(1)
        request.answer.set_result(taken(request))
        await me.begun(2)
        assert [ref[0] for ref in me.graph.refs()] == [first, second]
        wamids = await pool.fetch("select wamid from upstream_id")
        assert [row["wamid"] for row in wamids] == [request.wamid]


async def test_order_can_wait_for_the_status_sent(settings: Settings, pool: asyncpg.Pool) -> None:
    async with owning_cloud(settings, pool, cloud_order="sent") as me:
        first, second = me.message(), me.message()
        await me.begun(1)
        await soon(lambda: pool.fetchval("select count(*) = 1 from upstream_id"))
        assert me.graph.refs() == [(first, 1)]
        assert [issue[0] for issue in await issues(pool)] == [first]  # a crash now loses nothing
        await hear(pool, (first, 1))
        await me.begun(2)
        assert me.graph.refs() == [(first, 1), (second, 1)]
        me.skip(6.0)  # nobody speaks of the second: its lane goes on all the same
        await settled(pool)


@pytest.mark.parametrize(
    "more",
    [{"kind": HIGH}, {"body": AUTHENTICATION}],
    ids=["with priority", "an authentication template"],
)
async def test_an_urgent_message_goes_before_those_that_wait(
    settings: Settings, pool: asyncpg.Pool, more: dict[str, Any]
) -> None:
    async with owning_cloud(settings, pool) as me:
        me.end._templates.use({("code", "en"): "AUTHENTICATION"})
        me.end.pace.stop = 190
        for recipient in OTHERS:
            me.message(recipient)
        urgent = me.message(URGENT, **more)
        await soon(lambda: me.slot.lanes.waiting == len(OTHERS) + 1)
        me.end.pace.resumed()
        await me.begun(len(OTHERS) + 1)
        assert me.graph.refs()[0] == (urgent, 1)
        assert recipients(me.graph)[1:] == OTHERS


async def test_messages_without_a_connection_are_not_issued(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """A crash now leaves a few in doubt, and not all that wait; nor do all of them go first."""
    async with owning_cloud(settings, pool) as me:
        me.graph.room.clear()
        me.graph.connections.limit = few = 3
        for recipient in OTHERS:
            me.message(recipient)
        await soon(lambda: me.graph.asked >= few)
        urgent = me.message(URGENT, kind=HIGH)
        await soon(lambda: _head(me.slot.lanes) == urgent)
        me.sender.pump(me.slot)
        assert await pool.fetchval("select count(*) from send_issue") <= 2 * few
        me.graph.room.set()
        await settled(pool, len(OTHERS) + 1)
        assert me.graph.refs().index((urgent, 1)) <= 2 * few


async def test_priority_does_not_wait_for_a_place_in_memory(
    settings: Settings, pool: asyncpg.Pool
) -> None:

    def script(request: Request) -> Exchanged | None:
        return silent(request) if request.body["to"] == f"+{URGENT}" else taken(request)

    with patched([(slots_module, "MAX_IN_MEMORY", 10)]):
        async with owning_cloud(settings, pool, script) as me:
            me.end.pace.stop = 190
            for recipient in OTHERS:
                me.message(recipient)
            urgent = me.message(URGENT, kind=HIGH)
            behind = me.message(OTHERS[-1], kind=HIGH)  # the other is to be read yet
            await soon(lambda: _head(me.slot.lanes) == urgent)
            me.end.pace.resumed()
            me.end.pace.brake.took()
            [first, *_] = await me.begun(len(OTHERS) + 2)  # it is passed over when it is read
            first.answer.set_result(taken(first))
            await settled(pool)
            after = me.message(URGENT)
            await soon(lambda: (after, 1) in me.graph.refs())
            refs = [ref[0] for ref in me.graph.refs()]
            assert refs[0] == urgent
            assert refs[-2:] == [behind, after]
            assert len(set(refs)) == len(refs)


async def test_a_number_that_is_stopped_begins_nothing(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool) as me:
        me.end.pace.stop = 190
        message = me.message()
        await soon(lambda: pool.fetchval("select count(*) = 1 from message where slot = $1", SLOT))
        assert me.graph.asked == 0
        assert await issues(pool) == []
        me.end.pace.resumed()
        await me.begun(1)
        assert me.graph.refs() == [(message, 1)]
        assert text_of(message)
