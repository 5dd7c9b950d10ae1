"""Plans a cluster for a rate from the measured costs of a message. Pure.

A plan carries its rate with every process and every core at 70 % of what it can do, and still when
one machine of three is gone: the coreapps that are left own its shards as well.
"""

from __future__ import annotations

from math import ceil, inf, isfinite
from typing import NamedTuple

import msgspec

from warouter._hash import SHARD_COUNTS, SLOTS
from warouter.errors import CommandError
from warouter.flow.lanes import WINDOW
from warouter.sizing.costs import COSTS, Costs, Cpu
from warouter.sizing.original import rds_class

LOAD = 0.7  # of a process or a core, so that bursts and a restart find room: chosen, not measured
MACHINES = 3  # the fewest that keep two when one is gone
WEBAPPS = 2  # the fewest behind a load balancer
MASTERS = 3  # enough for any cluster

_US, _DAY = 1_000_000, 86_400
_MIB, _GIB = 1 << 20, 1 << 30


class Upstream(NamedTuple):
    """The capacity of the WhatsApp side: messages/s on a
    connection, ms until a send is answered.
    """

    rate: float = inf
    answer_ms: float = 0.0


UNLIMITED = Upstream()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A planned cluster. ``limits`` are the messages/s that each of its parts can carry."""

    rate: float
    shards: int
    spares: int
    webapps: int
    masters: int
    machines: int
    cores: int  # of each machine
    cpu_cores: float  # that all processes together keep busy
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
    upstream: Upstream = UNLIMITED,
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


def busy(cpu: Cpu, rate: float, processes: int) -> float:
    """Number of cores that ``rate`` messages/s keep busy in this many processes."""
    thin = min(rate * cpu.thin_us / _US, processes * cpu.thin_cores)
    return rate * cpu.full_us / _US + thin


def most(cpu: Cpu, cores: float, processes: int) -> float:
    """The rate in messages/s that keeps this many cores busy: the inverse of ``busy``."""
    thin = cores * _US / (cpu.full_us + cpu.thin_us)
    full = (cores - processes * cpu.thin_cores) * _US / cpu.full_us
    return max(thin, full)


def one_webapp(costs: Costs = COSTS) -> float:
    """The planned rate of one webapp in messages/s."""
    return most(costs.webapp, LOAD, 1)


def one_coreapp(costs: Costs = COSTS) -> float:
    """The planned rate of one coreapp's core in messages/s."""
    return most(costs.coreapp, LOAD, 1)


def one_writer(costs: Costs = COSTS) -> float:
    """The planned rate of one coreapp's commits, which are sequential, in messages/s."""
    return LOAD * costs.writer_rows_per_s / costs.rows


def windows(upstream: Upstream) -> float:
    """The rate in messages/s at which the windows of all slots
    are full, whatever the number of shards.
    """
    return SLOTS * WINDOW * 1000 / upstream.answer_ms if upstream.answer_ms else inf


def carried(shards: int, spares: int, upstream: Upstream, costs: Costs = COSTS) -> float:
    """The rate in messages/s that this many coreapps carry even while a third of them is gone."""
    left = _left(shards + spares)
    owned = ceil(shards / left)  # by the one that owns most
    one = min(one_coreapp(costs), one_writer(costs), upstream.rate)
    return min(one * shards / owned, windows(upstream))


def _left(processes: int) -> int:
    """Number that stays alive when one of three machines is gone, the one with most of them."""
    return processes - ceil(processes / MACHINES)


def _webapps(rate: float, costs: Costs) -> int:
    needed = ceil(rate / one_webapp(costs))
    webapps = max(WEBAPPS, needed)
    while _left(webapps) < needed:
        webapps += 1
    return webapps


def _shards(rate: float, shards: int | None, spares: int, upstream: Upstream, costs: Costs) -> int:
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


def _advice(rate: float, shards: int, enough: list[int], upstream: Upstream, costs: Costs) -> str:
    if enough:
        return f"Ask for {enough[0]} shards."
    spares = shards // 2 + 1  # then nobody ever owns two
    if carried(shards, spares, upstream, costs) >= rate:
        return f"Plan --spares {spares}."
    return "One cluster serves one number: split the customers over several."


def _limits(
    webapps: int, shards: int, postgres_cores: int, upstream: Upstream, costs: Costs
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


def _check(rate: float, shards: int | None, spares: int, cores: int, upstream: Upstream) -> None:
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
