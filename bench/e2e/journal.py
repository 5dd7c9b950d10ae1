"""CPU of a message while the journal grows: old rows, as of a cluster that has run for long.

They are made by SQL: one message and its three statuses, again and again, evenly over the slots.
Their seq is below that of any real row (0 and less), so they are settled and nobody has to be told;
ids are of the real form, their time a day ago, so that they lie in the indexes where old ids do. A
second cluster with few rows, emptied before each run, takes turns with the one that grows.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from bench.e2e.extent import Extent
from bench.e2e.growth import Growth, life_cycles
from bench.e2e.site import LOUD, Found, Site, say, site
from warouter._hash import SLOTS

ROWS = 4  # of one message
CHUNK = 400_000  # rows a statement
SECONDS = 300.0

_MESSAGES = """
insert into message (slot, seq, id, recipient, body, accepted_at)
select n % 32, -n, substr(made.id, 1, 20), '49151' || lpad((n % 1000000)::text, 8, '0'),
       convert_to('{"to":"4915112345678","type":"text","text":{"body":"' || repeat('x', 160)
                  || '"}}', 'UTF8'),
       now() - interval '1 day'
  from generate_series($1::bigint, $2::bigint - 1) n,
       lateral (select '\\x01'::bytea || set_byte('\\x00'::bytea, 0, (n % 32)::integer)
                       || substr(int8send($3::bigint + n), 3)
                       || uuid_send(gen_random_uuid())) made (id)
"""
_EVENTS = """
insert into event (slot, seq, kind, key, recipient, payload, recorded_at)
select m.slot, 3 * m.seq - s.n, 0,
       translate(encode(m.id, 'base64'), '+/=', '-_') || ':' || s.status || ':1700000000',
       m.recipient,
       convert_to('{"id":"' || repeat('x', 27) || '","recipient_id":"' || m.recipient
                  || '","status":"' || s.status || '","timestamp":"1700000000",' || repeat(' ', 240)
                  || '"type":"message"}', 'UTF8'),
       m.accepted_at
  from message m,
       (values (0, 'sent'), (1, 'delivered'), (2, 'read')) s (n, status)
 where m.slot = any ($1::smallint[]) and m.seq between -$3::bigint + 1 and -$2::bigint
"""


async def measure(folder: Path, until: float, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part, and what was wrong."""
    growth = Growth(extent, until)
    least, *greater = extent.journal
    async with site(folder / "few") as few, site(folder / "many") as many:
        lives = partial(life_cycles, seconds=extent.growth_seconds)
        for here in (few, many):
            await here.faults(**LOUD)
            await lives(here)  # warm
        for have, rows in zip((0, *greater), greater, strict=False):
            await _grow(many, rows, have)
            await lives(many)  # the first to touch a page after the checkpoint writes all of it
            sides = {str(least): partial(_few, few, least, lives), str(rows): partial(lives, many)}
            await growth.compare("journal", sides)
        wrong = await few.check("few rows") + await many.check("many rows")
    return growth.figures, wrong


async def _few(here: Site, rows: int, lives: Callable[[Site], Awaitable[Found]]) -> Found:
    """A run on a journal of so many; all is settled, so nobody reads what is taken away."""
    here.removed += await here.database.fetchval("select count(*) from message where seq > 0")
    await here.database.execute("truncate message, event")
    await _fill(here, rows, 0)
    return await lives(here)


async def _grow(here: Site, rows: int, have: int) -> None:
    """As many made up rows in all, and nothing of it left to do; ``have`` were there before."""
    began = time.monotonic()
    await _fill(here, rows, have)
    for table in ("message", "event"):  # now, and not by autovacuum while something is measured
        await here.database.execute(f"vacuum (freeze, analyze) {table}", timeout=SECONDS)
    await here.database.execute("checkpoint", timeout=SECONDS)
    say(f"  {rows:,} rows, filled in {time.monotonic() - began:.0f} s")


async def _fill(here: Site, rows: int, have: int) -> None:
    long_ago = await here.database.fetchval(
        "select ((extract(epoch from now()) - 86400) * 1000)::bigint - 100000000"
    )
    slots = list(range(SLOTS))
    for first in range(have, rows, CHUNK):
        low, high = first // ROWS, min(rows, first + CHUNK) // ROWS
        await here.database.execute(_MESSAGES, low, high, long_ago, timeout=SECONDS)
        await here.database.execute(_EVENTS, slots, low, high, timeout=SECONDS)
