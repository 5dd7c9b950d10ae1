"""Rows of two numbers beside each other in one slot: neither sees the other's, or waits for it."""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec
import pytest

from tests.harness.journals import OWNED, RECIPIENT, an_id, event, page_of, row
from warouter.flow.event import EventRow
from warouter.flow.lane_key import lane_of
from warouter.flow.progress import LogProgress, Park, Reopened, Took
from warouter.message_id import text_of
from warouter.store.journal import KNOWN, PROVEN, IssueRequest, Journal, SlotProgress
from warouter.store.journal.inbox import Proof
from warouter.store.journal.parked import LANE
from warouter.store.nodes import find_inbound
from warouter.store.views.trace import read_trace

SECOND = lane_of(2, RECIPIENT)
DAY = 86_400.0
_NONE = LogProgress(0, [], [])
_RECEIVE = """
select inserted, unmatched from receive_cloud(null, false, 0, 0, array[null]::smallint[],
    array[0::smallint], array[$1], array[null]::bytea[], array[null]::smallint[], array['w1'],
    array['1'], array['{}'::bytea], array[null]::bytea[], array[$2::integer],
    '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')"""


def of_second(made: EventRow) -> EventRow:
    return msgspec.structs.replace(made, lane=lane_of(2, made.lane), number=2)


async def record(journal: Journal, *changes: Any, events: tuple[Any, ...] = ()) -> None:
    logs = LogProgress(0, [], list(changes)), LogProgress(0, [], list(events)), _NONE
    assert await journal.record({3: OWNED[3]}, [SlotProgress(3, *logs)]) == {3}


