"""GET / for load balancers and GET /v1/health."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from warouter.access.scopes import ANY, Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context, NodeState
from warouter.api.description.replies import (
    ClusterHealthAnswer,
    HealthMeta,
    NumberHealth,
    SingleHealthAnswer,
    UpAnswer,
)
from warouter.api.route import Access, Route
from warouter.errors import NotReady
from warouter.http.envelope import error_object, success
from warouter.store.views.number_status import NumberFacts

# The best first: one connected coreapp is enough for a client that sees one gateway.
_STATUSES = ("connected", "connecting", "unregistered", "uninitialized", "disconnected")


async def root(_context: Context, _request: web.Request, _caller: Caller) -> web.Response:
    """200 as long as this process answers, whatever the state of the cluster."""
    return success({"status": "up"})


async def health(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """A map of nodes with Multiconnect, and the state of the one node without."""
    found = await context.cluster.health(caller.number)
    if context.config.multiconnect:
        shown: dict[str, Any] = {state.name: _shown(state) for state in found.nodes}
    else:
        shown = {"gateway_status": _gateway_status(found.nodes)}
    beside = {} if found.number is None else {"number": _of_number(found.number)}
    return success({"health": shown}, warnings=found.notes, beside=beside)


def _of_number(number: NumberFacts) -> dict[str, Any]:
    """The number in Meta's words, and when it was asked."""
    return {name: getattr(number, name) for name in NumberHealth.__struct_fields__}


def _shown(state: NodeState) -> dict[str, Any]:
    """A node's answer. ``status`` is present even with an error, because clients read it first."""
    shown: dict[str, Any] = {"gateway_status": state.gateway_status, "role": state.role}
    if state.problem:
        shown["errors"] = [error_object(NotReady(state.problem))]
    return shown


def _gateway_status(states: Sequence[NodeState]) -> str:
    seen = {state.gateway_status for state in states if state.role == "coreapp"}
    return next((status for status in _STATUSES if status in seen), "disconnected")


ROUTES = (
    Route("GET", "/", Access.OPEN, ANY, root, answer=UpAnswer),
    Route("HEAD", "/", Access.OPEN, ANY, root, answer=UpAnswer),
    Route(
        "GET",
        "/v1/health",
        Access.MONITOR,
        Scope.MONITOR,
        health,
        answer=(ClusterHealthAnswer, SingleHealthAnswer),
        meta=HealthMeta,
    ),
    Route(
        "HEAD",
        "/v1/health",
        Access.MONITOR,
        Scope.MONITOR,
        health,
        answer=(ClusterHealthAnswer, SingleHealthAnswer),
        meta=HealthMeta,
    ),
)
