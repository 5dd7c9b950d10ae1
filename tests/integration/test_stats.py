"""What the database is asked for /v1/stats/db: right, and cheap on a big journal."""

from __future__ import annotations

import re

import asyncpg
import pytest

from warouter.store.views import backlog, stats
from warouter.store.views.stats import Statistics

STATEMENTS = {
    "messages": stats._MESSAGES,
    "receipts": stats._RECEIPTS,
    "oldest": backlog.OLDEST_SQL,
    "oldest events": backlog.OLDEST_EVENTS_SQL,
}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "KEEP_SECONDS", -1.0)


async def read(statistics: Statistics) -> dict[tuple[str, ...], float]:
    return {(s.name, *s.labels.values()): s.value for s in await statistics.cluster()}


async def fill(pool: asyncpg.Pool, rows: int) -> None:
    """So many messages and statuses in slot 3, a third of them unsettled, half as many inbound."""
    await pool.execute(
        "insert into message (slot, seq, id, recipient, body, accepted_at)"
        " select 3, n, n::text::bytea, '4915112345678', '{}', now() - interval '50 seconds'"
        " from generate_series(1, $1::integer) n",
        rows,
    )
    for kind, count in ((0, rows), (1, rows // 2)):
        await pool.execute(
            "insert into event (slot, seq, kind, key, recipient, payload, recorded_at)"
            " select 3, n, $2::smallint, $2::text || n, '4915112345678', '{}',"
            "        now() - interval '20 seconds' from generate_series(1, $1::integer) n",
            count,
            kind,
        )
    await pool.execute("update send_cursor set mark = $1 where slot = 3", rows - rows // 3)
    await pool.execute(
        "update event_cursor set mark = $1 where slot = 3 and kind = 0", rows - rows // 3
    )
    await pool.execute("update event_cursor set mark = $1 where slot = 3 and kind = 1", rows // 2)


async def test_an_empty_database(pool: asyncpg.Pool) -> None:
    found = await read(Statistics(pool))
    assert found["db_messages", "undefined"] == found["db_message_receipts",] == 0
    assert found["warouter_slots_unowned",] == 32
    assert found["warouter_leading_masters",] == 0
    assert found["warouter_dead_letters", "status_change"] == 0
    assert found["warouter_database_connections",] >= 1
    assert found["warouter_database_max_connections",] >= 20


async def test_journals_backlogs_and_ages(pool: asyncpg.Pool) -> None:
    await fill(pool, 300)
    found = await read(Statistics(pool))
    assert found["db_messages", "undefined"] == 300
    assert found["db_message_receipts",] == 300
    assert found["warouter_messages_unsettled",] == 100
    assert 50 <= found["warouter_messages_oldest_seconds",] < 110
    assert found["warouter_callbacks_unsettled", "status_change"] == 100
    assert found["warouter_callbacks_unsettled", "inbound_message"] == 0
    assert 20 <= found["warouter_callbacks_oldest_seconds", "status_change"] < 80
    assert found["warouter_callbacks_oldest_seconds", "inbound_message"] == 0


async def test_parked_and_dead(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(5):
        await pool.execute(
            "insert into parked_message (slot, seq, id, recipient, attempts, due_at, reason)"
            " values (3, $1, '', '49', 1, now() + interval '1 hour', 'pair rate')",
            n,
        )
        await pool.execute(
            "insert into dead_letter (slot, seq, kind, key, recipient, payload, attempts, reason)"
            " values (3, $1::bigint, 1, $1::text, '49', '', 9, 'webhook: 500')",
            n,
        )
    found = await read(Statistics(pool))
    assert found["warouter_messages_parked",] == 5
    assert found["warouter_dead_letters", "inbound_message"] == 5
    assert found["warouter_dead_letters", "status_change"] == 0
    assert found["warouter_callbacks_parked", "status_change"] == 0


async def test_owner_changes_only_grow(pool: asyncpg.Pool) -> None:
    insert = (
        "insert into owner_log (slot, epoch, reason, at)"
        " select 1, 1, $1, now() - $2::float8 * interval '1 second'"
        " from generate_series(1, $3::integer)"
    )
    statistics = Statistics(pool)
    seen = []
    for reason, age, count in (
        ("dead", 500.0, 7),
        ("handover", 61.0, 2),
        ("dead", 10.0, 3),
        ("dead", 0.0, 1),
    ):
        await pool.execute(insert, reason, age, count)
        for _ in range(2):  # nothing is counted twice
            found = await read(statistics)
            seen.append(
                tuple(
                    found.get(("warouter_owner_changes_total", r), 0) for r in ("dead", "handover")
                )
            )
    assert seen[::2] == seen[1::2] == [(7, 0), (7, 2), (10, 2), (11, 2)]
    # What was counted for good stays, though the log be cut.
    await pool.execute("delete from owner_log where at < now() - interval '1 minute'")
    found = await read(statistics)
    assert found["warouter_owner_changes_total", "dead"] == 11
    assert found["warouter_owner_changes_total", "handover"] == 2


async def test_tables(pool: asyncpg.Pool) -> None:
    await fill(pool, 300)
    async with pool.acquire() as connection:
        await connection.execute("select pg_stat_force_next_flush()")
        await connection.execute("analyze message")
    samples = {(s.name, s.labels["table"]): s.value for s in await Statistics(pool).tables()}
    assert samples["warouter_table_rows", "message"] == 300
    assert samples["warouter_table_bytes", "message"] > 8192
    assert ("warouter_table_dead_rows", "report") in samples


async def test_no_journal_is_read_from_end_to_end(pool: asyncpg.Pool) -> None:
    """Blocks touched, out of thousands that the journal has: what grows with it is not read."""
    await fill(pool, 100_000)
    await pool.execute("analyze message")
    await pool.execute("analyze event")
    blocks = await pool.fetchval("select pg_relation_size('message') / 8192")
    assert blocks > 1_000
    for name, sql in STATEMENTS.items():
        plan = "\n".join(
            row[0] for row in await pool.fetch(f"explain (analyze, buffers, timing off) {sql}")
        )
        assert "Seq Scan on message" not in plan, name
        assert "Seq Scan on event " not in plan, name
        top = next(line for line in plan.splitlines() if "Buffers:" in line)
        used = sum(map(int, re.findall(r"=(\d+)", top)))
        assert 0 < used < 500, (name, plan)


async def test_scrapers_share_one_reading(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "KEEP_SECONDS", 60.0)
    statistics = Statistics(pool)
    first = await statistics.cluster()
    assert await statistics.cluster() is first
