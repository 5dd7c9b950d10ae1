"""What a running cluster uses in a stretch of seconds, by kind of process."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

from bench import machine
from bench.e2e.site import PRODUCT, Found, Site

KINDS = (*PRODUCT, "postgres")  # together the product
_TRANSACTIONS = "select sum(xact_commit)::bigint from pg_stat_database"


def by_kind(named: Mapping[str, float]) -> dict[str, float]:
    """Sums over the processes of a kind, and over all of the ``product``."""
    found: Counter[str] = Counter()
    for name, value in named.items():
        found[name.partition("-")[0]] += value  # type: ignore[assignment]
    return {**found, "product": sum(found[kind] for kind in KINDS)}


async def window(here: Site, seconds: float) -> Found:
    """CPU in cores and wake-ups a second by kind, transactions a second, what others used.

    PostgreSQL's counts come up to a second late, at both ends.
    """
    before, began = await _look(here), time.monotonic()
    await asyncio.sleep(seconds)
    after, lasted = await _look(here), time.monotonic() - began

    def a_second(what: str) -> dict[str, float]:
        of, then = after[what], before[what]
        return by_kind({name: (of[name] - then[name]) / lasted for name in then})

    return {
        "seconds": lasted,
        "cores": a_second("cpu"),
        "wake_ups": a_second("wake_ups"),
        "transactions": (after["transactions"] - before["transactions"]) / lasted,
        "foreign_cores": max(0.0, after["foreign"] - before["foreign"]) / lasted,
    }


async def _look(here: Site) -> Found:
    transactions = await here.database.fetchval(_TRANSACTIONS)
    return {
        "transactions": transactions,
        "wake_ups": {name: machine.wake_ups(pid) for name, pid in here.pids().items()},
        "foreign": machine.foreign_seconds(),
        "cpu": here.cpu(),
    }
