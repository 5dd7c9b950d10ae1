"""GET /metrics and /v1/stats: metrics of the whole cluster, as Prometheus text or JSON."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.route import Access, Handler, Route
from warouter.errors import NotReady, ParameterInvalid
from warouter.http.envelope import success
from warouter.metric_catalogue import CATALOGUE, MetricPage
from warouter.metrics import NODE, TEXT_TYPE, Sample, json_form, labelled, text_form
from warouter.store.account.accounts import is_unavailable
from warouter.store.reports import Report

_QUERY = {"format": "`prometheus` for the Prometheus text format, otherwise JSON"}
_PROCESS = frozenset({MetricPage.PROCESS})
_WEB = frozenset({MetricPage.WEB}) | _PROCESS
_APP = frozenset({MetricPage.APP}) | _PROCESS
_INTERNAL = frozenset({MetricPage.APP_INTERNAL})
# Of coreapps, and shown on /metrics too: monitors of the product look for the queue there, and all
# that concerns the number is to be found in one place.
_QUEUE, _CLOUD = "callback_queue_size", "warouter_cloud_"


class Point(msgspec.Struct):
    """One sample with its labels, `node` among them, and its value."""

    labels: dict[str, str]
    value: float


class Metric(msgspec.Struct):
    """A counter or a gauge."""

    type: str
    help: str
    data: list[Point]


async def metrics(context: Context, request: web.Request, _caller: Caller) -> web.Response:
    """Metrics of all webapps, and what the Cloud API brings about at coreapps: this one's of now
    and the others' reports; only this one's without a database.
    """
    reports = await _reports(context)
    samples = _of_all([r for r in reports if r.role == "webapp"], _WEB)
    samples += [
        sample
        for sample in _of_all(reports, _APP)
        if sample.name == _QUEUE or sample.name.startswith(_CLOUD)
    ]
    # The last word on a series counts: what this process knows of itself now.
    samples += _on(_WEB, labelled(context.operations.own(), **{NODE: context.operations.node}))
    return _answer(request, samples, ("metrics",))


async def app(context: Context, request: web.Request, _caller: Caller) -> web.Response:
    """Metrics of coreapps and masters, and requests that webapps answered."""
    reports = await context.operations.reports()
    webapps = [r for r in reports if r.role == "webapp"]
    others = [r for r in reports if r.role != "webapp"]
    samples = _of_all(webapps, _APP - _PROCESS) + _of_all(others, _APP)
    return _answer(request, samples, ("stats", "app"))


async def app_internal(context: Context, request: web.Request, _caller: Caller) -> web.Response:
    """Metrics of coreapps by slot."""
    reports = await context.operations.reports()
    return _answer(request, _of_all(reports, _INTERNAL), ("stats", "app", "internal"))


async def db(context: Context, request: web.Request, _caller: Caller) -> web.Response:
    """Metrics of the shard map, the journals and the database, at most some seconds old."""
    return _answer(request, await context.operations.stored(), ("stats", "db"))


async def db_internal(context: Context, request: web.Request, _caller: Caller) -> web.Response:
    """Sizes of the tables, from the database's statistics."""
    return _answer(request, await context.operations.tables(), ("stats", "db", "internal"))


async def _reports(context: Context) -> list[Report]:
    """The reports of all nodes; None without a database: a live webapp still reports itself."""
    try:
        return await context.operations.reports()
    except Exception as error:
        if is_unavailable(error) or isinstance(error, NotReady):
            return []
        raise


def _of_all(reports: list[Report], pages: frozenset[MetricPage]) -> list[Sample]:
    return [
        sample
        for report in reports
        for sample in labelled(_on(pages, report.body.samples), **{NODE: report.node})
    ]


def _on(pages: frozenset[MetricPage], samples: Iterable[Sample]) -> list[Sample]:
    return [s for s in samples if s.name in CATALOGUE and CATALOGUE[s.name].page in pages]


def _answer(request: web.Request, samples: Iterable[Sample], keys: tuple[str, ...]) -> web.Response:
    match (request.query.get("format") or "json").lower():
        case "prometheus":
            body = text_form(samples).encode()
            return web.Response(body=body, headers={"Content-Type": TEXT_TYPE})
        case "json":
            content: dict[str, object] = json_form(samples)
            for key in reversed(keys):
                content = {key: content}
            return success(content)
        case _:
            raise ParameterInvalid("format must be prometheus or json")


def _route(path: str, handler: Handler, place: str) -> Route:
    """A route whose answer has the metrics at this place."""
    name = "".join(part.title() for part in place.split("."))
    return Route(
        "GET",
        path,
        Access.MONITOR,
        Scope.MONITOR,
        handler,
        answer=(within(place, dict[str, Metric], name), "text/plain"),
        errors=(ParameterInvalid,),
        query=_QUERY,
    )


ROUTES = (
    _route("/metrics", metrics, "metrics"),
    _route("/v1/metrics", metrics, "metrics"),
    _route("/v1/stats/app", app, "stats.app"),
    _route("/v1/stats/app/internal", app_internal, "stats.app.internal"),
    _route("/v1/stats/db", db, "stats.db"),
    _route("/v1/stats/db/internal", db_internal, "stats.db.internal"),
)
