"""The journal on a real PostgreSQL: appends, fences, cursors, parking, handing over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest_asyncio

from warouter.config import Settings
from warouter.store.journal import FENCED, KNOWN, REFUSED, EventRow, Journal, Row
from warouter.store.journal.progress import Wire

ME, OTHER = uuid4(), uuid4()
OWNED = {3: 10, 5: 20}


@pytest_asyncio.fixture
async def journal(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Journal]:
    """The journal of ME, who owns slots 3 and 5."""
    for slot, epoch in OWNED.items():
        await own(pool, slot, epoch, ME)
    journal = Journal(settings, ME, "test")
    yield journal
    await journal.close()


async def own(pool: asyncpg.Pool, slot: int, epoch: int, owner: UUID) -> None:
    await pool.execute(
        "update slot set owner = $3, epoch = $2, successor = null where slot = $1",
        slot,
        epoch,
        owner,
    )


def row(seq: int, slot: int = 3, body: bytes = b"{}", recipient: str = "4915112345678") -> Row:
    return Row(slot, seq, bytes((1, slot)) + seq.to_bytes(18, "big"), recipient, 0, body)


def event(seq: int, key: str, slot: int = 3) -> EventRow:
    return EventRow(slot, seq, 0, key, "4915112345678", b"{}", None)


async def test_appended_rows_are_read_back_in_seq_order(journal: Journal) -> None:
    body = bytes(range(256))  # no byte may fail a batch
    assert await journal.append(OWNED, [row(1), row(2, body=body), row(1, slot=5)]) == {}
    appended = [(r.seq, r.id, r.recipient, r.kind, r.body) for r in (row(1), row(2, body=body))]
    for after in (0, 1):
        page = await journal.page(3, after, 99, 10, 1 << 20)
        assert [(r.seq, r.id, r.recipient, r.kind, r.body) for r in page] == appended[after:]


async def test_a_page_ends_with_the_row_that_fills_it(journal: Journal) -> None:
    rows = [row(seq, body=bytes(size)) for seq, size in enumerate((10, 5_000, 10, 40_000, 10), 1)]
    await journal.append(OWNED, rows)
    for most, seqs in ((1, [1]), (11, [1, 2]), (5_011, [1, 2, 3]), (5_021, [1, 2, 3, 4])):
        assert [r.seq for r in await journal.page(3, 0, 99, 10, most)] == seqs
    assert [r.seq for r in await journal.page(3, 0, 99, 2, 1 << 20)] == [1, 2]
    assert [r.seq for r in await journal.page(3, 2, 4, 10, 1 << 20)] == [3, 4]


async def test_so_does_a_page_of_events(journal: Journal) -> None:
    events = [event(n, f"k{n}")._replace(payload=bytes(n * 100)) for n in range(1, 6)]
    await journal.append_events(OWNED, events)
    for most, seqs in ((1, [1]), (101, [1, 2]), (301, [1, 2, 3]), (1 << 20, [1, 2, 3, 4, 5])):
        page = await journal.event_page(3, 0, 0, 99, 10, most)
        assert [e.seq for e in page] == seqs
        assert page == events[: len(seqs)]


async def test_a_known_id_is_recognised_and_fails_no_other(journal: Journal) -> None:
    await journal.append(OWNED, [row(1)])
    again = row(1)._replace(seq=2)
    assert await journal.append(OWNED, [again, row(3)]) == {0: KNOWN}
    assert [r.seq for r in await journal.page(3, 0, 99, 10, 1 << 20)] == [1, 3]


async def test_the_same_id_twice_in_one_batch_is_stored_once(journal: Journal) -> None:
    assert await journal.append(OWNED, [row(1), row(1)._replace(seq=2)]) == {1: KNOWN}


async def test_a_fenced_slot_fails_no_other(journal: Journal, pool: asyncpg.Pool) -> None:
    await own(pool, 5, 21, OTHER)
    assert await journal.append(OWNED, [row(1), row(1, slot=5), row(2)]) == {1: FENCED}


async def test_the_same_epoch_of_another_incarnation_is_fenced(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await own(pool, 3, OWNED[3], OTHER)
    assert await journal.append(OWNED, [row(1)]) == {0: FENCED}


async def test_a_data_error_is_bisected_to_the_row_that_has_it(journal: Journal) -> None:
    bad = row(3, recipient="no\0text")
    rows = [row(n) for n in range(1, 6)]
    rows[2] = bad
    assert await journal.append(OWNED, rows) == {2: REFUSED}
    assert [r.seq for r in await journal.page(3, 0, 99, 10, 1 << 20)] == [1, 2, 4, 5]


async def test_an_event_is_stored_once_by_its_key(journal: Journal, pool: asyncpg.Pool) -> None:
    assert await journal.append_events(OWNED, [event(1, "a"), event(2, "b")]) == {}
    assert await journal.append_events(OWNED, [event(3, "a"), event(4, "c")]) == {0: KNOWN}
    assert await pool.fetchval("select count(*) from event") == 3


async def test_an_epoch_begins_where_the_journal_ends(journal: Journal) -> None:
    await journal.append(OWNED, [row(n) for n in (1, 2, 3)])
    await journal.append_events(OWNED, [event(1, "a")])
    await journal.write(OWNED, Wire({3: (1, [5, 6])}, {(3, 0): (1, [])}, {}))
    opened = {o.slot: o for o in await journal.open(OWNED)}
    assert (opened[3].send_mark, opened[3].send_ranges, opened[3].next_seq) == (1, [5, 6], 7)
    assert (opened[3].status_mark, opened[3].next_status_seq) == (1, 2)
    assert (opened[3].next_inbound_seq, opened[5].next_seq) == (1, 1)


async def test_progress_of_a_fenced_slot_is_not_recorded(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await own(pool, 5, 21, OTHER)
    progress = Wire({3: (4, []), 5: (9, [])}, {}, {})
    assert await journal.write(OWNED, progress) == {3}
    assert await pool.fetchval("select mark from send_cursor where slot = 5") == 0


async def test_a_parked_message_moves_with_the_cursor_and_comes_back(journal: Journal) -> None:
    await journal.append(OWNED, [row(1), row(2)])
    park = {"slot": 3, "seq": 1, "attempts": 2, "delay_ms": 500_000, "reason": "pair rate"}
    await journal.write(OWNED, Wire({3: (1, [])}, {}, {"park": [park]}))
    (lane,) = await journal.parked([3], 86_400.0, 10)
    assert (lane["recipient"], lane["full"]) == ("4915112345678", False)
    assert 400.0 < lane["due_in"] <= 500.0
    (stored,) = await journal.parked_of(3, ["4915112345678"], 10)
    assert (stored["seq"], stored["attempts"], stored["body"]) == (1, 2, b"{}")
    await journal.write(OWNED, Wire({}, {}, {"unpark": [{"slot": 3, "seq": 1}]}))
    assert await journal.parked([3], 86_400.0, 10) == []


async def test_what_is_parked_again_needs_no_row_in_the_journal(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """Collected on request after ten minutes, while its recipient still waits."""
    await journal.append(OWNED, [row(1)])
    await journal.append_events(OWNED, [event(1, "a")])
    parks = {"slot": 3, "seq": 1, "attempts": 1, "delay_ms": 1, "reason": "first"}
    rare = {"park": [parks], "park_events": [parks | {"kind": 0}]}
    await journal.write(OWNED, Wire({3: (1, [])}, {(3, 0): (1, [])}, rare))
    await pool.execute("update message set accepted_at = now() - interval '11 minutes'")
    await pool.execute("update event set recorded_at = now() - interval '11 minutes'")
    assert await journal.prune(OWNED, 0.0, 100) == 2
    parks |= {"attempts": 2, "delay_ms": 60_000, "reason": "second"}
    rare = {"park": [parks], "park_events": [parks | {"kind": 0}]}
    await journal.write(OWNED, Wire({}, {}, rare))
    for table in ("parked_message", "parked_event"):
        (found,) = await pool.fetch(f"select attempts, reason, due_at > now() from {table}")
        assert tuple(found) == (2, "second", True), table


async def test_a_dead_event_keeps_everything_it_had(journal: Journal, pool: asyncpg.Pool) -> None:
    await journal.append_events(OWNED, [event(1, "a"), event(2, "b")])
    place = {"slot": 3, "kind": 0, "seq": 1, "attempts": 9, "reason": "webhook: 400"}
    await journal.write(OWNED, Wire({}, {}, {"park_events": [place | {"delay_ms": 1}]}))
    # One was parked before, the other comes straight from the journal.
    await journal.write(OWNED, Wire({}, {}, {"dead": [place, place | {"seq": 2}]}))
    dead = await pool.fetch("select key, attempts, reason from dead_letter order by seq")
    assert [tuple(d) for d in dead] == [("a", 9, "webhook: 400"), ("b", 9, "webhook: 400")]
    assert await journal.parked_events([(3, 0), (3, 1)], 10) == []


async def test_renew_raises_what_is_ours_only(journal: Journal, pool: asyncpg.Pool) -> None:
    await own(pool, 5, 21, OTHER)
    renewed = await journal.renew([3, 5], [0, 0])
    assert list(renewed) == [3]
    assert renewed[3] > OWNED[3]
    assert await journal.append(OWNED, [row(1)]) == {0: FENCED}
    assert await journal.append({3: renewed[3]}, [row(1)]) == {}


async def test_renew_goes_above_what_the_upstream_has_seen(journal: Journal) -> None:
    seen = 1 << 40
    assert (await journal.renew([3], [seen]))[3] > seen


async def test_a_handover_is_one_step_and_is_logged(journal: Journal, pool: asyncpg.Pool) -> None:
    await pool.execute("update slot set successor = $1 where slot = 3", OTHER)
    assert await journal.hand_over(OWNED) == {3}
    owner, epoch = await pool.fetchrow("select owner, epoch from slot where slot = 3")
    assert owner == OTHER
    assert epoch > OWNED[3]
    logged = await pool.fetchrow(
        "select slot, from_incarnation, to_incarnation, reason from owner_log"
    )
    assert tuple(logged) == (3, ME, OTHER, "handover")
    assert await journal.append(OWNED, [row(1)]) == {0: FENCED}


async def test_who_stops_without_an_heir_leaves_nobody(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    assert await journal.release(OWNED) == {3, 5}
    assert await pool.fetchval("select count(*) from slot where owner is null") == 32
    reasons = await pool.fetch("select distinct reason, to_incarnation from owner_log")
    assert [tuple(r) for r in reasons] == [("released", None)]
    assert await journal.append(OWNED, [row(1)]) == {0: FENCED}


async def test_pruning_spares_what_is_young_or_not_settled(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.append(OWNED, [row(n) for n in range(1, 6)])
    await pool.execute("update message set accepted_at = now() - interval '2 days' where seq <= 4")
    await journal.write(OWNED, Wire({3: (3, [5, 5])}, {}, {}))
    assert await journal.prune(OWNED, 1.0, 2) == 2
    assert await journal.prune(OWNED, 0.0, 100) == 1  # never younger than ten minutes
    assert [r.seq for r in await journal.page(3, 0, 99, 10, 1 << 20)] == [4, 5]


async def test_the_hot_reads_use_their_index(journal: Journal, pool: asyncpg.Pool) -> None:
    await pool.execute("set enable_seqscan = on")
    await pool.execute(
        "insert into message (slot, seq, id, recipient, body)"
        " select n % 32, n, decode(lpad(to_hex(n), 40, '0'), 'hex'), '4915112345678', '{}'"
        " from generate_series(1, 20000) n"
    )
    await pool.execute("analyze message")
    plan = await pool.fetch(
        "explain select seq from message where slot = 3 and seq > 100 and seq <= 9000"
        " order by seq limit 500"
    )
    assert any("message_pkey" in line[0] for line in plan)


async def test_kinds_and_contacts_are_kept_beside_repeats(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """A column of zeros or of nothing is left out on the way, also when a row is known."""
    inbound = event(1, "in")._replace(kind=1, contact=b"{}")
    assert await journal.append_events(OWNED, [event(1, "a"), inbound]) == {}
    assert await journal.append_events(OWNED, [inbound._replace(seq=2), event(2, "b")]) == {
        0: KNOWN
    }
    assert await journal.append_events(OWNED, [event(3, "b"), event(4, "c")]) == {0: KNOWN}
    found = await pool.fetch("select kind, seq, key, contact from event order by kind, seq")
    assert [tuple(r) for r in found] == [
        (0, 1, "a", None),
        (0, 2, "b", None),
        (0, 4, "c", None),
        (1, 1, "in", b"{}"),
    ]
    mark = row(1)._replace(kind=1)
    assert await journal.append(OWNED, [mark, row(2)]) == {}
    assert await journal.append(OWNED, [mark._replace(seq=3), row(4)]) == {0: KNOWN}
    assert await journal.append(OWNED, [row(4)._replace(seq=5), row(6)]) == {0: KNOWN}
    kinds = await pool.fetch("select seq, kind from message order by seq")
    assert [tuple(r) for r in kinds] == [(1, 1), (2, 0), (4, 0), (6, 0)]
