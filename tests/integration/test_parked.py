"""What is parked, on a real PostgreSQL: in pages, in order, and whatever the clock does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.clock import step
from tests.harness.owned import ME as COREAPP
from tests.harness.owned import FakeUpstream, Slots, ended
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.flow import parking as parked
from warouter.owner import parked as taking_up
from warouter.store.journal import EventRow, Journal, Row
from warouter.store.journal.progress import Wire
from warouter.upstream.protocol import Answer, Claim, Claimed, Listener, Send, ToUpstream

ME = uuid4()
OWNED = {3: 10}
DAY = 86_400.0
LANES = [(3, 0), (3, 1)]
HOUR = 3600.0


@pytest_asyncio.fixture
async def journal(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Journal]:
    await pool.execute("update slot set owner = $1, epoch = 10 where slot = 3", ME)
    journal = Journal(settings, ME, "test")
    yield journal
    await journal.close()


def row(seq: int, recipient: str, ttl: int | None = None) -> Row:
    return Row(3, seq, bytes((1, 3)) + seq.to_bytes(18, "big"), recipient, 0, b"{}", ttl)


def event(seq: int, recipient: str) -> EventRow:
    return EventRow(3, seq, 0, f"k{seq}", recipient, b"{}", None)


def place(seq: int, **more: Any) -> dict[str, Any]:
    return {"slot": 3, "seq": seq, "attempts": 1, "reason": "r", **more}


async def park(journal: Journal, delays: dict[int, float], **more: Any) -> None:
    """Messages and events of these seqs, each for so many seconds."""
    rows = [place(seq, delay_ms=int(delay * 1000), **more) for seq, delay in delays.items()]
    rare = {"park": rows, "park_events": [r | {"kind": 0} for r in rows]}
    assert await journal.write(OWNED, Wire({}, {}, rare)) == {3}


async def unpark(journal: Journal, seq: int) -> None:
    rare = {"unpark": [place(seq)], "unpark_events": [place(seq, kind=0)]}
    await journal.write(OWNED, Wire({}, {}, rare))


async def store(journal: Journal, recipients: list[str], ttl: int | None = None) -> None:
    """A message and an event to each, with seqs from 1."""
    rows = list(enumerate(recipients, 1))
    assert await journal.append(OWNED, [row(seq, r, ttl) for seq, r in rows]) == {}
    assert await journal.append_events(OWNED, [event(seq, r) for seq, r in rows]) == {}


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


async def test_one_row_stands_for_each_recipient(journal: Journal) -> None:
    """However many wait for one, the next page is not full of it; its first row leads."""
    await store(journal, ["a"] * 5 + ["b"])
    await park(journal, dict.fromkeys(range(1, 6), 0.0))
    await park(journal, {6: 100.0})
    for page in await pages(journal, 2):
        assert {r["recipient"] for r in page} == {"a", "b"}
    await park(journal, {1: 500.0})  # tried again later: what waits behind it waits with it
    await unpark(journal, 6)
    for page in await pages(journal, 9):
        ((recipient, due_in),) = [(r["recipient"], r["due_in"]) for r in page]
        assert recipient == "a"
        assert 400 < due_in <= 500
    await unpark(journal, 1)
    for page in await pages(journal, 9):
        assert [r["recipient"] for r in page] == ["a"]
        assert page[0]["due_in"] <= 0  # as the next one was parked
    for seq in range(2, 6):
        await unpark(journal, seq)
    assert await pages(journal, 9) == ([], [])


async def test_who_is_parked_is_found_among_others(journal: Journal) -> None:
    await store(journal, ["a", "b"])
    await park(journal, {1: 100.0, 2: 200.0})
    found = await journal.parked_among(3, ["b", "c"], DAY)
    assert [r["recipient"] for r in found] == ["b"]
    assert 190 < found[0]["due_in"] <= 200
    events = await journal.parked_events_among(3, 0, ["b", "c"])
    assert [r["recipient"] for r in events] == ["b"]
    assert await journal.parked_events_among(3, 1, ["b"]) == []


async def test_a_ttl_is_looked_at_before_the_wait_is_over(journal: Journal) -> None:
    await store(journal, ["a", "b"], ttl=60)
    await park(journal, {1: 500.0}, ends_ms=60_000)
    await park(journal, {2: 100.0})
    (first,) = await journal.parked([3], DAY, 1)
    assert first["recipient"] == "a"
    assert first["ends_in"] <= 60


@pytest.mark.parametrize("hours", [-1.0, -1000.0])
async def test_a_clock_that_goes_back_prolongs_no_wait(
    journal: Journal, pool: asyncpg.Pool, hours: float
) -> None:
    """A new owner used to wait for as long as the clock had gone back."""
    await store(journal, ["a", "b"])
    await park(journal, {1: 5.0, 2: 8.0})
    await step(pool, hours * HOUR)
    for page in await pages(journal, 9):
        due = {r["recipient"]: r["due_in"] for r in page}
        assert due["a"] <= 5
        assert due["b"] <= 8
    row, *_ = await journal.page(3, 0, 9, 9, 1 << 20)
    assert row.age == 0
    assert {r["age"] for r in await journal.parked_of(3, ["a", "b"], 9)} == {0}
    assert {r["age"] for r in await journal.parked_events_of(3, "a", 0, 9)} == {0}
    # Those that no page has brought yet are found by when they are due: they are brought forward.
    assert await journal.mend_parked(OWNED, 1) == 2
    assert await journal.mend_parked(OWNED, 100) == 2
    assert await journal.mend_parked(OWNED, 100) == 0
    for table in ("parked_message", "parked_event"):
        late = f"select count(*) from {table} where greatest(due_at, look_at) > now() + '9 s'"
        assert await pool.fetchval(late) == 0


async def test_a_clock_that_goes_forward_only_brings_tries_forward(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await store(journal, ["a"])
    await park(journal, {1: 5.0})
    await step(pool, HOUR)
    for page in await pages(journal, 9):
        assert page[0]["due_in"] < 0
    assert await journal.mend_parked(OWNED, 9) == 0


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


async def test_letters_are_a_lane_that_is_looked_at_now(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await store(journal, ["a", "a", "b"])
    dead = [place(seq, kind=0) for seq in (1, 2, 3)]
    await journal.write(OWNED, Wire({}, {}, {"dead": dead}))
    assert await journal.asked_letters([3, 5]) == []
    await pool.execute("update dead_letter set asked_at = now()")
    assert await journal.asked_letters([3, 5]) == [3]
    assert sorted(await journal.take_up_letters(OWNED, 0.0, 2)) == [(3, 0, "a", 2)]
    assert await journal.take_up_letters(OWNED, 0.0, 2) == [(3, 0, "b", 1)]
    assert await journal.take_up_letters(OWNED, 0.0, 2) == []
    looked = "select recipient from parked_event where look_at is not null order by seq"
    assert [r[0] for r in await pool.fetch(looked)] == ["a", "b"]


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
    await pool.execute("update slot set owner = $1, epoch = 11 where slot = 3", COREAPP)
    await pool.execute(
        "insert into parked_message"
        " (slot, seq, id, recipient, kind, body, attempts, due_at, reason)"
        " select 3, n, set_byte(set_byte(decode(lpad(to_hex(n), 40, '0'), 'hex'), 0, 1), 1, 3),"
        " case when n <= 100 then 'crowd' else 'r' || n end, 0, '{}', 1,"
        " now() + case when n <= 180 then '20 h' else '0 s' end::interval, 'r'"
        " from generate_series(1, 200) n"
    )
    upstream = Taking()
    slots = Slots(settings, upstream=upstream)
    upstream.listener = slots.hearing
    slots.hold_leases()
    tasks = [asyncio.create_task(run()) for run in (slots.recorder.run, slots.sender.run_parked)]
    try:
        await slots.moves.open({3: 11})
        await soon(lambda: len(upstream.taken) == 20)
    finally:
        await ended(tasks)
        await slots.journal.close()
    assert upstream.taken == set(range(181, 201))


class Taking(FakeUpstream):
    """An upstream that takes what it is sent."""

    connected = True

    def __init__(self) -> None:
        super().__init__()
        self.taken: set[int] = set()
        self.listener: Listener | None = None

    def tell(self, message: ToUpstream) -> None:
        assert self.listener is not None
        loop, answer = asyncio.get_running_loop(), self.listener.on_upstream
        if isinstance(message, Claim):
            loop.call_soon(answer, Claimed(message.slot, message.epoch))
        elif isinstance(message, Send):
            self.taken.add(message.seq)
            loop.call_soon(answer, Answer(message.slot, message.id))
