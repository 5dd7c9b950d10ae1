"""``warouter sizing``: machines, processes and connections for a rate, beside the original's."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

import click
import msgspec

from warouter._hash import SHARD_COUNTS
from warouter.sizing.capacity import LOAD, UpstreamCapacity
from warouter.sizing.costs import COSTS
from warouter.sizing.original import NOT_ALIKE, Original, original_for
from warouter.sizing.plan import Plan, plan

_WIDTH = 32
_LIMITS = {
    "webapp_cpu": "CPU of the webapps",
    "coreapp_cpu": "CPU of the coreapps",
    "owner_commits": "commits of the owners, one after the other",
    "postgres_cpu": "CPU of PostgreSQL",
    "upstream_rate": "the upstream's rate a connection",
    "upstream_answers": "the upstream's answers, 64 waited for in each slot",
}


@click.command()
@click.option("--rate", type=float, required=True, help="Messages/s at the busiest time.")
@click.option(
    "--shards",
    type=click.Choice([str(n) for n in SHARD_COUNTS]),
    help="Number of shards; by default as few as carry the rate.",
)
@click.option("--spares", type=click.IntRange(1, 32), default=1, show_default=True)
@click.option(
    "--cores",
    type=click.IntRange(1, 256),
    default=2,
    show_default=True,
    help="Cores of each machine.",
)
@click.option(
    "--upstream-rate",
    type=float,
    help="Messages/s that the upstream takes on one connection; each shard has one.",
)
@click.option(
    "--upstream-ms",
    type=float,
    default=0.0,
    help="Until the upstream answers a send; a slot has 64 messages out at once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def sizing(
    rate: float,
    shards: str | None,
    spares: int,
    cores: int,
    upstream_rate: float | None,
    upstream_ms: float,
    as_json: bool,
) -> None:
    """Show what a cluster needs for a rate, and what the original product needed for it.

    Computed from what a message was measured to cost (docs/scaling.md), with texts and all three
    statuses called back; nothing is asked of any cluster.
    """
    upstream = UpstreamCapacity(inf if upstream_rate is None else upstream_rate, upstream_ms)
    found = plan(
        rate, None if shards is None else int(shards), spares=spares, cores=cores, upstream=upstream
    )
    original = original_for(rate)
    if as_json:
        click.echo(msgspec.json.encode(_report(found, original)))
        return
    for line in _lines(found, original):
        click.echo(line)


def _report(found: Plan, original: Original) -> dict[str, Any]:
    """The output of --json."""
    return {
        "plan": found,
        "coreapps": found.coreapps,
        "connections": sum(found.connections.values()),
        "limits_first": found.first,
        "original": original,
        "original_machines": original.machines,
        "comparison": NOT_ALIKE,
        "costs": COSTS,
    }


def _lines(found: Plan, original: Original) -> Iterator[str]:
    yield f"{'messages/s':<22}{found.rate:<{_WIDTH},.0f}{_rate(found, original)}"
    for name, ours, theirs in _rows(found, original):
        yield f"{name:<22}{ours:<{_WIDTH}}{theirs}".rstrip()
    yield ""
    yield f"What limits first, in messages/s, with every core {LOAD:.0%} busy:"
    for name, most in sorted(found.limits.items(), key=lambda item: item[1]):
        yield f"{most:>12,.0f}  {_LIMITS[name]}"
    yield ""
    yield f"The comparison is {NOT_ALIKE}."
    yield "Where the figures come from, and what is not in them: docs/scaling.md."


def _rate(found: Plan, original: Original) -> str:
    more = ", its greatest" if original.rate < found.rate else ""
    return f"the original at {original.rate}{more}"


def _rows(found: Plan, original: Original) -> Iterator[tuple[str, str, str]]:
    """Rows of label, warouter's value, and the original's."""
    older = f" ({original.older_machines} in an older template)"
    yield "machines", f"{found.machines} with {found.cores} cores", f"{original.machines}{older}"
    yield "webapps", f"{found.webapps}", f"{original.webapps}"
    yield "shards", f"{found.shards}", f"{original.shards}"
    yield (
        "coreapps",
        f"{found.shards} + {_count(found.spares, 'spare')}",
        f"{original.shards} + 1 spare",
    )
    yield "masters", f"{found.masters}", f"{original.masters}"
    theirs = f"about {original.connections:,}" if original.connections else "not published"
    yield "database connections", f"{sum(found.connections.values())}", theirs
    ours = (
        f"{found.rds_class} by connections" if found.rds_class else "none has so many connections"
    )
    yield "class of RDS", ours, original.database
    yield "PostgreSQL", f"{_count(found.postgres_cores, 'core')}, and a standby", ""
    yield "CPU of all processes", f"{found.cpu_cores:.2f} cores busy", ""
    yield "memory of these", f"{found.memory_mib:,} MiB", ""
    yield "WAL", f"{found.wal_gib_per_day:,.0f} GiB a day, {found.wal_mib_per_s:,.1f} MiB/s", ""
    yield "journals", f"{found.journal_gib_per_day:,.0f} GiB a day", ""


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"
