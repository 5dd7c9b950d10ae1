"""The tables of bench.e2e and bench.peers. Pure."""

from __future__ import annotations

from typing import NamedTuple

from bench.report.form import number, pair, table
from bench.report.results import Figures, at


class Goal(NamedTuple):
    """A figure by its way in the JSON of bench.e2e; ``least`` or ``most`` is what it is to be."""

    text: str
    path: tuple[str, ...]
    least: float | None = None
    most: float | None = None

    def row(self, figures: Figures) -> tuple[str, str, str, str]:
        value = at(figures, *self.path)
        bound = self.least if self.most is None else self.most
        sign = "≥" if self.most is None else "≤"
        goal = "" if bound is None else f"{sign} {bound:,g}"
        return self.text, number(value), goal, self._verdict(value)

    def _verdict(self, value: float | None) -> str:
        if value is None or (self.least is None and self.most is None):
            return ""
        missed = (self.least is not None and value < self.least) or (
            self.most is not None and value > self.most
        )
        return "missed" if missed else "met"


ACCEPTS = (
    Goal("201s a second, 256 connections, upstream paused", ("accepts_per_s",)),
    Goal("… by the bare floor", ("floor_per_s",)),
    Goal("… ratio to the bare floor", ("accepts_vs_floor",), least=0.8),
    Goal("… ratio to the naive server, 256 connections", ("accepts_vs_naive", "c256"), least=8),
    Goal("… ratio to the naive server, 64 connections", ("accepts_vs_naive", "c64"), least=4.5),
    Goal("… with the upstream taking them", ("accepts_sending_per_s",)),
    Goal("… with statuses and callbacks as well", ("accepts_full_per_s",)),
    Goal("server's CPU of a 201, us", ("accept_cpu_us",)),
    Goal("… ratio to the floor's", ("accept_cpu_vs_floor",), most=1.6),
    Goal("201, p50 at 1 connection, ms", ("latency_ms", "c1_p50"), most=0.8),
    Goal("201, p99 at 64 connections, ms", ("latency_ms", "c64_p99"), most=6),
    Goal("201, p99 at 256 connections, ms", ("latency_ms", "c256_p99")),
    Goal("… ratio to the floor's", ("p99_vs_floor",), most=1.4),
    Goal("201s a second, 64 connections, fast path off", ("accepts_aiohttp_per_s",), least=12_000),
    Goal("… by aiohttp before the floor's journal", ("floor_aiohttp_per_s",)),
    Goal("… server's CPU of each, us", ("accept_aiohttp_cpu_us",)),
    Goal("201s by connections that logged in, by others", ("accepts_logged_in",), least=0.9),
    Goal("life cycles a second, three callbacks each", ("lifecycles_per_s",)),
    Goal("PostgreSQL's CPU of a life cycle, us", ("pg_us",), most=25),
    Goal("201 to upstream at 1,000/s, p50, ms", ("send_lag_ms", "p50"), most=2),
    Goal("201 to upstream at 1,000/s, p99, ms", ("send_lag_ms", "p99"), most=10),
    Goal("rate on 1 to 32 shards, by linear", ("shard_scaling", "linear"), least=0.95),
    Goal("CPU with 32 shards by 1", ("growth", "shards"), most=1.15),
    Goal("CPU with 3 webapps by 1", ("growth", "webapps"), most=1.15),
    Goal("CPU with 1,000,000 recipients by 1,000", ("growth", "recipients"), most=1.15),
    Goal("CPU with 100,000 callbacks waiting by none", ("growth", "callbacks"), most=1.15),
    Goal("CPU with a journal of 10⁷ rows by 10⁴", ("growth", "journal"), most=1.15),
    Goal("intake while 1,000,000 wait, by normal", ("backlog", "intake"), least=0.8),
    Goal("memory that they take in a coreapp, MiB", ("backlog", "extra_mib"), most=256),
    Goal("memory of a process at full rate, MiB", ("rss_mib", "full"), most=200),
    Goal("… its growth in five minutes", ("rss_mib", "growth"), most=0.02),
    Goal("connections of a process to PostgreSQL", ("pg_connections",), most=3),
    Goal("hash of a recipient, in a batch, ns", ("hash_ns", "batch_key"), most=6),
    Goal("… a call, by one that does nothing", ("hash_ns", "noop_ratio"), most=1.2),
    Goal("split and slot of a frame, ns", ("frame_ns",), most=20),
)
PEERS = {
    "pgqueuer": ("PgQueuer, `enqueue`, pool of 16, same PostgreSQL", 20.0),
    "procrastinate": ("procrastinate, `defer_async`, pool of 16, same PostgreSQL", 24.0),
    "nats": ("NATS JetStream, `sync_interval: always`, an ack a message", 10.5),
    "rabbitmq": ("RabbitMQ, quorum queue, publisher confirms", 3.9),
    "redis": ("Redis, `XADD`, `appendfsync always`", 0.0),
}


def accepts(e2e: Figures) -> str:
    """A row for each figure."""
    return table(("figure", "is", "goal", ""), [goal.row(e2e) for goal in ACCEPTS])


def peers(found: Figures) -> str:
    """warouter over HTTP, and each queue without."""

    def times(name: str) -> str:
        return pair(at(found, "p50_ms", name), at(found, "p99_ms", name))

    rows = [("warouter, over HTTP", number(found.get("accepts_per_s")), times("warouter"), "", "")]
    for name, (text, goal) in PEERS.items():
        rate, ratio = at(found, "peers_per_s", name), at(found, "peers", name)
        shown = f"≥ {goal:g}" if goal else ""
        met = "" if not goal or ratio is None else "met" if ratio >= goal else "missed"
        rows.append((text, number(rate), times(name), number(ratio), f"{shown} {met}".strip()))
    return table(("", "a second", "p50 / p99, ms", "warouter by it", "goal"), rows)
