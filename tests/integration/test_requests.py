"""Requests that come more than once, on a real PostgreSQL: I11 within the append function."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from random import Random
from typing import Any

import asyncpg
import pytest_asyncio

from tests.harness.journals import ME, OTHER, RECIPIENT, an_id, own, page_of
from tests.harness.journals import row as plain
from tests.harness.postgres import PATIENT
from tests.harness.wait import PATIENCE
from warouter._batch import pack
from warouter.config import Settings
from warouter.kinds import HOLD, MEDIA, READ_MARK, kind_with
from warouter.link.wire import NEWEST, IdempotencyKey, Message
from warouter.store.journal import APPENDED, CLASHED, FENCED, REFUSED, Already, Journal
from warouter.store.journal.progress import ProgressColumns

OWNED, OTHERS = {3: 10}, {5: 20}
COUNT = "select count(*) from message"
KEYS = "select count(*) from request_key"


@pytest_asyncio.fixture
async def journals(
    settings: Settings, pool: asyncpg.Pool
) -> AsyncIterator[tuple[Journal, Journal]]:
    """Of two owners, of slots 3 and 5."""
    await own(pool, 3, OWNED[3], ME)
    await own(pool, 5, OTHERS[5], OTHER)
    pair = Journal(settings, ME, "test"), Journal(settings, OTHER, "test")
    yield pair
    for journal in pair:
        await journal.close()


def key(name: str, request: str = "body") -> IdempotencyKey:
    return IdempotencyKey(sha256(name.encode()).digest(), sha256(request.encode()).digest())


def row(seq: int, name: str | None = None, request: str = "body", **more: Any) -> Message:
    return plain(seq, key=None if name is None else key(name, request), **more)


async def test_a_fenced_or_refused_message_leaves_no_key(
    journals: tuple[Journal, Journal], pool: asyncpg.Pool
) -> None:
    journal = journals[0]
    fenced = row(1, "a", slot=5)
    assert await journal.append(OWNED | {5: 19}, [row(1, "b"), fenced]) == {1: FENCED}
    rows = [row(2, "c", recipient="no\0text"), row(3, "d")]
    assert await journal.append(OWNED, rows) == {0: REFUSED}
    assert await pool.fetchval(KEYS) == 2
    assert await journal.append(OWNED, [row(4, "a"), row(5, "c")]) == {}


NAMES = [f"key {n}" for n in range(200)]


async def fates(journals: tuple[Journal, Journal]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two owners are given the same keys for different requests, at once and in any order."""
    random = Random(1)

    async def all_of_them(journal: Journal, owned: dict[int, int], slot: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        shuffled = random.sample(NAMES, len(NAMES))
        for at in range(0, len(NAMES), 20):
            part = shuffled[at : at + 20]
            rows = [row(at + n + 1, name, f"to {slot}", slot=slot) for n, name in enumerate(part)]
            outcomes = await journal.append(owned, rows)
            found |= {name: outcomes.get(n, APPENDED) for n, name in enumerate(part)}
        return found

    first, second = journals
    return await asyncio.gather(all_of_them(first, OWNED, 3), all_of_them(second, OTHERS, 5))


async def test_owners_that_are_given_the_same_keys_at_once(
    journals: tuple[Journal, Journal], pool: asyncpg.Pool
) -> None:
    """No circle of waiting, and one message a key."""
    first, second = await fates(journals)
    for name in NAMES:
        assert {first[name], second[name]} == {APPENDED, CLASHED}, name
    assert await pool.fetchval(COUNT) == len(NAMES)


async def test_looking_before_writing_would_not_do(
    journals: tuple[Journal, Journal], pool: asyncpg.Pool
) -> None:
    """The same with a look first and no rule of the table: keys get two messages."""
    source = await pool.fetchval(
        "select pg_get_functiondef(oid) from pg_proc where proname = 'append_requests'"
    )
    head, _, rest = source.partition("on conflict (key) do update")
    _, _, tail = rest.partition(";")
    looks = head.replace(
        "where f.key is not null",
        "where not exists (select 1 from request_key r where r.key = f.key) and f.key is not null",
    )
    slowly = f"{looks}; perform pg_sleep(0.02);{tail}"
    await pool.execute(slowly)
    await pool.execute("alter table request_key drop constraint request_key_pkey")
    await fates(journals)
    assert await pool.fetchval(COUNT) > len(NAMES)


async def test_an_owner_waits_for_another_that_has_not_committed(
    journals: tuple[Journal, Journal], settings: Settings, pool: asyncpg.Pool
) -> None:
    """Decided by what the other one does, not by who asked first."""
    async with pool.acquire() as connection:
        for commits in (True, False):
            wanted = key(f"commits {commits}")
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(PATIENT)
            await connection.execute(
                "insert into request_key (key, id, slot, request) values ($1, $2, 5, $3)",
                wanted.name,
                an_id(9, 5),
                wanted.request,
            )
            pid = connection.get_server_pid()
            append = asyncio.create_task(
                journals[0].append(OWNED, [row(1 + commits, f"commits {commits}")])
            )
            waits = "select 1 from pg_stat_activity where $1 = any (pg_blocking_pids(pid))"
            async with asyncio.timeout(PATIENCE):
                while not await pool.fetchval(waits, pid):
                    assert not append.done()
            if commits:
                await transaction.commit()
                assert await append == {0: Already(an_id(9, 5))}
            else:
                await transaction.rollback()
                assert await append == {}


async def test_a_key_is_kept_for_a_day_and_then_starts_anew(
    journals: tuple[Journal, Journal], pool: asyncpg.Pool
) -> None:
    journal = journals[0]
    age = "update request_key set created_at = now() - $1 * interval '1 hour'"
    await journal.append(OWNED, [row(1, "a"), row(2, "b")])
    await pool.execute("delete from message")  # retention was shorter
    await pool.execute(age, 23.9)
    assert await journal.prune_keys([3], 10) == 0
    assert await journal.append(OWNED, [row(3, "a")]) == {0: Already(an_id(1))}
    await pool.execute(age, 24.1)
    assert await journal.append(OWNED, [row(4, "a", "another")]) == {}
    assert await journal.append(OWNED, [row(5, "a", "another")]) == {0: Already(an_id(4))}
    assert await journal.prune_keys([5], 10) == 0  # another owner's
    assert await journal.prune_keys([3], 10) == 1
    assert await pool.fetchval(KEYS) == 1


async def test_age_and_ttl_are_read_back_also_of_a_parked_message(
    journals: tuple[Journal, Journal], pool: asyncpg.Pool
) -> None:
    journal = journals[0]
    await journal.append(OWNED, [row(1, ttl=60), row(2), row(3, kind=1)])
    await pool.execute("update message set accepted_at = now() - interval '100 seconds'")
    page = await page_of(journal, 3)
    assert [r.ttl for r in page] == [60, None, None]
    assert all(100 <= r.age < 110 for r in page)
    park = [
        {"slot": 3, "seq": n, "attempts": 1, "delay_ms": 5000, "reason": "r"} for n in (1, 2, 3)
    ]
    await journal.write(OWNED, ProgressColumns({}, {}, {"park": park}))
    (lane,) = await journal.parked([3], 86_400.0, 9)
    assert -50 < lane["ends_in"] <= -40
    rows = await journal.parked_of(3, ["4915112345678"], 9)
    assert [r["ttl"] for r in rows] == [60, None, None]
    assert all(100 <= r["age"] < 110 for r in rows)
    unpark = [{"slot": 3, "seq": n} for n in (1, 2)]
    await journal.write(OWNED, ProgressColumns({}, {}, {"unpark": unpark}))
    (lane,) = await journal.parked([3], 86_400.0, 9)
    assert lane["ends_in"] is None  # a read mark waits for as long as it takes


async def test_a_kind_keeps_its_options_from_the_link_to_the_parked_table(
    journals: tuple[Journal, Journal], pool: asyncpg.Pool
) -> None:
    """So they hold with the next owner, which reads what is parked or left in the journal."""
    journal = journals[0]
    kinds = [kind_with(base, p, h) for base in (0, 2) for p in range(4) for h in (False, True)]
    frames = [
        NEWEST.message(3, OWNED[3], an_id(seq), kind, RECIPIENT, b"{}", 60 if seq == 5 else None)
        for seq, kind in enumerate(kinds, 1)
    ]
    messages, _ = NEWEST.read(memoryview(pack(frames)))
    for seq, message in enumerate(messages, 1):
        message.seq = seq
    for rows in (messages[:4], messages[4:]):  # without a ttl, and with one: two functions
        assert await journal.append(OWNED, rows) == {}
    page = await page_of(journal, 3)
    assert [r.kind for r in page] == kinds
    delays = {"attempts": 1, "delay_ms": 5000, "reason": "r"}
    park = [{"slot": 3, "seq": seq, **delays} for seq, _ in enumerate(kinds, 1)]
    await journal.write(OWNED, ProgressColumns({}, {}, {"park": park}))
    assert [r["kind"] for r in await journal.parked_of(3, [RECIPIENT], 99)] == kinds


async def test_of_what_is_parked_only_read_marks_never_end(
    journals: tuple[Journal, Journal],
) -> None:
    """Whatever a later build says of them besides."""
    journal = journals[0]
    of = {"1": kind_with(MEDIA, HOLD, True), "2": READ_MARK, "3": READ_MARK | 1 << 6}
    await journal.append(OWNED, [row(int(r), recipient=r, kind=kind) for r, kind in of.items()])
    delays = {"attempts": 1, "delay_ms": 5000, "reason": "r"}
    park = [{"slot": 3, "seq": seq, **delays} for seq in (1, 2, 3)]
    await journal.write(OWNED, ProgressColumns({}, {}, {"park": park}))
    lanes = await journal.parked([3], 86_400.0, 9)
    ends = {lane["lane"]: lane["ends_in"] is not None for lane in lanes}
    assert ends == {"1": True, "2": False, "3": False}
