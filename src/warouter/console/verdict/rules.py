"""The rules of the shipped alerts, each with the sentence that it says. Pure.

In the order of ``deploy/monitoring/warouter.rules.yml``; the name of a rule is that of its alert.
What only the Cloud API brings about is in ``cloud``.
"""

from __future__ import annotations

from collections.abc import Callable

from warouter.console.verdict.cloud_rules import CLOUD
from warouter.console.verdict.judge import (
    CRITICAL,
    WARNING,
    AlertRule,
    ClusterSnapshot,
    about,
    percent,
)

_API = "POST_v1_(messages|contacts)"
_FAILOVERS = frozenset({"dead", "overdue", "successor-died", "unreachable", "upstream"})


def _api_fails(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    [bound], [window, _] = rule.bounds, rule.windows
    failed = seen.grown("endpoint_requests", window, method=_API, result="0|5..")
    asked = seen.grown("endpoint_requests", window, method=_API)
    if not asked or failed / asked <= bound:
        return None
    share = percent(failed / asked)
    return f"{share} of the requests for messages and contacts failed within {about(window)}."


def _no_stats(seen: ClusterSnapshot, _rule: AlertRule) -> str | None:
    if not seen.silent:
        return None
    who = ", ".join(seen.silent[:3]) + (" ..." if len(seen.silent) > 3 else "")
    return f"{who} lives and reports no figures: what is shown of it is old or missing."


def _callbacks_fail(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    [bound], [window, _] = rule.bounds, rule.windows
    failed = seen.grown_by("type", "callback_requests", window, result="(?!success$).*")
    asked = seen.grown_by("type", "callback_requests", window)
    bad = {kind: n / asked[kind] for kind, n in failed.items() if n and n / asked[kind] > bound}
    if not bad:
        return None
    said = " and ".join(f"{percent(share)} of type {kind}" for kind, share in sorted(bad.items()))
    return f"Callbacks failed within {about(window)}: {said}."


def _more_than(name: str, sentence: str) -> Callable[[ClusterSnapshot, AlertRule], str | None]:
    """All nodes together have more than the bound."""

    def judge(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
        total = sum(seen.values(name))
        return sentence.format(f"{total:,.0f}") if total > rule.bounds[0] else None

    return judge


def _unowned(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    count = max(seen.values("warouter_slots_unowned"), default=0)
    if count <= rule.bounds[0]:
        return None
    return f"{count:.0f} of 32 slots have no owner: their messages wait or are refused."


def _coreapps(seen: ClusterSnapshot) -> float | None:
    alive = seen.values("warouter_node_alive", role="coreapp")
    return sum(alive) if alive else None


def _no_coreapp(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    if _coreapps(seen) != rule.bounds[0]:
        return None
    return "No coreapp lives: every message waits or is refused."


def _no_leader(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    leading = seen.values("warouter_leading_masters")
    if not leading or max(leading) >= rule.bounds[0]:
        return None
    return "No master leads: the slots of a coreapp that dies would stay without an owner."


def _no_spare(seen: ClusterSnapshot, _rule: AlertRule) -> str | None:
    coreapps, shards = _coreapps(seen), seen.values("warouter_shards")
    if coreapps is None or not shards or coreapps > max(shards):
        return None
    return (
        f"No coreapp is spare: {coreapps:.0f} are alive for {max(shards):.0f} shards. If one dies,"
        " another must own several."
    )


def _failovers(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    [bound], [window] = rule.bounds, rule.windows
    count = sum(1 for c in seen.changes if c.age_s <= window and c.reason in _FAILOVERS)
    if count <= bound:
        return None
    return f"{count} slots were taken over within {about(window)}."


def _beats_late(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    [bound], [window] = rule.bounds, rule.windows
    late = seen.grown_by("node", "warouter_beats_late_total", window)
    bad = sorted(node for node, n in late.items() if n > bound)
    if not bad:
        return None
    return f"{', '.join(bad)} renews its leases late: its machine or the database is slow."


def _gone(name: str, sentence: str) -> Callable[[ClusterSnapshot, AlertRule], str | None]:
    """A node whose figure of this name is the bound: it lacks what the figure stands for."""

    def judge(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
        bad = sorted(
            n for n, found in seen.by("node", name).items() if max(found) == rule.bounds[0]
        )
        return sentence.format(", ".join(bad)) if bad else None

    return judge


def _dead_letters(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    count = sum(v for v in seen.values("warouter_dead_letters") if v > rule.bounds[0])
    if not count:
        return None
    return f"{count:,.0f} events are dead letters: replay them once the webhook works."


def _callbacks_late(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    ages = seen.by("type", "warouter_callbacks_oldest_seconds")
    bad = {kind: max(found) for kind, found in ages.items() if max(found) > rule.bounds[0]}
    if not bad:
        return None
    kind = max(bad, key=lambda kind: bad[kind])
    return f"An event of type {kind} has been waiting for {about(bad[kind])}."


def _messages_late(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    age = max(seen.values("warouter_messages_oldest_seconds"), default=0.0)
    return f"A message has been waiting for {about(age)}." if age > rule.bounds[0] else None


def _snapshot(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    longest, most = rule.bounds
    age = max(seen.values("warouter_oldest_transaction_seconds"), default=0.0)
    behind = max(seen.values("warouter_oldest_snapshot_transactions"), default=0.0)
    if age <= longest and behind <= most:
        return None
    what = f"for {about(age)}" if age > longest else f"since {behind:,.0f} transactions"
    return f"A transaction (a dump?) has been open {what}: busy tables grow until it ends."


def _connections(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    used = max(seen.values("warouter_database_connections"), default=0.0)
    most = max(seen.values("warouter_database_max_connections"), default=0.0)
    if not most or used / most <= rule.bounds[0]:
        return None
    return f"{percent(used / most)} of the database's {most:.0f} connections are in use."


_pending = _more_than("pending_outgoing_messages", "{} messages wait for the upstream.")
_queued = _more_than("callback_queue_size", "{} events wait for the webhook.")
_upstream = _gone("warouter_upstream_connected", "{} has no connection to the upstream.")
_database = _gone("warouter_database_up", "{} cannot reach the database.")

RULES: tuple[AlertRule, ...] = (
    AlertRule("CriticalApiFailure", CRITICAL, _api_fails, (0.1,), (300, 300), 120),
    AlertRule("NoStats", CRITICAL, _no_stats, (0,), (), 60),
    AlertRule("CallbackFailure", CRITICAL, _callbacks_fail, (0.1,), (300, 300), 300),
    AlertRule("HighPendingOutgoingMessages", WARNING, _pending, (10_000,), (), 300),
    AlertRule("HighCallbackQueue", WARNING, _queued, (10_000,), (), 300),
    AlertRule("SlotWithoutOwner", CRITICAL, _unowned, (0,), (), 30),
    AlertRule("NoCoreapp", CRITICAL, _no_coreapp, (0,), (), 15),
    AlertRule("NoLeadingMaster", CRITICAL, _no_leader, (1,), (), 30),
    AlertRule("NoSpareCoreapp", WARNING, _no_spare, (), (), 300),
    AlertRule("ManyFailovers", WARNING, _failovers, (64,), (900,)),
    AlertRule("BeatsLate", WARNING, _beats_late, (10,), (600,)),
    AlertRule("UpstreamLost", CRITICAL, _upstream, (0,), (), 60),
    *CLOUD,
    AlertRule("DeadLetters", WARNING, _dead_letters, (0,)),
    AlertRule("CallbacksLate", WARNING, _callbacks_late, (900,), (), 300),
    AlertRule("MessagesLate", WARNING, _messages_late, (900,), (), 300),
    AlertRule("DatabaseAway", CRITICAL, _database, (0,), (), 30),
    AlertRule("SnapshotHeldOpen", WARNING, _snapshot, (600, 1_000_000), (), 300),
    AlertRule("ConnectionsNearlyUsedUp", WARNING, _connections, (0.8,), (), 300),
)

# What the rules ask of counters.
COUNTERS = frozenset(
    {
        "endpoint_requests",
        "callback_requests",
        "warouter_beats_late_total",
        "warouter_cloud_notices_total",
        "warouter_cloud_left_out_total",
        "warouter_cloud_blind_total",
        "warouter_cloud_duplicates_total",
        "warouter_cloud_answers_total",
        "warouter_cloud_webhooks_total",
        "warouter_cloud_throttled_total",
    }
)
