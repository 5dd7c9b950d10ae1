"""The table of bench.cloud. Pure."""

from __future__ import annotations

from bench.report.form import table
from bench.report.load import Goal
from bench.report.results import Figures

_BESIDE = ("storm", "failover_ms")
_CALM = ("webhooks", "calm_ms")
_LOW, _HIGH, _PACKED = ("sustained", "80"), ("sustained", "1000"), ("sustained", "1000_packed")
_PROXY = ("shim", "cpu_us", "product")
_GROWN = ("growth", "full")
GOALS = (
    Goal("75/s at level 80: 201, p99, ms", (*_LOW, "accepted_ms", "p99"), most=10),
    Goal("… 201 to request begun, p50, ms", (*_LOW, "begun_ms", "p50"), most=5),
    Goal("… 201 to request begun, p99, ms", (*_LOW, "begun_ms", "p99"), most=20),
    Goal("… status due to callback, p50, ms", (*_LOW, "callback_ms", "p50"), most=60),
    Goal("… CPU of warouter a life cycle, us", (*_LOW, "cpu_us", "product"), most=1500),
    Goal("… PostgreSQL's, us", (*_LOW, "cpu_us", "postgres"), most=900),
    Goal("… a small proxy's, us", (*_LOW, *_PROXY)),
    Goal("900/s at level 1,000: 201, p99, ms", (*_HIGH, "accepted_ms", "p99"), most=10),
    Goal("… 201 to request begun, p50, ms", (*_HIGH, "begun_ms", "p50"), most=5),
    Goal("… 201 to request begun, p99, ms", (*_HIGH, "begun_ms", "p99"), most=20),
    Goal("… CPU of warouter a life cycle, us", (*_HIGH, "cpu_us", "product"), most=400),
    Goal("… PostgreSQL's, us", (*_HIGH, "cpu_us", "postgres"), most=150),
    Goal("… a small proxy's, us", (*_HIGH, *_PROXY)),
    Goal("… with 100 statuses a POST, warouter's, us", (*_PACKED, "cpu_us", "product"), most=330),
    Goal("… PostgreSQL's, us", (*_PACKED, "cpu_us", "postgres"), most=150),
    Goal("… a small proxy's, us", (*_PACKED, *_PROXY)),
    Goal("life cycles a second, unthrottled", ("lives", "per_s"), least=4000),
    Goal("… by those of a small proxy", ("lives", "by_shim", "per_s"), least=1.5),
    Goal("… CPU of warouter each, us", ("lives", "cpu_us", "product"), most=275),
    Goal("… a small proxy's, us", ("lives", *_PROXY)),
    Goal("… with 100 statuses a POST, a second", ("lives_packed", "per_s"), least=4000),
    Goal("… by those of a small proxy", ("lives_packed", "by_shim", "per_s")),
    Goal("… CPU of warouter each, us", ("lives_packed", "cpu_us", "product"), most=275),
    Goal("… a small proxy's, us", ("lives_packed", *_PROXY)),
    Goal("level 80, 8 owners: part of the budget used", ("budget", "80", "used"), least=0.95),
    Goal("… part refused with 130429", ("budget", "80", "refused"), most=0.01),
    Goal("level 1,000, 8 owners: part of the budget used", ("budget", "1000", "used"), least=0.95),
    Goal("… part refused with 130429", ("budget", "1000", "refused"), most=0.01),
    Goal("webhook's POST to 200 at 4,000 events/s, p50, ms", (*_CALM, "p50"), most=20),
    Goal("… p99, ms", (*_CALM, "p99"), most=150),
    Goal("… p99 while an owner is killed, ms", ("webhooks", "killed_ms", "p99"), most=250),
    Goal("kill storm: lost", ("storm", "lost"), most=0),
    Goal("… taken twice", ("storm", "twice"), most=0),
    Goal("… out of order", ("storm", "inverted"), most=0),
    Goal("… longest wait for a new owner, p50 of the kills, ms", (*_BESIDE, "p50")),
    Goal("… the longest of all, ms", (*_BESIDE, "most")),
    Goal("… in doubt with evidence, p50, s", ("storm", "doubt_s", "p50"), most=2),
    Goal("… the longest, s", ("storm", "doubt_s", "most"), most=5),
    Goal("… 201, p50, ms", ("storm", "accepted_ms", "p50")),
    Goal("a small proxy beside it: 201, p50, ms", ("shim", "accepted_ms", "p50")),
    Goal("… lost", ("shim", "lost")),
    Goal("… taken twice", ("shim", "twice")),
    Goal(
        "without the proxy: wait for a new owner, p50 of the kills, ms",
        ("failover", "p50"),
        most=90,
    ),
    Goal("… the longest of all, ms", ("failover", "most"), most=400),
    Goal("… p50 where the owner had half of the slots, ms", ("failover", "half", "p50")),
    Goal("… p50 where it had all of them, ms", ("failover", "every", "p50")),
    Goal("coreapp with 100,000 identities, 1,000/s, MiB", ("memory", "coreapp_mib"), most=120),
    Goal("a connection to the Graph API, KiB", ("connections", "each_kib")),
    Goal("1,000,000 doubts: a slot opens, the slowest, s", ("doubts", "opened_s"), most=0.3),
    Goal("… the longest turn of a coreapp's loop, CPU ms", ("doubts", "turn_ms"), most=20),
    Goal("… and as owners are killed", ("doubts", "turn_killed_ms"), most=20),
    Goal("… a coreapp grows by, MiB", ("doubts", "coreapp_mib_more"), most=64),
    Goal("… rate of those without doubt, by that without any", ("doubts", "rate"), least=0.95),
    Goal("… CPU of warouter, by that", ("doubts", "cpu")),
    Goal("… PostgreSQL's, by that", ("doubts", "postgres")),
    Goal("in a database that has grown: WAL of a life cycle, bytes", (*_GROWN, "wal"), most=4096),
    Goal("… disk, bytes", (*_GROWN, "disk"), most=1638),
    Goal("… CPU of PostgreSQL, by that in an empty one", ("growth", "cost"), most=1.10),
    Goal("one-time password behind a campaign leaves, s", ("priority", "most_s"), most=3),
)


def cloud(found: Figures) -> str:
    """A row for each figure."""
    return table(("figure", "is", "goal", ""), [goal.row(found) for goal in GOALS])
