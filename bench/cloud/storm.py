"""An owner is killed every 20 s, and of each fiftieth request the answer is lost.

Beside it, in the same minutes and under the same faults, the usual small proxy
(``bench.cloud.shim``). Its process is killed in the same moments.

A message is *lost* that was asked for and never reached the other side, *twice* one that reached it
twice. What is in doubt at a kill, and has evidence within 3 s, waits for that; what is not in doubt
waits for the new owner only.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import asyncpg

from bench.cloud.beside import Beside
from bench.cloud.extent import Extent
from bench.cloud.site import (
    LOAD_CONNECTIONS,
    below,
    cloud_site,
    now,
    owners,
    requests,
    spread,
    warm,
)
from bench.e2e.site import Found, Site, say
from tests.campaigns.chaos.audit import watch_doubts
from tests.campaigns.chaos.doors.doubts import Doubt, waits
from tests.campaigns.chaos.doors.requests import Request
from warouter._hash import slot_of
from warouter.message_id import text_of

OWNERS = 2
LEVEL, RATE = 80, 75.0
SECONDS = 600.0
KILL_EVERY_SECONDS = 20.0
STOOD_SECONDS = 1.0  # what was asked for so soon after a kill may have waited for a new owner
# A status of each message comes within 3 s, one of three mostly after half a second.
FAULTS = {
    "level": LEVEL,
    "drop_after": 0.02,
    "sent_ms": 500,
    "delivered_ms": 1000,
    "read_ms": 1500,
    "straggle": 0.3,
    "straggle_ms": 1500,
}
_DOUBTS = """
select extract(epoch from at)::float8 as wall, id, coalesce(cause, '') as cause, was, became
  from doubt_log order by at"""
_IN_DOUBT = 2  # of send_issue.state


class Kill(NamedTuple):
    """The death of an owner: when (monotonic s), and which slots it had."""

    at: float
    slots: frozenset[int]


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """Of both sides, and what was wrong with warouter's."""
    async with (
        cloud_site(folder, OWNERS, FAULTS) as here,
        Beside.running(below(folder, "beside"), FAULTS) as beside,
    ):
        await watch_doubts(here.database)
        await warm(here, LEVEL)
        since, before = now(), (await beside.record())["unique"]
        seconds = extent.lasts(SECONDS)
        order = here.order(LOAD_CONNECTIONS, seconds, per_second=RATE, times=True, asked=True)
        storming = asyncio.create_task(storm(here, seconds, KILL_EVERY_SECONDS, beside.die))
        found, theirs = await asyncio.gather(here.measured(order), beside.run(order))
        kills = await storming
        figures: Found = {
            "storm": await _ours(here, found, kills, since),
            "shim": _theirs(theirs, await beside.record(), before),
            "foreign_cores": {"storm": round(found["foreign_cores"], 2)},
        }
        say(f"  {figures}")
        wrong = await here.check("storm")
        if twice := figures["storm"]["twice"]:
            wrong.append(f"storm: {twice} were taken twice")
    return figures, wrong


async def _ours(here: Site, found: Found, kills: list[Kill], since: float) -> Found:
    whole, record = await requests(here, since), await here.simulator("GET", "record")
    doubts = [dict(row) for row in await here.database.fetch(_DOUBTS)]
    asked, ids = here.accepted + here.unknown, await doubted(here.database)
    return {
        **_judged(asked, record, found),
        "lost": asked - record["unique"],
        "kills": len(kills),
        "failover_ms": spread(stood(whole.requests, found["asked"], kills, ids)),
        "doubts": len(ids),
        "doubt_s": spread(_waits(doubts), unit=1.0),
    }


async def doubted(database: asyncpg.Connection) -> set[str]:
    """The ids of the messages that were in doubt at any time."""
    return {text_of(row["id"]) for row in await database.fetch("select id from doubt_log")}


def _theirs(found: Found, record: Found, before: int) -> Found:
    asked = int(sum(found["statuses"].values()) + found["lost"])  # whatever became of them
    return {
        **_judged(asked, record, found),
        "lost": asked - (record["unique"] - before),
        "unanswered": found["lost"],
    }


def _judged(asked: int, record: Found, found: Found) -> Found:
    return {
        "asked": asked,
        "twice": record["repeats"],
        "inverted": record["inversions"],
        "accepted_ms": {p: round(found[f"{p}_ms"], 2) for p in ("p50", "p99", "most")},
    }


async def _nobody_else() -> None:
    """Only an owner is killed."""


async def storm(
    here: Site, seconds: float, every: float, also: Callable[[], Awaitable[None]] = _nobody_else
) -> list[Kill]:
    """Kill an owner ``every`` so many seconds until the load is all but over, and call ``also``."""
    random, kills = Random(1), list[Kill]()
    began, pause = now(), min(every, seconds / 3)
    for n in range(1, int(seconds / pause)):
        await asyncio.sleep(began + n * pause - now())
        alive = await owners(here)
        victim = random.choice(sorted(alive))
        kills.append(Kill(now(), frozenset(alive[victim])))
        os.kill(victim, signal.SIGKILL)
        await also()
    return kills


def stood(
    requests: Sequence[Request],
    asked: Mapping[str, float],
    kills: Sequence[Kill],
    doubted: set[str],
) -> list[float]:
    """For each kill the longest that a message waited which found no owner, or one that died.

    Recipients who have a message in doubt are left out: what they wait for is evidence.
    """
    waiting = {request.recipient for request in requests if request.id in doubted}
    calm = [r for r in requests if r.attempt == 1 and r.recipient not in waiting and r.id in asked]
    longest = []
    for kill in kills:
        waits = [
            request.begun - max(asked[request.id], kill.at)
            for request in calm
            if asked[request.id] < kill.at + STOOD_SECONDS
            and request.begun > kill.at
            and slot_of(request.recipient) in kill.slots
        ]
        longest += [max(waits)] if waits else []
    return longest


def _waits(rows: list[Found]) -> list[float]:
    """Of each message in doubt for which there was evidence, until it was no more."""
    begun = [_doubt(row) for row in rows if row["became"] == _IN_DOUBT]
    settled = [_doubt(row) for row in rows if row["was"] == _IN_DOUBT and row["became"] is None]
    return waits(begun, settled)


def _doubt(row: Found) -> Doubt:
    return Doubt(row["wall"], text_of(row["id"]), row["cause"])
