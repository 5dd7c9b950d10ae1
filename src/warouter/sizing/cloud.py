"""A cluster whose upstream is Meta's Cloud API: the plan, and what it needs of Meta. Pure.

An answer keeps a connection to the Graph API busy, and each status comes as a webhook. The plan is
that for an upstream which takes as many messages as an owner's connections do.
"""

from __future__ import annotations

from math import ceil, isfinite
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from warouter.errors import CommandError
from warouter.flow.share import HIGH, SPARE_CONNECTIONS, STANDARD, connections_for, outgoing
from warouter.sizing.capacity import UpstreamCapacity
from warouter.sizing.costs import CLOUD_COSTS, CloudCosts
from warouter.sizing.plan import Plan, plan

_KIB = 1 << 10  # in a MiB


class CloudCapacity(NamedTuple):
    """The capacity of the Graph API: ms until the answer to a message, connections of an owner."""

    answer_ms: float = 340.0  # the middle of the 80 to 600 ms that bench.cloud answers after
    connections: int = 512  # WAROUTER_CLOUD_CONNECTIONS

    @property
    def upstream(self) -> UpstreamCapacity:
        """The rate that one owner gets through its connections, the spare ones left out."""
        used = self.connections - SPARE_CONNECTIONS
        return UpstreamCapacity(used * 1000 / self.answer_ms, self.answer_ms)


CLOUD = CloudCapacity()


class CloudNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """The needs beside those of any cluster. ``memory_mib`` is in the plan's, too."""

    answer_ms: float
    connections: int  # to the Graph API, of all owners
    connections_each: int  # of an owner, while each has one shard
    connections_most: int  # that an owner may have
    memory_mib: int  # of these connections
    webhooks_per_s: float  # POSTs of Meta
    warnings: list[str]


def cloud_plan(
    rate: float,
    shards: int | None = None,
    *,
    spares: int = 1,
    cores: int = 2,
    capacity: CloudCapacity = CLOUD,
    costs: CloudCosts = CLOUD_COSTS,
) -> tuple[Plan, CloudNeeds]:
    """A plan for ``rate`` messages/s, as ``plan`` makes it, and what Meta sees of the cluster.

    CommandError as there, and where no connection would be left to send by.
    """
    _check(capacity)
    found = plan(rate, shards, spares=spares, cores=cores, upstream=capacity.upstream, costs=costs)
    wanted = connections_for(rate / found.shards, capacity.answer_ms / 1000)
    each = min(wanted, capacity.connections)
    memory_mib = ceil(found.shards * each * costs.graph_kib / _KIB)
    return replace(found, memory_mib=found.memory_mib + memory_mib), CloudNeeds(
        answer_ms=capacity.answer_ms,
        connections=found.shards * each,
        connections_each=each,
        connections_most=capacity.connections,
        memory_mib=memory_mib,
        webhooks_per_s=rate * costs.webhooks,
        warnings=_warnings(rate),
    )


def _warnings(rate: float) -> list[str]:
    """A sentence if a number of the lowest level may not send so much."""
    most = outgoing(HIGH, 0.0)
    if rate > most:
        return [
            f"{rate:,.10g} messages/s are more than one number sends: the highest level, HIGH, is"
            f" {HIGH:,g} in and out together, of which WAROUTER_CLOUD_RATE=auto sends {most:g}."
            " Split the customers over several numbers, each with a cluster of its own."
        ]
    if rate > outgoing(STANDARD, 0.0):
        return [
            f"The number must have Meta's level HIGH ({HIGH:,g} messages/s, in and out together):"
            f" of the {STANDARD:g} of level STANDARD, which each number begins with,"
            f" WAROUTER_CLOUD_RATE=auto sends {outgoing(STANDARD, 0.0):g}."
        ]
    return []


def _check(capacity: CloudCapacity) -> None:
    if not (isfinite(capacity.answer_ms) and capacity.answer_ms > 0):
        raise CommandError("--upstream-ms must be greater than 0 with --upstream cloud.")
    if capacity.connections <= SPARE_CONNECTIONS:
        raise CommandError(f"--cloud-connections must be greater than {SPARE_CONNECTIONS}.")
