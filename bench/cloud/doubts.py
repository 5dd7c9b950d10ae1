"""A million messages in doubt or held, spread over all slots, and what that does to the others.

The same load runs twice on one cluster, without them and with them. Half are held, half in doubt
with their lanes shut; a hundred a second of those are decided under ``hold``. Then owners are
killed. A turn of a coreapp's loop is bounded by the CPU that it used (``bench.cloud.turns``).
"""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path
from random import Random

from bench.cloud import turns
from bench.cloud.extent import Extent
from bench.cloud.site import LOAD_CONNECTIONS, UNLIMITED, cloud_site, cpu_us, now, owners, warm
from bench.e2e.site import Found, Site, say
from tests.harness.wait import soon
from warouter.local.cluster import Cluster
from warouter.local.options import Placement, executed
from warouter.local.process import Process

OWNERS = 2
RATE = 300.0
SECONDS = 60.0
KILLS = 5
KILL_EVERY_SECONDS = 15.0
SLOTS = 32
FIRST = 1_000_000_000  # seq: above any of the load's before, and the mark is moved above them all
POLICY = {"WAROUTER_CLOUD_IN_DOUBT": "hold", "WAROUTER_CLOUD_RATE": "20000"}
DUE_A_SECOND = 100.0

_ID = "set_byte(set_byte(decode(lpad(to_hex(n), 40, '0'), 'hex'), 0, 1), 1, (n % 32)::int)"
_ROWS = f"""
select (n % {SLOTS})::smallint as slot, {FIRST} + n / {SLOTS} as seq, {_ID} as id,
       (491700000000 + n)::text as recipient, n / {SLOTS} % 2 = 0 as held, n
  from generate_series(0, $1::bigint - 1) n"""
_FILL = {
    "message": f"""
insert into message (slot, seq, id, recipient, body)
select slot, seq, id, recipient, '{{"type":"text","text":{{"body":"hi"}}}}' from ({_ROWS}) r""",
    "parked_message": f"""
insert into parked_message (slot, seq, id, recipient, attempts, due_at, look_at, reason)
select slot, seq, id, recipient, 1, 'infinity', 'infinity', 'in doubt' from ({_ROWS}) r
 where not held""",
    "send_issue": f"""
insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, cause, look_at)
select slot, seq, id, recipient, 1, 1, case when held then 3 else 2 end, 'timeout',
       now() + case when held then interval '1 day'
                    else interval '2 min' + n / 2 / {DUE_A_SECOND} * interval '1 s' end
  from ({_ROWS}) r""",
}
_MARKS = f"update send_cursor set mark = {FIRST} + $1::bigint"
_AGED = "update send_issue set at = look_at - interval '60 s' where state = 2"
_OPENED = """
select max(extract(epoch from opened_at - at))::float8 as slowest, count(*) as slots,
       count(*) filter (where opened_at is null) as never
  from owner_log where id > $1"""


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """With them beside without them, and what was wrong."""
    noted = folder / "turns"
    noted.mkdir()
    place = partial(_place, {turns.FOLDER: str(noted)})
    async with cloud_site(folder, OWNERS, UNLIMITED, POLICY, place=place) as here:
        without = await _under_load(here, extent, noted)
        await _fill(here, extent.doubts)
        beside = await _under_load(here, extent, noted)
        since = now()
        opened = await _killed(here, extent)
        figures: Found = {
            "doubts": {
                "rows": extent.doubts,
                "opened_s": opened["slowest"],
                "opened_slots": opened["slots"],
                "turn_ms": beside["turn_ms"],
                "turn_killed_ms": max(turns.long_turns(noted, since), default=0.0),
                "coreapp_mib_more": round(beside["mib"] - without["mib"], 1),
                "rate": round(beside["per_s"] / without["per_s"], 3),
                "cpu": round(beside["cpu_us"]["product"] / without["cpu_us"]["product"], 2),
                "postgres": round(beside["cpu_us"]["postgres"] / without["cpu_us"]["postgres"], 2),
                "without": without,
                "with": beside,
            },
        }
        say(f"  {figures}")
        wrong = await here.check("beside doubts")
        return figures, wrong + ["a slot did not open"] * bool(opened["never"])


def _place(environment: dict[str, str], name: str, role: str) -> Placement:
    if role != "coreapp":
        return executed(name, role)
    return Placement(program=("-m", "bench.cloud.turns"), environment=environment, by_fork=False)


async def _under_load(here: Site, extent: Extent, noted: Path) -> Found:
    """The same load on coreapps that have just begun."""
    since = now()
    await _restarted(here)
    await warm(here)
    seconds = extent.lasts(SECONDS)
    found = await here.measured(here.order(LOAD_CONNECTIONS, seconds, per_second=RATE))
    mib = [each for name, each in here.resident().items() if name.startswith("coreapp")]
    return {
        "per_s": round(found["lives"] / found["seconds"], 1),
        "p99_ms": round(found["p99_ms"], 2),
        "cpu_us": cpu_us(found),
        "mib": max(mib),
        "turn_ms": max(turns.long_turns(noted, since), default=0.0),
        "foreign_cores": round(found["foreign_cores"], 2),
    }


async def _restarted(here: Site) -> None:
    cluster, coreapps = _coreapps(here)
    await asyncio.gather(*(coreapp.stop() for coreapp in coreapps))
    await asyncio.gather(*(cluster.again(coreapp) for coreapp in coreapps))
    await soon(partial(_all_owned, here))


async def _all_owned(here: Site, dead: int = 0) -> bool:
    owned = await owners(here)
    return dead not in owned and sum(map(len, owned.values())) == SLOTS


def _coreapps(here: Site) -> tuple[Cluster, list[Process]]:
    cluster = here.cluster
    assert isinstance(cluster, Cluster)  # of this build
    return cluster, [p for p in cluster.processes.values() if p.role == "coreapp"]


async def _fill(here: Site, rows: int) -> None:
    """While nobody owns a slot: the rows, and the mark above them."""
    say(f"  {rows:,} rows ...")
    _, coreapps = _coreapps(here)
    await asyncio.gather(*(coreapp.stop() for coreapp in coreapps))
    for table, statement in _FILL.items():
        await here.database.execute(statement, rows)
        await here.database.execute(f"analyze {table}")
    await here.database.execute(_AGED)
    await here.database.execute(_MARKS, rows)
    here.removed -= rows


async def _killed(here: Site, extent: Extent) -> Found:
    """What became of the slots of owners that were killed."""
    random, last = Random(1), await here.database.fetchval("select max(id) from owner_log")
    for _ in range(KILLS):
        victim = random.choice(sorted(await owners(here)))
        os.kill(victim, signal.SIGKILL)
        await asyncio.sleep(extent.lasts(KILL_EVERY_SECONDS))
        await soon(partial(_all_owned, here, victim))
    row = await here.database.fetchrow(_OPENED, last)
    assert row is not None
    return dict(row)
