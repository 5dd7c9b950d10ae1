"""WAL, disk and CPU of a life cycle, in an empty database and in one that has grown.

Life cycles that are over are made up by SQL, evenly over 30 days: a message, its three statuses,
the id that the Cloud API gave it, and for each tenth one its user. After a checkpoint, since which
the first change of a page writes all of it, a cluster of two owners takes real ones at a fixed
rate, and what they wrote is counted table by table and index by index.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cloud.extent import Extent
from bench.cloud.site import FAST, LOAD_CONNECTIONS, UNLIMITED, cloud_site, cpu_us, warm
from bench.e2e.site import Found, Site, say

OWNERS = 2
PER_SECOND = 150.0
SECONDS = 60.0
RECIPIENTS = 10_000
LIVES = 100_000  # a statement
PATIENCE = 600.0  # seconds
LEAST = 10.0  # bytes of a life cycle that have a line

# Copies of a real one, with a seq of 0 or less: they are settled.
_MESSAGES = """
insert into message (slot, seq, id, recipient, body, accepted_at)
select n % 32, -n, '\\x01'::bytea || set_byte('\\x00', 0, (n % 32)::integer)
                   || substr(int8send((extract(epoch from at.at) * 1000)::bigint), 3)
                   || substr(uuid_send(gen_random_uuid()), 1, 12),
       '49151' || lpad((n % {recipients})::text, 8, '0'), real.body, at.at
  from (select body from message where seq > 0 limit 1) real,
       generate_series({first}::bigint, {upto} - 1) n,
       lateral (select now() - interval '30 days' * (1 - n / {lives}::float8) as at) at
"""
_EVENTS = """
with one as materialized (
    select distinct on (split_part(key, ':', 2)) split_part(key, ':', 2) as status, payload
      from event where seq > 0)
insert into event (slot, seq, kind, key, recipient, payload, recorded_at)
select m.slot, 3 * m.seq - s.n, 0,
       translate(encode(m.id, 'base64'), '+/=', '-_') || ':' || s.status || ':1700000000',
       m.recipient, s.payload, m.accepted_at
  from message m, (select row_number() over () as n, status, payload from one) s
 where m.slot between 0 and 31 and m.seq between 1 - {upto} and -{first}
 order by m.seq desc
"""
# A wamid has the form of Meta's: it begins with the customer's number and goes on at random.
_IDS = """
insert into upstream_id (wamid, slot, id, attempt, wa_id, user_id, at)
select 'wamid.' || encode('\\x1c180d'::bytea || convert_to(m.recipient, 'UTF8')
                          || '\\x150200111812'::bytea
                          || convert_to(upper(left(md5(random()::text), 18)), 'UTF8')
                          || '\\x00'::bytea, 'base64'),
       m.slot, m.id, 1, m.recipient, real.user_id, m.accepted_at
  from (select user_id from upstream_id limit 1) real, message m
 where m.slot between 0 and 31 and m.seq between 1 - {upto} and -{first}
 order by m.seq desc
"""
_USERS = """
insert into contact_identity (user_id, wa_id)
select 'US.' || translate(md5(m.recipient), 'abcdef', '012345'), m.recipient
  from message m
 where m.slot between 0 and 31 and m.seq between 1 - {upto} and -{first}
   and m.seq % 10 = 0
on conflict do nothing
"""
_PATIENT = "select set_config(name, '0', false) from pg_settings where name = 'transaction_timeout'"
_WRITTEN = """
select coalesce(r.relname, 'other') as name, sum(w.block_data_length)::bigint as data,
       coalesce(sum(w.block_fpi_length), 0)::bigint as images
  from pg_get_wal_block_info($1, $2) w
  left join pg_class r on pg_relation_filenode(r.oid) = w.relfilenode
 group by 1
"""
_SIZES = """
select r.relname as name, pg_relation_size(r.oid) as bytes from pg_class r
 where r.relkind in ('r', 'i', 't')
   and r.relnamespace = (select relnamespace from pg_class where oid = 'message'::regclass)
"""


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of both, and what was wrong."""
    async with cloud_site(folder, OWNERS, UNLIMITED, FAST) as here:
        await here.database.execute("create extension pg_walinspect")
        await here.database.fetch(_PATIENT)
        await warm(here)
        empty = await _lives(here, extent)
        await _fill(here, extent.grown)
        full = await _lives(here, extent)
        cost = round(full["cpu_us"]["postgres"] / empty["cpu_us"]["postgres"], 2)
        figures: Found = {
            "growth": {"lives": extent.grown, "empty": empty, "full": full, "cost": cost},
            "foreign_cores": {"growth": round(full.pop("foreign"), 2)},
        }
        return figures, await here.check("growth")


async def _fill(here: Site, lives: int) -> None:
    """So many life cycles that are over."""
    for first in range(0, lives, LIVES):
        upto = min(lives, first + LIVES)
        for statement in (_MESSAGES, _EVENTS, _IDS, _USERS):
            await here.database.execute(
                statement.format(first=first, upto=upto, lives=lives, recipients=RECIPIENTS),
                timeout=PATIENCE,
            )
    await here.database.execute("vacuum (freeze, analyze)", timeout=PATIENCE)


async def _lives(here: Site, extent: Extent) -> Found:
    """Bytes of WAL and disk, and CPU of PostgreSQL, of one life cycle of this run."""
    await here.database.execute("checkpoint", timeout=PATIENCE)
    sizes, since = await _sizes(here), await _position(here)
    order = here.order(
        LOAD_CONNECTIONS,
        extent.lasts(SECONDS),
        per_second=PER_SECOND,
        recipients=RECIPIENTS,
    )
    found = await here.measured(order)
    lives, upto = found["accepted"], await _position(here)
    written = await here.database.fetch(_WRITTEN, since, upto, timeout=PATIENCE)
    grown = {name: size - sizes.get(name, 0) for name, size in (await _sizes(here)).items()}
    _show(lives, written, grown)
    return {
        "wal": round((upto - since) / lives),
        "images": round(sum(row["images"] for row in written) / lives),
        "disk": round(sum(grown.values()) / lives),
        "cpu_us": cpu_us(found),
        "foreign": found["foreign_cores"],
    }


async def _position(here: Site) -> int:
    """Of the end of the WAL, in bytes."""
    return int(await here.database.fetchval("select pg_current_wal_flush_lsn()"))


async def _sizes(here: Site) -> dict[str, int]:
    return {row["name"]: row["bytes"] for row in await here.database.fetch(_SIZES)}


def _show(lives: int, written: list[Any], grown: dict[str, int]) -> None:
    """A line for each table and index that a life cycle writes to."""
    say(f"  {lives:,} life cycles; bytes of each: data in the WAL, page images there, disk")
    images = {row["name"]: row["images"] for row in written}
    data = {row["name"]: row["data"] for row in written}
    for name in sorted({*images, *grown}, key=lambda n: -images.get(n, 0) - data.get(n, 0)):
        each = [of.get(name, 0) / lives for of in (data, images, grown)]
        if sum(each) >= LEAST:
            say(f"    {name:<24}" + "".join(f"{value:>9,.0f}" for value in each))
