"""What a running cluster uses while something is done, by kind of process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping

from bench import machine
from bench.e2e.site import Found, Site

BESIDE = ("simulator", "load")  # all else is the product
_TRANSACTIONS = "select sum(xact_commit)::bigint from pg_stat_database"


def by_kind(named: Mapping[str, float]) -> dict[str, float]:
    """Sums over the processes of a kind, and over all of the ``product``."""
    found: dict[str, float] = {}
    for name, value in named.items():
        kind = name.partition("-")[0]
        found[kind] = found.get(kind, 0.0) + value
    return {**found, "product": sum(n for kind, n in found.items() if kind not in BESIDE)}


async def used(here: Site, doing: Awaitable[object]) -> Found:
    """CPU seconds and wake-ups by kind, transactions, and the cores that others used meanwhile.

    ``seconds`` is how long it took. PostgreSQL's counts come up to a second late, at both ends.
    """
    before, began = await _look(here), time.monotonic()
    await doing
    after, lasted = await _look(here), time.monotonic() - began
    return {
        "seconds": lasted,
        "cpu": by_kind(_more(before["cpu"], after["cpu"])),
        "wake_ups": by_kind(_more(before["wake_ups"], after["wake_ups"])),
        "transactions": after["transactions"] - before["transactions"],
        "foreign_cores": max(0.0, after["foreign"] - before["foreign"]) / lasted,
    }


def _more(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in before}


async def _look(here: Site) -> Found:
    transactions = await here.database.fetchval(_TRANSACTIONS)
    return {
        "transactions": transactions,
        "wake_ups": {name: machine.wake_ups(pid) for name, pid in here.pids().items()},
        "foreign": machine.foreign_seconds(),
        "cpu": here.cpu(),
    }
