"""``warouter status`` on a real PostgreSQL, through the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest_asyncio

from tests.harness.postgres import PATIENT
from tests.harness.shell import printed, refused
from warouter.config import Settings
from warouter.store import locks
from warouter.store.database import application_name, connect
from warouter.store.views.backlog import BACKLOG_SQL, CALLBACKS_SQL
from warouter.store.views.doubts import age
from warouter.store.views.status import numbered

LEADER, OWNER, SPARE, WEBAPP, GONE = (uuid4() for _ in range(5))
NODES = {
    LEADER: ("h:master-1", "master"),
    OWNER: ("h:coreapp-1", "coreapp"),
    SPARE: ("h:coreapp-2", "coreapp"),
    WEBAPP: ("h:webapp-1", "webapp"),
    GONE: ("h:master-2", "master"),
}
TERM = (1 << 32) + 7
EPOCH = (1 << 32) + 3


@pytest_asyncio.fixture
async def cluster(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Settings]:
    """Two shards, all of OWNER; every node but GONE has its session with the alive lock."""
    for incarnation, (name, role) in NODES.items():
        await pool.execute(
            "select register_node($1,$2,$3,'h',6250,null,null,'9.9','xxh64',1,4711,'simulator','')",
            incarnation,
            name,
            role,
        )
    await pool.execute("update term set term = $1, incarnation = $2", TERM, LEADER)
    await pool.execute("update shard_map set shards = 2, version = 5")
    await pool.execute("update slot set owner = $1, epoch = $2", OWNER, EPOCH)
    sessions = [await session(settings, inc) for inc in NODES if inc is not GONE]
    yield settings
    for connection in sessions:
        await connection.close()


async def session(settings: Settings, incarnation: UUID) -> asyncpg.Connection:
    connection = await connect(settings, application_name(incarnation, NODES[incarnation][0]))
    await connection.fetchval(
        "select pg_advisory_lock($1, hashtext($2))", locks.ALIVE, incarnation.hex
    )
    return connection


async def read(settings: Settings, *arguments: str) -> dict[str, Any]:
    shown = await printed(settings, "status", "--json", *arguments)
    return msgspec.json.decode(shown, type=dict[str, Any])


async def add_messages(pool: asyncpg.Pool, slot: int, count: int) -> None:
    await pool.execute(
        "insert into message (slot, seq, id, recipient, body)"
        " select $1::smallint, n, decode(lpad(to_hex(n * 32 + $1), 40, '0'), 'hex'), '49151', '{}'"
        " from generate_series(1, $2) n",
        slot,
        count,
    )


async def add_events(pool: asyncpg.Pool, slot: int, kind: int, count: int) -> None:
    await pool.execute(
        "insert into event (slot, seq, kind, key, recipient, payload)"
        " select $1::smallint, n, $2::smallint, $1 || ':' || $2 || ':' || n, '49151', '{}'"
        " from generate_series(1, $3) n",
        slot,
        kind,
        count,
    )


async def test_nodes_with_their_roles_and_states(cluster: Settings) -> None:
    found = await read(cluster)
    nodes = {n["name"]: n for n in found["nodes"]}
    assert {name: (n["role"], n["state"]) for name, n in nodes.items()} == {
        "h:master-1": ("primary master", "alive"),
        "h:master-2": ("secondary master", "dead"),
        "h:coreapp-1": ("primary coreapp", "alive"),
        "h:coreapp-2": ("secondary coreapp", "alive"),
        "h:webapp-1": ("webapp", "alive"),
    }
    owner = nodes["h:coreapp-1"]
    assert (owner["pid"], owner["version"], owner["shards"]) == (4711, "9.9", [0, 1])
    assert 0 <= owner["age_s"] < 60
    assert (found["term"], found["leader"], found["shard_count"]) == (TERM, "h:master-1", 2)


async def test_connections_in_all_and_per_node(cluster: Settings) -> None:
    database = (await read(cluster))["database"]
    by_node = database["connections_by_node"]
    assert by_node["h:coreapp-1"] == by_node["h:webapp-1"] == 1
    assert "h:master-2" not in by_node
    assert database["connections"] == sum(by_node.values())
    assert database["connections"] < database["max_connections"]


async def test_the_backlog_is_what_no_cursor_has_settled(
    cluster: Settings, pool: asyncpg.Pool
) -> None:
    await add_messages(pool, 2, 10)  # shard 0: 1..3 and 5..6 and 9 settled
    await pool.execute("update send_cursor set mark = 3, ranges = '{5,6,9,9}' where slot = 2")
    await add_messages(pool, 4, 5000)  # shard 0: wide enough to be computed
    await pool.execute("update send_cursor set mark = 1, ranges = '{11,20}' where slot = 4")
    await add_messages(pool, 3, 4)  # shard 1: all settled, the last by a range
    await pool.execute("update send_cursor set mark = 3, ranges = '{4,4}' where slot = 3")
    await pool.execute("update send_cursor set mark = 9, ranges = '{12,13}' where slot = 5")
    await add_messages(pool, 7, 10)  # shard 1: with places that were never written
    await pool.execute("delete from message where slot = 7 and seq in (4, 5, 6)")
    found = await read(cluster)
    shards = [s["backlog"] for s in found["shards"]]
    assert shards == [4 + (5000 - 1 - 10), 7]
    assert found["backlog"] == sum(shards)


async def test_callbacks_by_kind_and_what_is_parked_or_dead(
    cluster: Settings, pool: asyncpg.Pool
) -> None:
    await add_messages(pool, 3, 2)
    await add_events(pool, 3, 0, 9)
    await add_events(pool, 3, 1, 2)
    await pool.execute("update event_cursor set mark = 2, ranges = '{4,5}' where slot=3 and kind=0")
    await pool.execute(
        "insert into parked_message (slot, seq, id, recipient, attempts, due_at, reason)"
        " select slot, seq, id, recipient, 1, now(), 'rate' from message where slot = 3 and seq = 1"
    )
    await pool.execute("update send_cursor set mark = 2 where slot = 3")
    where = "from event where slot = 3 and kind = 0 and seq in (4, 5)"
    await pool.execute(
        "insert into parked_event (slot, seq, kind, recipient, attempts, due_at, reason)"
        f" select slot, seq, kind, recipient, 3, now(), 'http 500' {where}"
    )
    await pool.execute(
        "insert into dead_letter (slot, seq, kind, key, recipient, payload, attempts, reason)"
        f" select slot, seq, kind, key, recipient, payload, 3, 'http 500' {where}"
    )
    found = await read(cluster)
    assert found["callback_queue"] == {"statuses": 5, "inbound": 2}
    assert (found["parked"], found["parked_events"], found["dead_letters"]) == (1, 2, 2)
    shard = found["shards"][1]
    assert (shard["backlog"], shard["waiting_statuses"], shard["waiting_inbound"]) == (0, 5, 2)


async def test_shards_with_owners_epochs_successors_and_the_request(
    cluster: Settings, pool: asyncpg.Pool
) -> None:
    await pool.execute("update slot set successor = $1, epoch = epoch + 1 where slot = 6", SPARE)
    await pool.execute("update slot set owner = null where slot = 7")
    await pool.execute(
        "insert into shard_request (id, shards, state) values ($1,4,'running')", GONE
    )
    found = await read(cluster)
    even, odd = found["shards"]
    assert (even["owners"], even["successors"]) == (["h:coreapp-1"], ["h:coreapp-2"])
    assert (even["epoch_from"], even["epoch_to"]) == (EPOCH, EPOCH + 1)
    assert even["slots"] == list(range(0, 32, 2))
    assert odd["unowned_slots"] == [7]
    assert (found["shard_request"]["shards"], found["shard_request"]["state"]) == (4, "running")
    page = await printed(cluster, "status")
    assert "1.3 to 1.4" in page
    assert "nobody (1 slots)" in page
    assert "4 shards, running" in page


async def test_the_oldest_open_transaction_is_shown(cluster: Settings, pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        await connection.execute(PATIENT)
        await connection.execute("select count(*) from slot")
        await asyncio.sleep(0.2)
        await connection.execute("select 1")
        database = (await read(cluster))["database"]
    assert database["oldest_transaction_s"] >= 0.2
    assert database["oldest_transaction_by"] == "test"


async def test_history_is_shown_when_asked_for_the_latest_first(
    cluster: Settings, pool: asyncpg.Pool
) -> None:
    for slot in range(12):
        await pool.execute("select change_owner($1, $2, $3, 'dead', 42, 0)", slot, SPARE, TERM)
    assert (await read(cluster))["history"] == []
    assert len((await read(cluster, "--history"))["history"]) == 10
    (last,) = (await read(cluster, "--history", "1"))["history"]
    assert (last["slot"], last["from_node"], last["to_node"]) == (11, "h:coreapp-1", "h:coreapp-2")
    assert (last["reason"], last["observed_age_ms"], last["term"]) == ("dead", 42, TERM)


async def test_slots_that_moved_together_are_one_line_of_the_page(
    cluster: Settings, pool: asyncpg.Pool
) -> None:
    for slot in range(1, 32, 2):
        await pool.execute("select change_owner($1, $2, $3, 'dead', 31, 0)", slot, SPARE, TERM)
    await pool.execute("select change_owner(5::smallint, $1, $2, 'handover', null, 0)", OWNER, TERM)
    page = await printed(cluster, "status", "--history")
    for word in ("h:coreapp-1", "primary coreapp", "term", "1.7", "led by h:master-1", "backlog"):
        assert word in page
    page = page.partition("changes of owners")[2]
    handover, dead = page.splitlines()[2:4]
    told = [" ".join(line.split()[1:]) for line in (dead, handover)]
    assert told == [
        "1, 3 .. 31 h:coreapp-1 h:coreapp-2 1.4 1.7 dead 31",
        "5 h:coreapp-2 h:coreapp-1 1.5 1.7 handover",
    ]
    only = (await printed(cluster, "status", "--history", "1")).partition("changes of owners")[2]
    assert "handover" in only
    assert "dead" not in only.partition("\n")[2]


async def test_a_dead_incarnation_hides_behind_a_live_one_of_its_name(
    cluster: Settings, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        "select register_node($1,'h:webapp-1','webapp','h',1,null,null,'0.1','xxh64',1,999,"
        "'simulator','')",
        uuid4(),
    )
    assert len((await read(cluster))["nodes"]) == len(NODES) + 1
    assert (await printed(cluster, "status")).count("h:webapp-1  ") == 1


async def test_a_fresh_database_is_shown(settings: Settings) -> None:
    found = await read(settings)
    assert (found["leader"], found["nodes"], found["backlog"]) == (None, [], 0)
    assert found["shards"][0]["unowned_slots"] == list(range(32))


async def test_each_trouble_is_one_sentence(settings: Settings, pool: asyncpg.Pool) -> None:
    away = await refused(settings, "status", WA_DB_HOSTNAME="/nowhere")
    assert "cannot be reached" in away
    await pool.execute("delete from schema_migration")
    assert "run `warouter migrate`" in await refused(settings, "status", "--json")


async def test_no_journal_is_read_from_end_to_end(settings: Settings, pool: asyncpg.Pool) -> None:
    for slot in range(32):
        await add_messages(pool, slot, 2_000)
        await add_events(pool, slot, 0, 2_000)
    await pool.execute("update send_cursor set mark = 1000, ranges = '{1100,1200}'")
    await pool.execute("analyze")
    for sql, table in ((BACKLOG_SQL, "message"), (CALLBACKS_SQL, "event")):
        plan = [line[0] for line in await pool.fetch(f"explain {sql}")]
        assert not any(f"Seq Scan on {table} " in line for line in plan), plan
        assert any(f"{table}_pkey" in line for line in plan), plan
    found = await read(settings)
    assert found["backlog"] == 32 * (99 + 800)
    assert found["callback_queue"]["statuses"] == 32 * 2_000


def test_numbers_and_ages_are_short() -> None:
    assert numbered(EPOCH) == "1.3"
    assert [age(s) for s in (7.4, 200, 9_000, 200_000)] == ["7 s", "3 min", "2 h", "2 d"]
