"""The owner's side of a replay on a real PostgreSQL: fenced, in one step, nothing lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.journals import OWNED, event
from warouter.config import Settings
from warouter.store import database, dead_letters
from warouter.store.dead_letters import LetterPosition, Selection, parse
from warouter.store.journal import Journal
from warouter.store.journal.progress import ProgressColumns
from warouter.store.journal.slots import Pruned

ALL = Selection()
LANE = "4915112345678"


@pytest_asyncio.fixture
async def journal(journal: Journal) -> Journal:
    """With a dead letter for seq 1 to 3 of each of its slots."""
    rows = [event(n, f"{slot}.{n}:read:1", slot) for slot in OWNED for n in (1, 2, 3)]
    assert await journal.append_events(OWNED, rows) == {}
    tried = {"kind": 0, "attempts": 7, "reason": "webhook: 400"}
    dead = [{"slot": r.slot, "seq": r.seq, **tried} for r in rows]
    await journal.write(OWNED, ProgressColumns({}, {}, {"dead": dead}))
    return journal


@pytest_asyncio.fixture
async def operator(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect(settings, "operator")
    yield connection
    await connection.close()


async def parked(pool: asyncpg.Pool) -> list[tuple[int, int]]:
    rows = await pool.fetch("select slot, seq from parked_event order by slot, seq")
    return [tuple(row) for row in rows]


async def test_only_what_was_asked_for_is_taken_up(
    journal: Journal, pool: asyncpg.Pool, operator: asyncpg.Connection
) -> None:
    assert await journal.asked_letters([3, 5]) == []
    assert await journal.take_up_letters(OWNED, 60, 10) == []
    which = Selection(
        places=[LetterPosition(0, 3, 2), LetterPosition(0, 5, 1), LetterPosition(1, 3, 1)]
    )
    assert await dead_letters.ask(operator, which) == 2
    assert sorted(await journal.asked_letters([3, 5])) == [3, 5]
    assert sorted(await journal.take_up_letters(OWNED, 60, 10)) == [
        (3, 0, LANE, 1),
        (5, 0, LANE, 1),
    ]
    assert await parked(pool) == [(3, 2), (5, 1)]
    assert await dead_letters.count(operator, ALL) == 4
    (row,) = await journal.parked_events_of(3, LANE, 0, 10)
    assert (row["key"], row["attempts"]) == ("3.2:read:1", 7)
    assert 60 <= row["age"] < 120


async def collected(journal: Journal, pool: asyncpg.Pool) -> None:
    """Retention takes the events, all of which are settled."""
    await pool.execute("update event set recorded_at = '2026-01-02'")
    await pool.execute("update dead_letter set recorded_at = '2026-01-02'")
    await pool.execute("update event_cursor set mark = 3 where kind = 0")
    pruned = await journal.prune(OWNED, 30.0, 100)
    assert pruned is not None
    assert pruned.after is None
    assert (
        await pool.fetchval(
            "select count(*) from event e left join parked_event p"
            " using (slot, kind, seq) where p.slot is null"
        )
        == 0
    )


async def test_a_letter_is_whole_after_its_event_was_pruned(
    journal: Journal, pool: asyncpg.Pool, operator: asyncpg.Connection
) -> None:
    """It is written back into the journal before it is parked, and goes once it was delivered."""
    await collected(journal, pool)
    assert await pool.fetchval("select count(*) from event") == 0
    await dead_letters.ask(operator, ALL)
    assert sorted(await journal.take_up_letters(OWNED, 60, 10)) == [
        (3, 0, LANE, 3),
        (5, 0, LANE, 3),
    ]
    read = await journal.parked_events_of(3, LANE, 0, 10)
    assert [(each["key"], bytes(each["payload"])) for each in read] == [
        (f"3.{n}:read:1", b"{}") for n in (1, 2, 3)
    ]
    assert await journal.prune(OWNED, 30.0, 100) == Pruned(0, None)
    unparked = [{"slot": 3, "kind": 0, "seq": n} for n in (1, 2)]
    await journal.write(OWNED, ProgressColumns({}, {}, {"unpark_events": unparked}))
    assert await journal.prune(OWNED, 30.0, 100) == Pruned(2, None)


async def test_a_letter_whose_event_came_again_leaves_it_to_that_one(
    journal: Journal, pool: asyncpg.Pool, operator: asyncpg.Connection
) -> None:
    await collected(journal, pool)
    assert await journal.append_events(OWNED, [event(4, "3.1:read:1")]) == {}
    await dead_letters.ask(operator, ALL)
    await journal.take_up_letters(OWNED, 60, 10)
    assert await parked(pool) == [(3, 2), (3, 3), (5, 1), (5, 2), (5, 3)]
    assert await dead_letters.count(operator, ALL) == 0
    assert await pool.fetchval("select seq from event where key = '3.1:read:1'") == 4


async def test_a_letter_may_die_again_also_after_its_event_was_pruned(
    journal: Journal, pool: asyncpg.Pool, operator: asyncpg.Connection
) -> None:
    await collected(journal, pool)
    await dead_letters.ask(operator, ALL)
    await journal.take_up_letters(OWNED, 60, 10)
    again = {"slot": 3, "kind": 0, "seq": 1, "attempts": 8, "reason": "webhook: 500"}
    await journal.write(OWNED, ProgressColumns({}, {}, {"park_events": [again | {"delay_ms": 5}]}))
    assert (3, 1) in await parked(pool)
    await journal.write(OWNED, ProgressColumns({}, {}, {"dead": [again]}))
    (letter,) = await dead_letters.find(operator, ALL, 10)
    assert (letter.id, letter.attempts, letter.asked) == ("status-3-1", 8, False)
    assert bytes(letter.payload) == b"{}"
    assert (3, 1) not in await parked(pool)


async def test_selections(journal: Journal, operator: asyncpg.Connection) -> None:
    for which, count in (
        (ALL, 6),
        (Selection(kind=1), 0),
        (Selection(kind=0, recipient=LANE), 6),
        (Selection(recipient="491"), 0),
        (Selection(places=[LetterPosition(0, 3, 1), LetterPosition(0, 3, 9)]), 1),
        (Selection(reason="HOOK: 4"), 6),
        (Selection(reason="webhook: 4__"), 0),
    ):
        assert await dead_letters.count(operator, which) == count
    assert len(await dead_letters.find(operator, ALL, 4)) == 4


async def test_letters_are_asked_for_in_batches_and_each_once(
    journal: Journal, operator: asyncpg.Connection
) -> None:
    assert await dead_letters.count(operator, ALL, 4) == 4
    covers = await dead_letters.covers(operator, ALL, 10)
    assert [cover.id for cover in covers] == [
        letter.id for letter in await dead_letters.find(operator, ALL, 10)
    ]
    for left in (2, 0):
        assert await dead_letters.ask(operator, ALL, 4) == (4 if left else 2)
        assert await dead_letters.count_unasked(operator, ALL, 10) == left
    assert await dead_letters.ask(operator, ALL, 4) == 0
    asked = await operator.fetchval("select count(*) from dead_letter where asked_at is not null")
    assert asked == 6


def test_ids() -> None:
    assert parse("status-13-204") == LetterPosition(0, 13, 204)
    assert parse("inbound-0-1").text == "inbound-0-1"
    for wrong in ("", "13-204", "status-13", "status--1-2", "status-1-2 ", "message-1-2"):
        with pytest.raises(ValueError, match="is not the id of a dead letter"):
            parse(wrong)
