"""GET /v1/support: build, host and configuration of each node for
the analysis of a problem. No secrets, for administrators only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.route import Access, Route
from warouter.http.envelope import success
from warouter.store.reports import Report
from warouter.store.views.facts import ClusterFacts

# Builds of the product end at this time, and clients warn before; ours never ends: the last second
# that fits into 32 bits.
NEVER = 2_147_483_647
CONTROL_SHARD = [-1, -1]
# One schema holds what the product kept in seven databases.
STORES = ("axolotl", "callback", "cluster", "config", "contact", "jobqueue", "message")


class Identity(msgspec.Struct):
    """Figures of the end-to-end encryption, which belong to the
    upstream: 0 if it does not report them.
    """

    identity_timestamp: int
    registration_id: int


class NodeSupport(msgspec.Struct):
    """One node, in bytes and seconds since 1970; ``schema`` is one version for all stores."""

    context: str
    role: str
    shards: list[list[int]]
    db_engine: str
    db_info: list[str]
    debug_info: str
    description: str
    device_iso8601: str
    e2e: Identity
    env: list[str]
    expire_timestamp: int
    free_space_data: int
    free_space_logs: int
    free_space_media_incoming: int
    free_space_media_outgoing: int
    lc: str
    lg: str
    multi_connect: bool
    os_name: str
    os_version: str
    schema: dict[str, int]
    socket_conn: str


class ClusterSupport(msgspec.Struct):
    """Nodes by name, with Multiconnect."""

    support: dict[str, NodeSupport]


class Support(msgspec.Struct):
    """The one connected node, without Multiconnect."""

    support: NodeSupport


async def support(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """All masters and coreapps as of their last reports."""
    facts = await context.operations.facts(caller.number)
    reports = [r for r in await context.operations.reports() if r.role != "webapp"]
    if context.config.multiconnect:
        return success({"support": {r.node: node_support(r, facts) for r in reports}})
    shown = _single(reports, facts)
    return success({"support": node_support(shown, facts) if shown is not None else {}})


def node_support(report: Report, facts: ClusterFacts) -> NodeSupport:
    """The shown facts of a node, from its report and the database."""
    said: dict[str, Any] = report.body.facts
    free = int(said.get("free_space", 0))
    return NodeSupport(
        context=report.node,
        role=_role(report, facts),
        shards=_shards(report, facts),
        db_engine="PGSQL",
        db_info=[
            f"PostgreSQL {facts.server_version}",
            f"database {facts.database}",
            f"schema {facts.schema}",
        ],
        debug_info=facts.number or "unregistered",
        description=str(said.get("description", "")),
        device_iso8601=str(said.get("device_iso8601", "")),
        e2e=Identity(facts.registered_at, 0),
        env=[str(line) for line in said.get("env", [])],
        expire_timestamp=NEVER,
        free_space_data=free,
        free_space_logs=free,
        free_space_media_incoming=free,
        free_space_media_outgoing=free,
        lc="US",
        lg="en",
        multi_connect=facts.shards > 1,
        os_name=str(said.get("os_name", "")),
        os_version=str(said.get("os_version", "")),
        schema=dict.fromkeys(STORES, facts.schema_version),
        socket_conn=str(said.get("socket_conn", "UNK")),
    )


def _role(report: Report, facts: ClusterFacts) -> str:
    if report.role == "coreapp":
        return "coreapp"
    leads = report.incarnation == facts.leader
    return "primary_master" if leads else "secondary_master"


def _shards(report: Report, facts: ClusterFacts) -> list[list[int]]:
    """Shards of a node as ranges, in the product's form. The control
    shard is shown at the leading master, or with one shard at its owner.
    """
    owned = [[shard, shard] for shard in facts.owned.get(report.incarnation, [])]
    if facts.shards == 1:
        return [CONTROL_SHARD, *owned] if owned else []
    return [CONTROL_SHARD] if _role(report, facts) == "primary_master" else owned


def _single(reports: Sequence[Report], facts: ClusterFacts) -> Report | None:
    coreapps = [r for r in reports if r.role == "coreapp"]
    owners = [r for r in coreapps if r.incarnation in facts.owned]
    return next(iter([*owners, *coreapps]), None)


ROUTES = (
    Route(
        "GET", "/v1/support", Access.ADMIN, Scope.ADMIN, support, answer=(ClusterSupport, Support)
    ),
)
