"""A cluster for a rate: machines, processes, connections, memory and disk. Pure."""

from __future__ import annotations

from math import ceil, inf, isfinite

import msgspec

from warouter._hash import SHARD_COUNTS, SLOTS
from warouter.errors import CommandError
from warouter.flow.lanes import WINDOW
from warouter.sizing.capacity import (
    LOAD,
    MACHINES,
    UNLIMITED,
    UpstreamCapacity,
    carried,
    left,
    one_coreapp,
    one_webapp,
    one_writer,
    windows,
)
from warouter.sizing.costs import COSTS, Costs, busy, most
from warouter.sizing.original import rds_class

WEBAPPS = 2  # the fewest behind a load balancer
MASTERS = 3  # enough for any cluster

_DAY = 86_400  # seconds
_MIB, _GIB = 1 << 20, 1 << 30


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A planned cluster. ``limits`` are the messages/s that each of its parts can carry."""

    rate: float
    shards: int
    spares: int
    webapps: int
    masters: int
    machines: int
    cores: int  # of each machine
    cpu_cores: float  # cores that all processes together keep busy
    postgres_cores: int
    connections: dict[str, int]
    memory_mib: int
    wal_mib_per_s: float
    wal_gib_per_day: float
    journal_gib_per_day: float
    limits: dict[str, float]
    rds_class: str | None

    @property
    def coreapps(self) -> int:
        return self.shards + self.spares

    @property
    def first(self) -> str:
        """The part that limits first."""
        return min(self.limits, key=lambda name: self.limits[name])


def plan(
    rate: float,
    shards: int | None = None,
    *,
    spares: int = 1,
    cores: int = 2,
    upstream: UpstreamCapacity = UNLIMITED,
    costs: Costs = COSTS,
) -> Plan:
    """A plan for ``rate`` messages/s; without ``shards``, as few as carry it.

    CommandError when the numbers make no sense, or nothing of one cluster carries the rate.
    """
    _check(rate, shards, spares, cores, upstream)
    shards = _shards(rate, shards, spares, upstream, costs)
    webapps = _webapps(rate, costs)
    cpu_cores = busy(costs.webapp, rate, webapps) + busy(costs.coreapp, rate, shards)
    postgres_cores = ceil(busy(costs.postgres, rate, shards) / LOAD)
    connections = {
        "webapps": webapps * costs.webapp_connections,
        "coreapps": (shards + spares) * costs.coreapp_connections,
        "masters": MASTERS * costs.master_connections,
    }
    return Plan(
        rate=rate,
        shards=shards,
        spares=spares,
        webapps=webapps,
        masters=MASTERS,
        machines=max(MACHINES, ceil(cpu_cores / LOAD / cores) + 1),
        cores=cores,
        cpu_cores=cpu_cores,
        postgres_cores=postgres_cores,
        connections=connections,
        memory_mib=ceil((webapps + shards) * costs.busy_mib + (spares + MASTERS) * costs.idle_mib),
        wal_mib_per_s=rate * costs.wal_bytes / _MIB,
        wal_gib_per_day=rate * costs.wal_bytes * _DAY / _GIB,
        journal_gib_per_day=rate * costs.journal_bytes * _DAY / _GIB,
        limits=_limits(webapps, shards, postgres_cores, upstream, costs),
        rds_class=rds_class(sum(connections.values())),
    )


def _webapps(rate: float, costs: Costs) -> int:
    needed = ceil(rate / one_webapp(costs))
    webapps = max(WEBAPPS, needed)
    while left(webapps) < needed:
        webapps += 1
    return webapps


def _shards(
    rate: float, shards: int | None, spares: int, upstream: UpstreamCapacity, costs: Costs
) -> int:
    if windows(upstream) < rate:
        raise CommandError(
            f"No cluster sends {rate:,.0f} messages/s to an upstream that answers after"
            f" {upstream.answer_ms:g} ms: {SLOTS} slots with {WINDOW} messages out at once each"
            f" are {windows(upstream):,.0f}/s."
        )
    enough = [n for n in SHARD_COUNTS if carried(n, spares, upstream, costs) >= rate]
    if shards is None and enough:
        return enough[0]
    if shards in enough:
        return shards
    asked = shards or SHARD_COUNTS[-1]
    carries = carried(asked, spares, upstream, costs)
    raise CommandError(
        f"{asked} shards with --spares {spares} carry {carries:,.0f} messages/s when a machine is"
        f" gone, not {rate:,.0f}. {_advice(rate, asked, enough, upstream, costs)}"
    )


def _advice(
    rate: float, shards: int, enough: list[int], upstream: UpstreamCapacity, costs: Costs
) -> str:
    if enough:
        return f"Ask for {enough[0]} shards."
    spares = shards // 2 + 1  # so many that nobody ever owns two
    if carried(shards, spares, upstream, costs) >= rate:
        return f"Plan --spares {spares}."
    return "One cluster serves one number: split the customers over several."


def _limits(
    webapps: int, shards: int, postgres_cores: int, upstream: UpstreamCapacity, costs: Costs
) -> dict[str, float]:
    found = {
        "webapp_cpu": webapps * one_webapp(costs),
        "coreapp_cpu": shards * one_coreapp(costs),
        "owner_commits": shards * one_writer(costs),
        "postgres_cpu": most(costs.postgres, LOAD * postgres_cores, shards),
        "upstream_rate": shards * upstream.rate,
        "upstream_answers": windows(upstream),
    }
    return {name: limit for name, limit in found.items() if limit != inf}


def _check(
    rate: float, shards: int | None, spares: int, cores: int, upstream: UpstreamCapacity
) -> None:
    if not (isfinite(rate) and rate > 0):
        raise CommandError(f"--rate must be a finite number greater than 0, not {rate:g}.")
    if shards is not None and shards not in SHARD_COUNTS:
        raise CommandError(f"--shards must be 1, 2, 4, 8, 16 or 32, not {shards}.")
    if spares < 1 or cores < 1:
        raise CommandError("--spares and --cores must be at least 1.")
    if not upstream.rate > 0:
        raise CommandError("--upstream-rate must be greater than 0.")
    if not (isfinite(upstream.answer_ms) and upstream.answer_ms >= 0):
        raise CommandError("--upstream-ms must be 0 or more.")