async def inbox(pool: asyncpg.Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("select key, id, number from cloud_inbox order by n")
    return [tuple(each) for each in rows]


async def test_a_message_comes_back_with_its_number(journal: Journal) -> None:
    rows = [row(1, of=1), row(2, of=2)]
    assert await journal.append_issued(OWNED, rows, rows) == ({}, True)
    read = await page_of(journal, 3)
    assert [(each.number, each.lane) for each in read] == [(1, RECIPIENT), (2, SECOND)]
    assert [each.issue and each.issue.number for each in read] == [1, 2]


async def test_a_message_is_unpreceded_in_its_own_lane(journal: Journal) -> None:
    await journal.append(OWNED, [row(1, of=1), row(2, of=2), row(3, of=1)])
    asked = [(2, 2, RECIPIENT), (3, 1, RECIPIENT)]
    assert await journal.unpreceded(3, 0, asked) == {2}


async def test_each_lane_is_parked_and_reopened_by_itself(journal: Journal) -> None:
    await journal.append(OWNED, [row(1, of=1), row(2, of=2)])
    await journal.append_events(OWNED, [event(1, "a"), of_second(event(2, "b"))])
    parks = [Park(seq, 1, 9_000, "later") for seq in (1, 2)]
    await record(journal, *parks, events=tuple(parks))
    await record(journal, Reopened(RECIPIENT, 2))
    lanes = {each["lane"]: each["due_in"] > 1 for each in await journal.parked([3], DAY, 9)}
    assert lanes == {RECIPIENT: True, SECOND: False}
    assert [each["lane"] for each in await journal.parked_among(3, [SECOND], DAY)] == [SECOND]
    [found] = await journal.parked_of(3, [SECOND], 9)
    assert (found["seq"], found["lane"], found["number"]) == (2, SECOND, 2)
    found_events = await journal.parked_events([(3, 0)], 9)
    assert {each["lane"] for each in found_events} == {RECIPIENT, SECOND}
    [of_lane] = await journal.parked_events_of(3, SECOND, 0, 9)
    assert (of_lane["seq"], of_lane["lane"], of_lane["number"]) == (2, SECOND, 2)


async def test_the_statements_spell_a_lane_as_memory_does(pool: asyncpg.Pool) -> None:
    sql = f"select {LANE.format('l')} from (select $1::integer as number, $2::text as recipient) l"
    for number, recipient in ((1, RECIPIENT), (2, RECIPIENT), (2, "")):
        assert await pool.fetchval(sql, number, recipient) == lane_of(number, recipient)


async def test_an_inbound_key_is_known_to_its_number_alone(journal: Journal) -> None:
    assert await journal.append_events(OWNED, [event(1, "wamid.1")]) == {}
    assert await journal.append_events(OWNED, [of_second(event(2, "wamid.1"))]) == {}
    assert await journal.append_events(OWNED, [of_second(event(3, "wamid.1"))]) == {0: KNOWN}


async def test_another_numbers_message_is_not_found(journal: Journal, pool: asyncpg.Pool) -> None:
    await journal.append(OWNED, [row(1, of=2)])
    inbound = msgspec.structs.replace(of_second(event(1, "wamid.1")), kind=1)
    await journal.append_events(OWNED, [inbound])
    async with pool.acquire() as connection:
        for message_id in (text_of(an_id(1)), "wamid.1"):
            assert await read_trace(connection, message_id, 1) is None
            found = await read_trace(connection, message_id, 2)
            assert found is not None
            assert found.recipient == RECIPIENT
        assert await find_inbound(connection, "wamid.1", 1) is None
        assert await find_inbound(connection, "wamid.1", 2) == RECIPIENT


async def test_a_wamid_is_of_one_message_a_number(journal: Journal, pool: asyncpg.Pool) -> None:
    await journal.append(OWNED, [row(1, of=1), row(2, of=2)])
    took = an_id(1).hex(), 1, "w1"
    await record(journal, Took(1, *took), Took(2, an_id(2).hex(), 1, "w1", number=2))
    both = {(1, "w1"): an_id(1), (2, "w1"): an_id(2)}
    assert await journal.ids_of([*both, (3, "w1")]) == both
    assert await journal.wamids_of([(1, an_id(1)), (1, an_id(2))]) == {(1, an_id(1)): "w1"}
    for number, received in ((1, (1, 0)), (2, (1, 0)), (3, (0, 1))):
        assert tuple(await pool.fetchrow(_RECEIVE, "w1:sent:1", number)) == received
    assert await inbox(pool) == [("w1:sent:1", an_id(1), 1), ("w1:sent:1", an_id(2), 2)]


async def test_a_status_that_came_first_waits_for_an_id_of_its_number(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.append(OWNED, [row(1, of=1)])
    await pool.fetchrow(_RECEIVE, "w1:sent:1", 2)
    await record(journal, Took(1, an_id(1).hex(), 1, "w1"))
    assert await inbox(pool) == []
    assert await pool.fetchval("select number from cloud_unmatched") == 2
    await journal.drained(OWNED, [], [Proof("w1", 3, an_id(2), 1, number=2)])
    assert await inbox(pool) == [("w1:sent:1", an_id(2), 2)]


@pytest.mark.parametrize(("came_to", "outcome"), [(1, {}), (2, {0: PROVEN})])
async def test_evidence_that_came_to_another_number_holds_no_request_back(
    journal: Journal, came_to: int, outcome: dict[int, Any]
) -> None:
    await journal.append(OWNED, [row(1, of=2)])
    await journal.say(3, 0, "w1:sent:1", an_id(1), 1, "w1", b"{}", came_to)
    [found] = await journal.inbox([3], [], 9)
    assert (found.number, found.sent_by, found.foreign) == (came_to, 2, came_to == 1)
    again = IssueRequest(3, 1, an_id(1), RECIPIENT, 2, 1, 2)
    assert await journal.issue(OWNED, [again]) == outcome


async def test_lost_rows_leave_a_head_of_each_lane_in_doubt(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.append(OWNED, [row(1, of=1), row(2, of=1), row(3, of=2)])
    await pool.execute("update slot set unsure = true where slot = 3")
    await journal.open_issues(OWNED)
    rows = await pool.fetch("select seq, number from send_issue order by seq")
    assert [tuple(each) for each in rows] == [(1, 1), (3, 2)]


async def test_a_letter_goes_back_into_its_own_lane(journal: Journal, pool: asyncpg.Pool) -> None:
    await journal.append_events(OWNED, [event(1, "a"), of_second(event(2, "b"))])
    await pool.execute(
        "insert into dead_letter (slot, seq, kind, key, recipient, payload, attempts, reason,"
        " asked_at, number) select slot, seq, kind, key, recipient, payload, 1, '', now(), number"
        " from event"
    )
    taken = await journal.take_up_letters(OWNED, 5.0, 9)
    assert sorted(taken) == [(3, 0, SECOND, 1), (3, 0, RECIPIENT, 1)]
