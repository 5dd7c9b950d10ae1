"""The cost of a message: CPU, rows, memory and disk, as measured. Pure."""

from __future__ import annotations

import msgspec

_US = 1_000_000


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


class CloudCosts(Costs, frozen=True, kw_only=True):
    """Costs by the Cloud API: the request and its answer as well, and a webhook for each status."""

    # `python -m bench.report` prints them, of `make bench-cloud` on d4f163b9: 75 and 900/s on 2
    # shards, and as fast as two cores go, which the simulator and the load shared.
    webapp: Cpu = Cpu(full_us=262.6, thin_us=531.0, thin_cores=0.05)
    coreapp: Cpu = Cpu(full_us=250.6, thin_us=897.0, thin_cores=0.149)
    postgres: Cpu = Cpu(full_us=99.2, thin_us=849.0, thin_cores=0.117)
    # The message and its request, the end of that and the wamid, and three events, each of which
    # may have to be taken out of the inbox: counted, not measured.
    rows: int = 10
    # The most connections that such clusters had.
    webapp_connections: int = 4
    coreapp_connections: int = 6
    # `python -m bench.cloud --only growth`, 1,000,000 life cycles behind it: 4,459 bytes of WAL and
    # 2,368 in tables and indexes each. As fast as an earlier build went, many statuses by way of
    # the inbox, it was 6,613.
    wal_bytes: float = 4_500.0
    journal_bytes: float = 2_400.0
    webhooks: int = 3  # POSTs a message: one status each, as Meta is likely to send them
    # `python -m bench.cloud --only connections`: 40.9 KiB of each of 512.
    graph_kib: float = 42.0


COSTS = Costs()
CLOUD_COSTS = CloudCosts()


def busy(cpu: Cpu, rate: float, processes: int) -> float:
    """Number of cores that ``rate`` messages/s keep busy in this many processes."""
    thin = min(rate * cpu.thin_us / _US, processes * cpu.thin_cores)
    return rate * cpu.full_us / _US + thin


def most(cpu: Cpu, cores: float, processes: int) -> float:
    """The rate in messages/s that keeps this many cores busy: the inverse of ``busy``."""
    thin = cores * _US / (cpu.full_us + cpu.thin_us)
    full = (cores - processes * cpu.thin_cores) * _US / cpu.full_us
    return max(thin, full)
