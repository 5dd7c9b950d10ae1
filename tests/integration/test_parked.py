"""What is parked, on a real PostgreSQL: in pages, in order, and whatever the clock does."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.harness.journals import event, row
from tests.harness.owned import ME, Granting, owning
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.flow import parking as parked
from warouter.owner.parked import log as taking_up
from warouter.store.journal import Journal
from warouter.store.journal.progress import ProgressColumns

OWNED = {3: 10}
DAY = 86_400.0
LANES = [(3, 0), (3, 1)]
HOUR = 3600.0


def place(seq: int, **more: Any) -> dict[str, Any]:
    return {"slot": 3, "seq": seq, "attempts": 1, "reason": "r", **more}


async def park(journal: Journal, delays: dict[int, float], **more: Any) -> None:
    """Messages and events of these seqs, each for so many seconds."""
    rows = [place(seq, delay_ms=int(delay * 1000), **more) for seq, delay in delays.items()]
    rare = {"park": rows, "park_events": [r | {"kind": 0} for r in rows]}
    assert await journal.write(OWNED, ProgressColumns({}, {}, rare)) == {3}


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
        assert {r["recipient"] for r in page} == {"b", "d"}
        assert all(r["full"] for r in page)
    for page in await pages(journal, 5):
        assert {r["recipient"] for r in page} == {"a", "b", "c", "d"}
        assert not any(r["full"] for r in page)


async def test_rows_from_before_are_looked_at_first(journal: Journal, pool: asyncpg.Pool) -> None:
    await store(journal, ["a", "b", "a"])
    await park(journal, {1: 50.0, 2: 10.0, 3: 50.0})
    for table in ("parked_message", "parked_event"):
        await pool.execute(
            f"update {table} set look_at = default, parked_at = default,"
            " due_at = due_at + interval '90 days' where recipient = 'a'"
        )
    for page in await pages(journal, 3):
        due = {r["recipient"]: r["due_in"] for r in page}
        assert set(due) == {"a", "b"}
        assert due["a"] <= DAY
    await unpark(journal, 1)
    for page in await pages(journal, 9):
        assert {r["recipient"] for r in page} == {"a", "b"}


OLD = "look_at = default, parked_at = default"


async def test_what_an_older_build_parked_is_brought_into_order(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """Each of its rows counted as one to be looked at first, and pages were full of them."""
    await store(journal, ["a", "a", "a", "b", "c", "c"], ttl=60)
    await park(journal, dict.fromkeys((1, 2, 3), HOUR) | {4: 0.0, 5: 10.0})
    for table in ("parked_message", "parked_event"):
        await pool.execute(f"update {table} set {OLD}")
    await park(journal, {6: 0.0})  # by this build, behind one of the older
    assert await journal.lead_parked(OWNED, 2, 0.0)
    assert not await journal.lead_parked(OWNED, 2, 60.0)
    looked = "select seq, look_at = due_at as due from {} where look_at is not null order by seq"
    assert [tuple(r) for r in await pool.fetch(looked.format("parked_message"))] == [
        (1, False),  # its ttl ends before
        (4, True),
        (5, True),
    ]
    assert [r[0] for r in await pool.fetch(looked.format("parked_event"))] == [1, 4, 5]
    for page in await pages(journal, 1):
        assert [r["recipient"] for r in page] == ["b"]
    assert not await journal.lead_parked(OWNED, 1, 0.0)


async def test_only_the_owner_brings_it_into_order(journal: Journal, pool: asyncpg.Pool) -> None:
    await store(journal, ["a"])
    await park(journal, {1: HOUR})
    await pool.execute(f"update parked_message set {OLD}")
    assert not await journal.lead_parked({3: 9}, 1, 0.0)
    assert await journal.lead_parked(OWNED, 1, 0.0)


async def test_who_is_due_is_sent_though_an_older_build_parked_many_before(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner read the same first page again and again, and never what was due behind it."""
    for module, name, value in (
        (parked, "MAX_PARKED", 20),
        (parked, "PAGE_LANES", 10),
        (parked, "LOOK_SECONDS", 0.1),
        (taking_up, "LEAD_ROWS", 20),
        (taking_up, "LEAD_SECONDS", 0.0),
    ):
        monkeypatch.setattr(module, name, value)
    await pool.execute("update slot set owner = $1, epoch = 11 where slot = 3", ME)
    await pool.execute(
        "insert into parked_message"
        " (slot, seq, id, recipient, kind, body, attempts, due_at, reason)"
        " select 3, n, set_byte(set_byte(decode(lpad(to_hex(n), 40, '0'), 'hex'), 0, 1), 1, 3),"
        " case when n <= 100 then 'crowd' else 'r' || n end, 0, '{}', 1,"
        " now() + case when n <= 180 then '20 h' else '0 s' end::interval, 'r'"
        " from generate_series(1, 200) n"
    )
    upstream = Granting()
    async with owning(settings, upstream):
        await soon(lambda: len(upstream.sent) == 20)
    assert {message.seq for message in upstream.sent} == set(range(181, 201))
