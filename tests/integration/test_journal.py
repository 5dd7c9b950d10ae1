"""The journal on a real PostgreSQL: what no play of tests/campaigns/simulation/plays comes to."""

from __future__ import annotations

import re
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from tests.harness.journals import OTHER, OWNED, RECIPIENT, event, own, page_of, row
from warouter.flow.aside import AsideReason, AsideRow
from warouter.flow.event import EventRow
from warouter.flow.progress import LogProgress, Unaside
from warouter.store.journal import (
    FENCED,
    KNOWN,
    REFUSED,
    Exceptions,
    Journal,
    SlotProgress,
    Stretch,
)
from warouter.store.journal.progress import ProgressColumns
from warouter.store.journal.slots import FROM_FIRST, Pruned, PrunePositions


async def test_appended_rows_are_read_back_in_seq_order(journal: Journal) -> None:
    body = bytes(range(256))  # no byte may fail a batch
    assert await journal.append(OWNED, [row(1), row(2, body=body), row(1, slot=5)]) == {}
    appended = [(r.seq, r.id, r.recipient, r.kind, r.body) for r in (row(1), row(2, body=body))]
    for after in (0, 1):
        page = await page_of(journal, 3, after, 99, 10, 1 << 20)
        assert [(r.seq, r.id, r.recipient, r.kind, r.body) for r in page] == appended[after:]


async def test_a_page_ends_with_the_row_that_fills_it(journal: Journal) -> None:
    rows = [row(seq, body=bytes(size)) for seq, size in enumerate((10, 5_000, 10, 40_000, 10), 1)]
    await journal.append(OWNED, rows)
    for most, seqs in ((1, [1]), (11, [1, 2]), (5_011, [1, 2, 3]), (5_021, [1, 2, 3, 4])):
        assert [r.seq for r in await page_of(journal, 3, 0, 99, 10, most)] == seqs
    assert [r.seq for r in await page_of(journal, 3, 0, 99, 2, 1 << 20)] == [1, 2]
    assert [r.seq for r in await page_of(journal, 3, 2, 4, 10, 1 << 20)] == [3, 4]


async def test_pages_of_several_slots_end_each_for_itself(journal: Journal) -> None:
    rows = [row(seq, body=bytes(100), slot=slot) for seq in range(1, 5) for slot in (3, 5)]
    await journal.append(OWNED, rows)
    stretches = [Stretch(5, 1, 3), Stretch(3, 0, 99), Stretch(7, 0, 99)]
    pages = await journal.pages(stretches, 3, 1 << 20)
    assert {slot: [r.seq for r in page] for slot, page in pages.items()} == {
        3: [1, 2, 3],
        5: [2, 3],
        7: [],
    }
    short = await journal.pages(stretches, 9, 101)
    assert [len(short[slot]) for slot in (3, 5)] == [2, 2]


async def test_a_page_of_events_ends_with_the_row_that_fills_it(journal: Journal) -> None:
    events = [replace(event(n, f"k{n}"), payload=bytes(n * 100)) for n in range(1, 6)]
    await journal.append_events(OWNED, events)
    for most, seqs in ((1, [1]), (101, [1, 2]), (301, [1, 2, 3]), (1 << 20, [1, 2, 3, 4, 5])):
        page = (await journal.event_pages(0, [Stretch(3, 0, 99)], 10, most))[3]
        assert [e.seq for e in page] == seqs
        assert page == events[: len(seqs)]


async def test_a_data_error_is_bisected_to_the_row_that_has_it(journal: Journal) -> None:
    bad = row(3, recipient="no\0text")
    rows = [row(n) for n in range(1, 6)]
    rows[2] = bad
    assert await journal.append(OWNED, rows) == {2: REFUSED}
    assert [r.seq for r in await page_of(journal, 3)] == [1, 2, 4, 5]


async def _ends(journal: Journal, rows: list[EventRow]) -> tuple[Exceptions, set[int]]:
    """Messages 1 of both slots end by these events."""
    none = LogProgress(0, [], [])
    progress = [SlotProgress(slot, LogProgress(1, [], []), none, none) for slot in OWNED]
    return await journal.append_endings(OWNED, rows, progress)


