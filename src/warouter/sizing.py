"""How large a cluster must be for a rate, by what a message was measured to cost. Pure.

A plan carries its rate with every process and every core at 70 % of what it can do, and still when
one machine of three is gone: the coreapps that are left own its shards as well.

``docs/scaling.md`` shows the costs in a table; ``docs/benchmarks.md`` has the runs. Whoever
measures anew changes them here, and a test says which lines of ``docs/scaling.md`` have to follow.

What the original product required is from its document on Multiconnect (database connections,
classes of RDS, older machine limits) and from its deployment templates v2.45.2 for AWS (all else).
It supported up to 250 messages/s.
"""

from __future__ import annotations

from math import ceil, inf, isfinite
from typing import NamedTuple

import msgspec

from warouter._hash import SHARD_COUNTS, SLOTS
from warouter.errors import CommandError
from warouter.flow.lanes import WINDOW

LOAD = 0.7  # of a process or a core, so that bursts and a restart find room: chosen, not measured
MACHINES = 3  # the fewest that keep two when one is gone
WEBAPPS = 2  # the fewest behind a load balancer
MASTERS = 3  # enough for any cluster

_US, _DAY = 1_000_000, 86_400
_MIB, _GIB = 1 << 20, 1 << 30

# It encrypted for each device and sent over the internet; here the other side is a simulator.
NOT_ALIKE = "not like for like: the original encrypts and crosses the internet"


class Cpu(msgspec.Struct, frozen=True, kw_only=True):
    """CPU time of one process: ``full_us`` for a message in
    full batches, and the extra at low rates.

    That more is ``thin_us`` a message, up to ``thin_cores`` of a core: beyond, batches grow.
    """

    full_us: float
    thin_us: float
    thin_cores: float


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Costs over a message's whole life: 201, sent, delivered, read, and a callback for each.

    Memory in MiB a process, bytes a message. PostgreSQL's CPU is counted for each owner.
    """

    # full_us: `make bench-e2e`, 14,223 life cycles/s on 2 shards took 18.0 us of the webapp, 54.8
    # of both coreapps and 38.0 of PostgreSQL, less the thin part. thin: life cycles at 480/s over
    # 32 shards (2.3 ms in coreapps, 1.0 ms in PostgreSQL, 0.2 ms in the webapp), 1,570/s over 8
    # and 3,050/s over 2, all that two shared cores gave before the work on speed.
    webapp: Cpu = Cpu(full_us=13.0, thin_us=200.0, thin_cores=0.07)
    coreapp: Cpu = Cpu(full_us=41.0, thin_us=2_300.0, thin_cores=0.10)
    postgres: Cpu = Cpu(full_us=32.5, thin_us=1_000.0, thin_cores=0.04)
    # `make bench`, test_append: batches of 256 through one connection, with fsync. A life cycle is
    # a message and three events.
    writer_rows_per_s: float = 165_781.0
    rows: int = 4
    # `make bench-e2e`, five minutes of life cycles: connections of a process under load; what is
    # planned of resident memory at rest and at full rate (55 and 58 MiB were the most).
    webapp_connections: int = 3
    coreapp_connections: int = 3
    master_connections: int = 3
    idle_mib: float = 60.0
    busy_mib: float = 100.0
    # Life cycles of texts as in `make bench-e2e`, 48,763 at 6,087/s: 2,816 bytes of WAL and 2,157
    # in tables and indexes each; 4,999 at 250/s: 3,190 and 2,197.
    wal_bytes: float = 2_800.0
    journal_bytes: float = 2_200.0


COSTS = Costs()


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """A row of its tables. ``machines`` has one coreapp each; None is not published."""

    rate: int
    shards: int
    coreapps: int
    webapps: int
    database: str
    masters: int = 2
    older_machines: int | None = None  # the most of the document's older template
    connections: int | None = None

    @property
    def machines(self) -> int:
        return self.coreapps


# messages/s, shards, webapps, class of the database
_TEMPLATE = (
    (10, 2, 2, "db.r5.large"),
    (20, 2, 2, "db.r5.xlarge"),
    (40, 4, 2, "db.r5.xlarge"),
    (80, 8, 2, "db.r5.2xlarge"),
    (120, 16, 2, "db.r5.4xlarge"),
    (160, 16, 2, "db.r5.4xlarge"),
    (200, 32, 2, "db.r5.4xlarge"),
    (250, 32, 3, "db.r5.8xlarge"),
)
_OLDER_MACHINES = {2: 3, 4: 4, 8: 5, 16: 8, 32: 15}
_CONNECTIONS = {8: 700, 32: 1_700}  # at 100 and 250 messages/s

ORIGINALS = tuple(
    Original(
        rate=rate,
        shards=shards,
        coreapps=shards + 1,
        webapps=webapps,
        database=database,
        older_machines=_OLDER_MACHINES[shards],
        connections=_CONNECTIONS.get(shards),
    )
    for rate, shards, webapps, database in _TEMPLATE
)

# Class of RDS and the most connections that it takes, by the document.
RDS = (
    *(("db.t2.medium", 318), ("db.t2.large", 636), ("db.t2.xlarge", 1272)),
    *(("db.t2.2xlarge", 2543), ("db.r4.large", 1212), ("db.r4.xlarge", 2424)),
    *(("db.r4.2xlarge", 4848), ("db.r4.4xlarge", 9696), ("db.r4.10xlarge", 19391)),
    *(("db.r4.16xlarge", 38783), ("db.m4.large", 636), ("db.m4.xlarge", 1272)),
    *(("db.m4.2xlarge", 2543), ("db.m4.4xlarge", 5086), ("db.m4.10xlarge", 12716)),
    *(("db.m4.16xlarge", 20345), ("db.m3.medium", 298), ("db.m3.large", 596)),
    *(("db.m3.xlarge", 1192), ("db.m3.2xlarge", 2384)),
)


def original_for(rate: float) -> Original:
    """The lowest supported rate that is enough, else the highest one."""
    return next((one for one in ORIGINALS if one.rate >= rate), ORIGINALS[-1])


def rds_class(connections: int) -> str | None:
    """The class with the fewest connections that are enough; None if there is none."""
    enough = [(most, name) for name, most in RDS if most >= connections]
    return min(enough)[1] if enough else None


class UpstreamCapacity(NamedTuple):
    """The capacity of the WhatsApp side: messages/s on a connection, ms until a send's answer."""

    rate: float = inf
    answer_ms: float = 0.0


UNLIMITED = UpstreamCapacity()


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


def windows(upstream: UpstreamCapacity) -> float:
    """The rate in messages/s at which the windows of all slots are full, however many shards."""
    return SLOTS * WINDOW * 1000 / upstream.answer_ms if upstream.answer_ms else inf


def carried(shards: int, spares: int, upstream: UpstreamCapacity, costs: Costs = COSTS) -> float:
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
