"""``GET /v1/messages/{id}`` and ``warouter trace``: what the database knows of one message."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec

from tests.harness.shell import printed, refused
from warouter.config import Settings
from warouter.kinds import READ_MARK
from warouter.message_id import mint, text_of
from warouter.store.journal.messages import _WITH_STATUS as WITH_STATUS
from warouter.store.views import trace
from warouter.store.views.trace import Trace, read_trace

RAW = mint(3, 1_700_000_000_000, bytes(range(12)))
ID = text_of(RAW)
TO = "4915112345678"
EPOCH = (1 << 32) + 3
# Those of the C library and PostgreSQL's own: the embedded server has no ICU.
COLLATIONS = """
select distinct on (left(collname, 2)) collname from pg_collation
 where collencoding in (-1, pg_char_to_encoding('UTF8')) and collisdeterministic
   and collprovider in ('b', 'c') order by left(collname, 2), collname"""
FAILED = b'{"timestamp":"5","errors":[{"code":410,"title":"Message expired","details":"late"}]}'


async def accepted(pool: asyncpg.Pool, seq: int = 7, ttl: int | None = None) -> None:
    await pool.execute(
        "insert into message (slot, seq, id, recipient, body, ttl) values (3,$1,$2,$3,'secret',$4)",
        seq,
        RAW,
        TO,
        ttl,
    )


async def status(pool: asyncpg.Pool, seq: int, name: str, payload: bytes = b"{}") -> None:
    await event(pool, 3, 0, seq, f"{ID}:{name}", payload)


async def event(
    pool: asyncpg.Pool, slot: int, kind: int, seq: int, key: str, payload: bytes = b"{}"
) -> None:
    await pool.execute(
        "insert into event (slot, seq, kind, key, recipient, payload) values ($1,$2,$3,$4,$5,$6)",
        slot,
        seq,
        kind,
        key,
        TO,
        payload,
    )


async def find(pool: asyncpg.Pool, message_id: str = ID) -> Trace:
    async with pool.acquire() as connection:
        found = await read_trace(connection, message_id)
    assert found is not None
    return found


def steps(found: Trace) -> list[tuple[str, str | None]]:
    return [(s.step, s.callback.state if s.callback else None) for s in found.steps]


async def test_a_message_on_its_way(pool: asyncpg.Pool) -> None:
    node = uuid4()
    await pool.execute(
        "select register_node($1,'h:coreapp-1','coreapp','h',1,null,null,'9','xxh64',1,1,"
        "'simulator','')",
        node,
    )
    await pool.execute("update shard_map set shards = 2")
    await pool.execute("update slot set owner = $1, epoch = $2 where slot = 3", node, EPOCH)
    await accepted(pool, ttl=60)
    found = await find(pool)
    assert (found.slot, found.shard, found.owner, found.epoch) == (3, 1, "h:coreapp-1", EPOCH)
    assert (found.state, found.recipient, found.ttl) == ("waiting", TO, 60)
    assert steps(found) == [("accepted", None)]
    await pool.execute("update send_cursor set ranges = '{7,7}' where slot = 3")
    assert (await find(pool)).state == "taken"
    await status(pool, 1, "sent:1700000001")
    await status(pool, 2, "delivered:1700000002")
    await pool.execute("update event_cursor set mark = 1 where slot = 3 and kind = 0")
    found = await find(pool)
    assert found.state == "delivered"
    assert steps(found) == [
        ("accepted", None),
        ("settled", None),
        ("sent", "settled"),
        ("delivered", "waiting"),
    ]
    assert all(s.at for s in found.steps if s.step != "settled")
    assert b"secret" not in msgspec.json.encode(found)


async def test_options_do_not_change_what_a_message_is(pool: asyncpg.Pool) -> None:
    await accepted(pool)
    for kind, name in ((0, "message"), (2, "message"), (42, "message"), (1, "read mark")):
        await pool.execute("update message set kind = $1", kind)
        assert (await find(pool)).kind == name
    await pool.execute("update message set kind = $1", READ_MARK | 1 << 6)
    assert (await find(pool)).kind == "read mark"


async def test_a_parked_message_says_why_and_until_when(pool: asyncpg.Pool) -> None:
    await accepted(pool)
    await pool.execute(
        "insert into parked_message (slot, seq, id, recipient, attempts, due_at, reason)"
        " values (3, 7, $1, $2, 4, now() + interval '60 s', 'Rate limit hit')",
        RAW,
        TO,
    )
    found = await find(pool)
    assert found.state == "parked"
    last = found.steps[-1]
    assert (last.attempts, last.reason) == (4, "Rate limit hit")
    assert last.due_in_s is not None
    assert 50 < last.due_in_s <= 60


async def test_a_failed_one_with_its_reason_and_what_became_of_the_callback(
    pool: asyncpg.Pool,
) -> None:
    await accepted(pool)
    await pool.execute("update send_cursor set mark = 9 where slot = 3")
    await status(pool, 1, "failed", FAILED)
    found = await find(pool)
    assert found.state == "failed"
    assert found.steps[-1].reason == "410 Message expired: late"
    assert found.steps[-1].timestamp == "5"
    await pool.execute(
        "insert into parked_event (slot, seq, kind, recipient, attempts, due_at, reason)"
        " select slot, seq, kind, recipient, 2, now(), 'status 500' from event"
    )
    callback = (await find(pool)).steps[-1].callback
    assert callback is not None
    assert (callback.state, callback.attempts, callback.reason) == ("parked", 2, "status 500")
    await pool.execute(
        "insert into dead_letter (slot, seq, kind, key, recipient, payload, attempts, reason)"
        " select slot, seq, kind, key, recipient, payload, 9, 'given up' from event"
    )
    for table in ("parked_event", "event", "message"):  # retention takes all but the dead letter
        found = await find(pool)
        callback = found.steps[-1].callback
        assert callback is not None
        assert (callback.state, callback.attempts, callback.reason) == (
            "dead letter",
            9,
            "given up",
        )
        await pool.execute(f"delete from {table}")
    found = await find(pool)
    assert (found.state, steps(found)) == ("failed", [("failed", "dead letter")])


async def test_an_inbound_message(pool: asyncpg.Pool) -> None:
    await event(pool, 5, 1, 4, "wamid.HBgL==")
    found = await find(pool, "wamid.HBgL==")
    assert (found.direction, found.state, found.slot) == ("incoming", "received", 5)
    assert steps(found) == [("received", "waiting")]


async def test_nothing_is_known(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        for message_id in (ID, "x", "wamid.none", "a\0b", "", "%", f"{ID}:sent"):
            assert await read_trace(connection, message_id) is None, message_id


async def test_the_range_of_a_messages_keys_holds_in_every_collation_there_is(
    pool: asyncpg.Pool,
) -> None:
    """The statuses of ids that differ in case or punctuation only are the hardest neighbours."""
    random = Random(7)
    ids = [text_of(mint(n % 32, 1_700_000_000_000 + n, random.randbytes(12))) for n in range(60)]
    ids += [each.swapcase() for each in ids] + [each.replace("-", "_") for each in ids]
    ids = sorted(set(ids))
    names = ("sent:1", "delivered:2", "read:3", "failed", "deleted:4", "warning:5")
    keys = sorted({f"{each}:{name}" for each in ids for name in names})
    async with pool.acquire() as connection:
        await connection.execute("create temp table k (key text)")
        await connection.executemany("insert into k values ($1)", [(key,) for key in keys])
        for collation in await connection.fetch(COLLATIONS):
            ordered = f'alter table k alter key type text collate "{collation[0]}"'
            await connection.execute(ordered)
            where = trace._OF_MESSAGE.format("k").replace("$1", "i.id")
            found = await connection.fetch(
                "select i.id, array_agg(k.key) as keys from unnest($1::text[]) i(id)"
                f" join k on {where} group by i.id",
                ids,
            )
            assert {r["id"]: sorted(r["keys"]) for r in found} == {
                each: [k for k in keys if k.startswith(f"{each}:")] for each in ids
            }, collation


async def test_every_query_is_answered_from_an_index(pool: asyncpg.Pool) -> None:
    """As planned by itself, with 20,000 rows in each table."""
    async with pool.acquire() as connection:
        await connection.execute(
            "insert into message (slot, seq, id, recipient, body) select n % 32, n,"
            " sha256(n::text::bytea), '1', '' from generate_series(1, 20000) n;"
            "insert into parked_message (slot, seq, id, recipient, attempts, due_at, reason)"
            " select slot, seq, id, '1', 1, now(), '' from message;"
            "insert into event (slot, seq, kind, key, recipient, payload) select n % 32, n, n % 2,"
            " md5(n::text) || ':sent:1', '1', '' from generate_series(1, 20000) n;"
            "insert into parked_event (slot, seq, kind, recipient, attempts, due_at, reason)"
            " select slot, seq, kind, '1', 1, now(), '' from event;"
            "insert into dead_letter (slot, seq, kind, key, recipient, payload, attempts, reason)"
            " select slot, seq, kind, key, '1', '', 1, '' from event;"
            "analyze message, parked_message, event, parked_event, dead_letter"
        )
        by_id: tuple[tuple[str, list[Any]], ...] = (
            (trace.MESSAGE_SQL, [RAW, 1]),
            (trace.STATUSES_SQL, [ID, 0, 1]),
            (trace.BURIED_STATUSES_SQL, [ID, 0, 1]),
            (trace.INBOUND_SQL, ["wamid", 1, 1]),
            (trace.BURIED_INBOUND_SQL, ["wamid", 1, 1]),
            (WITH_STATUS, [[ID]]),
        )
        for sql, arguments in by_id:
            plan = await connection.fetch(f"explain {sql}", *arguments)
            lines = "\n".join(row[0] for row in plan)
            for table in ("message", "parked_message", "event", "parked_event", "dead_letter"):
                assert f"Seq Scan on {table} " not in lines, lines


async def test_the_command_shows_the_same(settings: Settings, pool: asyncpg.Pool) -> None:
    await accepted(pool, ttl=60)
    await pool.execute("update send_cursor set mark = 9 where slot = 3")
    await status(pool, 1, "failed", FAILED)
    shown = await printed(settings, "trace", ID)
    assert f"{ID} (outgoing, message) to {TO}" in shown
    assert "failed, 410 Message expired: late, callback waiting" in shown
    assert "ttl      60 s" in shown
    shown = await printed(settings, "trace", "--json", ID)
    assert msgspec.json.decode(shown, type=Trace) == await find(pool)


async def test_an_unknown_id_ends_the_command_with_a_sentence(settings: Settings) -> None:
    assert "There is no message 'nothing'" in await refused(settings, "trace", "nothing")


async def test_each_step_names_the_owner_of_its_time(
    pool: asyncpg.Pool, settings: Settings
) -> None:
    await pool.execute(
        "insert into owner_log (at, slot, from_node, to_node, epoch, reason) values"
        " (now() - interval '3 h', 3, null, 'h:one', $1, 'unowned'),"
        " (now() - interval '1 h', 3, 'h:one', 'h:two', $1 + 1, 'dead'),"
        " (now() + interval '1 h', 3, 'h:two', 'h:three', $1 + 2, 'dead'),"
        " (now() - interval '1 s', 4, null, 'h:other', $1 + 9, 'dead')",
        EPOCH,
    )
    await accepted(pool)
    await status(pool, 1, "sent:17")
    owned = [("h:one", EPOCH), ("h:two", EPOCH + 1)]
    for hours, owner in ((2, owned[0]), (0, owned[1])):
        await pool.execute(f"update message set accepted_at = now() - interval '{hours} h'")
        found = await find(pool)
        assert (found.steps[0].owner, found.steps[0].epoch) == owner
        assert (found.steps[-1].owner, found.steps[-1].epoch) == owned[1]
    await pool.execute("update message set accepted_at = now() - interval '9 h'")
    assert (await find(pool)).steps[0].owner is None
    assert "(owner h:two, epoch 1.4)" in await printed(settings, "trace", ID)
