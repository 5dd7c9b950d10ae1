"""``warouter sizing``: machines, processes and connections for a rate, beside the original's."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

import click
import msgspec

from warouter._hash import SHARD_COUNTS
from warouter.errors import CommandError
from warouter.sizing.capacity import LOAD, UpstreamCapacity
from warouter.sizing.cloud import CLOUD, CloudCapacity, CloudNeeds, cloud_plan
from warouter.sizing.costs import CLOUD_COSTS, COSTS
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
_CLOUD_LIMITS = _LIMITS | {"upstream_rate": "connections of the owners to the Graph API"}


@click.command()
@click.option("--rate", type=float, required=True, help="Messages/s at the busiest time.")
@click.option(
    "--upstream",
    type=click.Choice(["simulator", "cloud"]),
    envvar="WAROUTER_UPSTREAM",
    show_envvar=True,
    default="simulator",
    show_default=True,
    help="Meta's Cloud API (cloud), or what speaks the simulator's own protocol.",
)
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
    help="Messages/s that the upstream takes on one connection; each shard has one. Not for the"
    " Cloud API.",
)
@click.option(
    "--upstream-ms",
    type=float,
    show_default=f"0; {CLOUD.answer_ms:g} for the Cloud API",
    help="Until the upstream answers a send; a slot has 64 messages out at once.",
)
@click.option(
    "--cloud-connections",
    type=click.IntRange(1, 4096),
    envvar="WAROUTER_CLOUD_CONNECTIONS",
    show_envvar=True,
    default=CLOUD.connections,
    show_default=True,
    help="The most connections of a coreapp to the Graph API.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def sizing(
    rate: float,
    upstream: str,
    shards: str | None,
    spares: int,
    cores: int,
    upstream_rate: float | None,
    upstream_ms: float | None,
    cloud_connections: int,
    as_json: bool,
) -> None:
    """Show what a cluster needs for a rate, and what the original product needed for it.

    Computed from what a message was measured to cost (docs/scaling.md), with texts and all three
    statuses called back; nothing is asked of any cluster.
    """
    count = None if shards is None else int(shards)
    needs: CloudNeeds | None = None
    if upstream == "cloud":
        cloud = _cloud(upstream_rate, upstream_ms, cloud_connections)
        found, needs = cloud_plan(rate, count, spares=spares, cores=cores, capacity=cloud)
    else:
        capacity = UpstreamCapacity(
            inf if upstream_rate is None else upstream_rate, upstream_ms or 0.0
        )
        found = plan(rate, count, spares=spares, cores=cores, upstream=capacity)
    original = original_for(rate)
    if as_json:
        click.echo(msgspec.json.encode(_report(found, needs, original)))
        return
    for line in _lines(found, needs, original):
        click.echo(line)


def _cloud(rate: float | None, answer_ms: float | None, connections: int) -> CloudCapacity:
    if rate is not None:
        raise CommandError(
            "--upstream-rate is not for the Cloud API, where a connection carries one message at a"
            " time: give --upstream-ms and --cloud-connections."
        )
    return CloudCapacity(CLOUD.answer_ms if answer_ms is None else answer_ms, connections)


def _report(found: Plan, needs: CloudNeeds | None, original: Original) -> dict[str, Any]:
    """The output of --json; ``cloud`` is null without the Cloud API."""
    return {
        "plan": found,
        "coreapps": found.coreapps,
        "connections": sum(found.connections.values()),
        "limits_first": found.first,
        "cloud": needs,
        "original": original,
        "original_machines": original.machines,
        "comparison": NOT_ALIKE,
        "costs": CLOUD_COSTS if needs else COSTS,
    }


def _lines(found: Plan, needs: CloudNeeds | None, original: Original) -> Iterator[str]:
    rows = [*_rows(found, original), *(_cloud_rows(needs) if needs else ())]
    yield f"{'messages/s':<22}{found.rate:<{_WIDTH},.0f}{_rate(found, original)}"
    for name, ours, theirs in rows:
        yield f"{name:<22}{ours:<{_WIDTH}}{theirs}".rstrip()
    yield ""
    yield f"What limits first, in messages/s, with every core {LOAD:.0%} busy:"
    names = _CLOUD_LIMITS if needs else _LIMITS
    for name, most in sorted(found.limits.items(), key=lambda item: item[1]):
        yield f"{most:>12,.0f}  {names[name]}"
    yield ""
    for warning in needs.warnings if needs else ():
        yield f"Warning: {warning}"
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


def _cloud_rows(needs: CloudNeeds) -> Iterator[tuple[str, str, str]]:
    """Rows below those of any cluster; the original had nothing like it."""
    most = f"{needs.connections_each:,} of {needs.connections_most:,} an owner"
    yield "Graph connections", f"{needs.connections:,}: {most}", ""
    yield "their memory", f"{needs.memory_mib:,} MiB, in that of the processes", ""
    yield "webhooks from Meta", f"{needs.webhooks_per_s:,.0f}/s, a status each", ""


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"
