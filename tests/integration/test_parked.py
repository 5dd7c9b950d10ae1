"""What is parked, on a real PostgreSQL: in pages, in order, and whatever the clock does."""

from __future__ import annotations

from typing import Any

from tests.harness.journals import event, row
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


async def test_the_next_row_of_a_recipient_is_found_after_the_first(journal: Journal) -> None:
    await store(journal, ["a", "b", "a"])
    await park(journal, {1: 50.0, 2: 10.0, 3: 50.0})
    await unpark(journal, 1)
    for page in await pages(journal, 9):
        assert {r["recipient"] for r in page} == {"a", "b"}