_MARKS = "select slot, mark from send_cursor where mark > 0 order by slot"


async def test_ends_are_told_and_settled_for_the_slots_that_are_held(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await own(pool, 5, OWNED[5], OTHER)
    ends = await _ends(journal, [event(1, "a:failed"), event(1, "b:failed", slot=5)])
    assert ends == ({1: FENCED}, {3})
    assert [tuple(each) for each in await pool.fetch(_MARKS)] == [(3, 1)]
    assert [e.key for e in (await journal.event_pages(0, [Stretch(3, 0, 99)], 10, 1 << 20))[3]] == [
        "a:failed"
    ]
    assert not await pool.fetchval("select exists (select from event where slot = 5)")


async def test_an_end_that_is_known_settles_its_message_all_the_same(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.append_events(OWNED, [event(1, "a:failed")])
    ends = await _ends(journal, [event(2, "a:failed"), event(1, "b:failed", slot=5)])
    assert ends == ({0: KNOWN}, {3, 5})
    assert [tuple(each) for each in await pool.fetch(_MARKS)] == [(3, 1), (5, 1)]


async def test_an_event_that_cannot_be_stored_leaves_the_ends_beside_it_whole(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    rows = [event(1, "a:failed"), event(2, "b", recipient="no\0text"), event(1, "c", slot=5)]
    assert await _ends(journal, rows) == ({1: REFUSED}, {3, 5})
    assert [tuple(each) for each in await pool.fetch(_MARKS)] == [(3, 1), (5, 1)]
    assert await pool.fetchval("select array_agg(key order by key) from event") == ["a:failed", "c"]


async def parked_and_old(journal: Journal, pool: asyncpg.Pool, last: int, parked: int) -> None:
    """So many settled messages and events, of which the first ones are parked."""
    await journal.append(OWNED, [row(n) for n in range(1, last + 1)])
    await journal.append_events(OWNED, [event(n, f"k{n}") for n in range(1, last + 1)])
    rows = [
        {"slot": 3, "seq": n, "attempts": 1, "delay_ms": 1, "reason": "first"}
        for n in range(1, parked + 1)
    ]
    rare = {"park": rows, "park_events": [each | {"kind": 0} for each in rows]}
    await journal.write(OWNED, ProgressColumns({3: (last, [])}, {(3, 0): (last, [])}, rare))
    await pool.execute("update message set accepted_at = now() - interval '11 minutes'")
    await pool.execute("update event set recorded_at = now() - interval '11 minutes'")


async def left(journal: Journal) -> tuple[list[int], list[int]]:
    """The seqs of what is parked and whole: of messages, and of statuses."""
    messages = await journal.parked_of(3, [RECIPIENT], 100)
    events = await journal.parked_events_of(3, RECIPIENT, 0, 100)
    return [each["seq"] for each in messages], [each["seq"] for each in events]


async def test_a_parked_row_can_be_parked_again_after_a_collection(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """Asked for after ten minutes, while its recipient still waits."""
    await parked_and_old(journal, pool, 1, 1)
    assert await journal.prune(OWNED, 0.0, 100) == Pruned(0, None)
    parks = {"slot": 3, "seq": 1, "attempts": 2, "delay_ms": 60_000, "reason": "second"}
    rare = {"park": [parks], "park_events": [parks | {"kind": 0}]}
    await journal.write(OWNED, ProgressColumns({}, {}, rare))
    for table in ("parked_message", "parked_event"):
        (found,) = await pool.fetch(f"select attempts, reason, due_at > now() from {table}")
        assert tuple(found) == (2, "second", True), table
    assert await left(journal) == ([1], [1])


async def test_a_collection_gets_past_however_many_are_parked(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await parked_and_old(journal, pool, 30, 27)
    total = 0
    after: PrunePositions = FROM_FIRST
    for _ in range(15):  # of two rows each
        pruned = await journal.prune(OWNED, 0.0, 2, after)
        assert pruned is not None
        assert pruned.after is not None
        total, after = total + pruned.gone, pruned.after
    assert await journal.prune(OWNED, 0.0, 2, after) == Pruned(0, None)
    assert total == 6
    parked = [*range(1, 28)]
    assert await left(journal) == (parked, parked)
    await journal.write(OWNED, ProgressColumns({}, {}, {"unpark": [{"slot": 3, "seq": 5}]}))
    assert await journal.prune(OWNED, 0.0, 100) == Pruned(1, None)


# By the function with the rule: what is left of a message and an event that are parked.
UNRULED = {"pointed_at": ([], [1]), "event_pointed_at": ([1], [])}


@pytest.mark.parametrize("rule", UNRULED)
async def test_without_that_rule_a_collection_takes_what_is_parked(
    journal: Journal, pool: asyncpg.Pool, rule: str
) -> None:
    """The builds without the mechanism: the judge of the tests above sees a row go."""
    text = await pool.fetchval("select pg_get_functiondef($1::regproc)", rule)
    await pool.execute(re.sub(r"return exists .*?;", "return false;", text, flags=re.DOTALL))
    await parked_and_old(journal, pool, 1, 1)
    assert await journal.prune(OWNED, 0.0, 100) == Pruned(1, None)
    assert await left(journal) == UNRULED[rule]


async def test_a_dead_event_keeps_everything_it_had(journal: Journal, pool: asyncpg.Pool) -> None:
    await journal.append_events(OWNED, [event(1, "a"), event(2, "b")])
    place = {"slot": 3, "kind": 0, "seq": 1, "attempts": 9, "reason": "webhook: 400"}
    await journal.write(OWNED, ProgressColumns({}, {}, {"park_events": [place | {"delay_ms": 1}]}))
    # One was parked before, the other comes straight from the journal.
    await journal.write(OWNED, ProgressColumns({}, {}, {"dead": [place, place | {"seq": 2}]}))
    dead = await pool.fetch("select key, attempts, reason from dead_letter order by seq")
    assert [tuple(d) for d in dead] == [("a", 9, "webhook: 400"), ("b", 9, "webhook: 400")]
    assert await journal.parked_events([(3, 0), (3, 1)], 10) == []


async def test_pruning_spares_what_is_young_or_not_settled(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.append(OWNED, [row(n) for n in range(1, 6)])
    await pool.execute("update message set accepted_at = now() - interval '2 days' where seq <= 4")
    await journal.write(OWNED, ProgressColumns({3: (3, [5, 5])}, {}, {}))
    assert await journal.prune(OWNED, 1.0, 2) == Pruned(2, (2, None, None))
    assert await journal.prune(OWNED, 0.0, 100) == Pruned(1, None)  # none of ten minutes
    assert [r.seq for r in await page_of(journal, 3)] == [4, 5]


# What is parked, on a real PostgreSQL: in pages, in order, and whatever the clock does


DAY = 86_400.0
LANES = [(3, 0), (3, 1)]


def place(seq: int, **more: Any) -> dict[str, Any]:
    return {"slot": 3, "seq": seq, "attempts": 1, "reason": "r", **more}


async def park(journal: Journal, delays: dict[int, float], **more: Any) -> None:
    """Messages and events of these seqs, each for so many seconds."""
    rows = [place(seq, delay_ms=int(delay * 1000), **more) for seq, delay in delays.items()]
    rare = {"park": rows, "park_events": [r | {"kind": 0} for r in rows]}
    assert await journal.write(OWNED, ProgressColumns({}, {}, rare)) == OWNED.keys()


async def unpark(journal: Journal, seq: int) -> None:
    rare = {"unpark": [place(seq)], "unpark_events": [place(seq, kind=0)]}
    await journal.write(OWNED, ProgressColumns({}, {}, rare))


async def store(journal: Journal, recipients: list[str], ttl: int | None = None) -> None:
    """A message and an event to each, with seqs from 1."""
    rows = [row(seq, recipient=r, ttl=ttl) for seq, r in enumerate(recipients, 1)]
    assert await journal.append(OWNED, rows) == {}
    events = [event(r.seq, f"k{r.seq}", recipient=r.recipient) for r in rows]
    assert await journal.append_events(OWNED, events) == {}


async def pages(journal: Journal, most: int) -> tuple[list[Any], list[Any]]:
    """The first parked recipients: of messages, and of events."""
    messages = await journal.parked([3], DAY, most)
    return messages, await journal.parked_events(LANES, most)


async def test_a_page_has_those_that_are_looked_at_first(journal: Journal) -> None:
    """One statement used to bring all: 1.5 million, and the slot never opened again."""
    await store(journal, ["a", "b", "c", "d"])
    await park(journal, {1: 400.0, 2: 100.0, 3: 300.0, 4: 200.0})
    for page in await pages(journal, 2):
        assert {r["lane"] for r in page} == {"b", "d"}
        assert all(r["full"] for r in page)
    for page in await pages(journal, 5):
        assert {r["lane"] for r in page} == {"a", "b", "c", "d"}
        assert not any(r["full"] for r in page)


async def test_the_next_row_of_a_recipient_is_found_after_the_first(journal: Journal) -> None:
    await store(journal, ["a", "b", "a"])
    await park(journal, {1: 50.0, 2: 10.0, 3: 50.0})
    await unpark(journal, 1)
    for page in await pages(journal, 9):
        assert {r["lane"] for r in page} == {"a", "b"}


ASIDE = AsideRow(1, 1, 2, 9, None, [5, 6], 4, [8, 8], AsideReason.STOPPED)
NOTHING = LogProgress(0, [], [])


def aside(change: AsideRow | Unaside, mark: int = 0, *, events: bool = False) -> SlotProgress:
    """A record of slot 3, of a change of its messages, or of its inbound events."""
    log = LogProgress(mark, [], [change])
    return (
        SlotProgress(3, NOTHING, NOTHING, log) if events else SlotProgress(3, log, NOTHING, NOTHING)
    )


async def test_a_consumer_that_is_aside_is_found_by_the_next_owner(journal: Journal) -> None:
    first = ASIDE._replace(upto=None, flow=[], ranges=[])
    await journal.record(OWNED, [aside(first)])
    await journal.record(OWNED, [aside(ASIDE._replace(upto=12))])
    await journal.record(OWNED, [aside(ASIDE, events=True)])
    [opened] = await journal.open({3: OWNED[3]})
    assert opened.aside == {0: [ASIDE._replace(upto=12)], 2: [ASIDE]}


async def test_no_seq_is_given_again_by_which_a_consumer_is_aside(journal: Journal) -> None:
    """Each may have been given and never committed: nobody would look for a new row there."""
    await journal.append(OWNED, [row(1), row(2)])
    await journal.record(OWNED, [aside(ASIDE)])
    [opened] = await journal.open({3: OWNED[3]})
    assert (opened.next_seq, opened.next_status_seq, opened.next_inbound_seq) == (10, 1, 1)
    await journal.record(OWNED, [aside(ASIDE._replace(upto=14), events=True)])
    [opened] = await journal.open({3: OWNED[3]})
    assert (opened.next_seq, opened.next_status_seq, opened.next_inbound_seq) == (10, 1, 15)


async def test_a_consumer_that_has_caught_up_is_forgotten(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.record(OWNED, [aside(ASIDE)])
    await journal.record(OWNED, [aside(Unaside(2), 9)])  # another one
    assert await pool.fetchval("select count(*) from aside") == 1
    await journal.record(OWNED, [aside(Unaside(1), 9)])
    assert await pool.fetchval("select count(*) from aside") == 0


async def test_nothing_is_said_of_who_is_aside_in_a_slot_that_is_not_held(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.record(OWNED, [aside(ASIDE)])
    old = {3: OWNED[3] - 1}
    assert await journal.record(old, [aside(ASIDE._replace(base=7), 9)]) == set()
    assert await journal.record(old, [aside(Unaside(1), 9)]) == set()
    assert [tuple(r) for r in await pool.fetch("select base, number from aside")] == [(2, 1)]


async def test_a_cursor_is_on_disk_only_with_the_row_that_it_depends_on(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """If the row cannot be written, the cursor does not pass over what belongs to it."""
    await pool.execute("alter table aside add constraint no check (base < 5) not valid")
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await journal.record(OWNED, [aside(ASIDE._replace(base=7), 9)])
    finally:
        await pool.execute("alter table aside drop constraint no")
    [opened] = await journal.open({3: OWNED[3]})
    assert (opened.send_mark, opened.aside) == (0, {})
