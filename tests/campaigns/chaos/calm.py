"""``python -m tests.campaigns.chaos.calm``: nothing fails here, so nothing may be taken over.

Busy loops beside the cluster take its processors, and somebody keeps a snapshot open, as a dump
does: it holds back the clean-up of the rows that beats and cursors update all the time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from typing import Any

import asyncpg
import msgspec

from tests.campaigns.chaos import campaign, told
from tests.campaigns.chaos.judge import NEEDLESS
from tests.campaigns.chaos.lab import Lab, Size
from tests.campaigns.chaos.network import enter_namespace
from warouter.store.database import open_session

_LOOP = "while True: pass"
_DEAD_ROWS = """
select relname, n_dead_tup from pg_stat_user_tables
 where relname in ('beat', 'send_cursor', 'event_cursor') order by relname"""
_MOVES = "select reason, count(*) as n from owner_log where at > to_timestamp($1) group by reason"


async def hold_snapshot(lab: Lab) -> asyncpg.Connection:
    """A transaction that has looked and stays open."""
    settings = lab.cluster.settings
    connection = await open_session(settings)
    await connection.execute("begin isolation level repeatable read")
    await connection.fetch("select count(*) from pg_class")
    return connection


async def calm(lab: Lab, seconds: float) -> dict[str, Any]:
    """What changed hands in so many seconds, and what the requests took early and late."""
    await asyncio.sleep(campaign.WARM_SECONDS)
    since = time.time()
    snapshot = await hold_snapshot(lab)
    await asyncio.sleep(seconds)
    dead = {row["relname"]: row["n_dead_tup"] for row in await lab.database.sql(_DEAD_ROWS)}
    await snapshot.close()
    moves = {row["reason"]: row["n"] for row in await lab.database.sql(_MOVES, since)}
    waits = [wait * 1000 for _, wait in lab.history.waits()]
    tenth = max(1, len(waits) // 10)
    return {
        "seconds": seconds,
        "takeovers": sum(n for reason, n in moves.items() if reason in NEEDLESS),
        "changes_of_owner": moves,
        "dead_rows": dead,
        "median_ms_first_tenth": round(sorted(waits[:tenth])[tenth // 2], 1),
        "median_ms_last_tenth": round(sorted(waits[-tenth:])[tenth // 2], 1),
    }


async def main(options: argparse.Namespace) -> int:
    lab = Lab(Size(rate=options.rate), seed=1)
    loops = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _LOOP)
        for _ in range(options.busy)
    ]
    try:
        await lab.start()
        found = await calm(lab, options.minutes * 60)
        outcome = await campaign.run(lab, [])
        errors = Counter(status for _, status, _ in lab.history.errors)
        found |= {"busy_loops": options.busy, "messages": lab.history.accepted}
        found |= {"api_errors": dict(errors), "wrong": outcome.wrong}
        print(msgspec.json.encode(found).decode())
        return 1 if outcome.wrong or found["takeovers"] else 0
    finally:
        for loop in loops:
            loop.kill()
        await lab.stop(keep=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.chaos.calm", description=__doc__
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--busy", type=int, default=4, help="busy loops beside the cluster")
    parser.add_argument("--rate", type=float, default=300.0, help="messages a second")
    given = parser.parse_args()
    enter_namespace()
    sys.exit(told.run(main(given)))
