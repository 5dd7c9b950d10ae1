"""The catalogue of metrics, and the two formats in which they are shown. Pure.

A process collects samples, reports them (``store.reports``), and a webapp shows them all. The
product's names and labels are kept; ours begin with ``warouter_`` and follow Prometheus's rules.
A sample of a name that is not in the catalogue, from a newer build beside this one, is left out.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NODE = "node"
BUILD_INFO = "warouter_build_info"


class MetricPage(enum.Enum):
    """The page that shows a metric."""

    WEB = "/metrics"
    APP = "/v1/stats/app"
    APP_INTERNAL = "/v1/stats/app/internal"
    DB = "/v1/stats/db"
    DB_INTERNAL = "/v1/stats/db/internal"
    PROCESS = "/metrics for a webapp, /v1/stats/app for others"


class MetricDescription(NamedTuple):
    """The description of a metric."""

    type: str  # "counter" or "gauge"
    page: MetricPage
    help: str


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One value. ``labels`` are without ``node``, which the page adds."""

    name: str
    value: float
    labels: dict[str, str] = {}


_COUNTERS: dict[MetricPage, dict[str, str]] = {
    MetricPage.WEB: {
        "web_connections": "Connections that clients have opened",
        "api_requests_duration_ms_count": "Requests by method and result",
        "api_requests_duration_ms_sum": "Time that requests took in ms, by method and result",
        "warouter_requests_answered_total": "Requests that have had their answer",
        "warouter_connections_refused_total": "Connections beyond WAROUTER_CONNECTIONS",
        "warouter_connections_dropped_total": "Connections of clients that were ended, by reason",
        "warouter_requests_limited_total": "Requests over the rate limit",
        "warouter_requests_fast_total": "Messages that took the fast path past aiohttp",
        "warouter_cloud_webhooks_total": "Requests to the Cloud API's webhook by result",
        "warouter_cloud_events_total": "What webhooks of the Cloud API held, by kind",
        "warouter_cloud_notices_total": "What Meta said of the account and the number, by field",
        "warouter_cloud_left_out_total": "What may be customers' words and called nobody back, by "
        "the webhook's field",
        "warouter_cloud_connections_dropped_total": "Connections to the Cloud API's webhook that "
        "were ended, by reason",
    },
    MetricPage.APP: {
        "callback_requests": "POSTs to the webhook by result and type",
        "callback_requests_duration_ms_count": "POSTs to the webhook whose time was taken",
        "callback_requests_duration_ms_sum": "Milliseconds that POSTs to the webhook took",
        "endpoint_requests": "Requests to the API by method and result",
        "warouter_messages_appended_total": "Messages written to the journal",
        "warouter_append_commits_total": "Commits that wrote messages",
        "warouter_messages_sent_total": "Messages sent to the upstream, repeats included",
        "warouter_messages_answered_total": "Answers of the upstream to messages",
        "warouter_messages_asked_again_total": "Messages sent to the upstream again because "
        "it had not answered",
        "warouter_events_refused_total": "Upstream events that cannot become a callback",
        "warouter_upstream_broken_total": "Frames of the upstream that cannot be read",
        "warouter_events_appended_total": "Statuses and inbound messages written to the journal",
        "warouter_callback_events_total": "Events that the webhook has taken, by type",
        "warouter_callback_events_dropped_total": "Events given up under callback_persist: false",
        "warouter_beats_total": "Beats that were confirmed",
        "warouter_beats_late_total": "Beats confirmed later than twice their interval",
        "warouter_cloud_in_doubt_total": "Messages that came to be in doubt, by cause",
        "warouter_cloud_doubt_ended_total": "Doubts that ended, by what ended them",
        "warouter_cloud_blind_total": "Doubts that the policy ended without a proof that webhooks "
        "come",
        "warouter_cloud_billable_total": "Messages that Meta charges, by category and type",
        "warouter_cloud_duplicates_total": "Requests that the Cloud API took although it had taken "
        "one of the same message",
        "warouter_cloud_contradictions_total": "Successes of messages whose failure was shown",
        "warouter_cloud_answers_total": "Requests to the Cloud API that ended, by class",
        "warouter_cloud_throttled_total": "Answers that the number sends too fast",
        "warouter_cloud_pair_waits_total": "Messages that waited for the rate of their recipient",
        "warouter_cloud_error_answers_total": "Answers that Meta has a trouble of its own, by code",
        "warouter_cloud_error_then_status_total": "Statuses of requests that were answered so, by "
        "code and status: what was sent had been taken",
        "warouter_cloud_late_writes_total": "Requests that began after their lease could be taken",
    },
    MetricPage.DB: {"warouter_owner_changes_total": "Slots that changed their owner, by reason"},
    MetricPage.PROCESS: {"warouter_process_cpu_seconds_total": "Processor time used"},
}
_GAUGES: dict[MetricPage, dict[str, str]] = {
    MetricPage.WEB: {
        "web_uptime": "How long the webapp has been running, in seconds",
        "web_pending_connections": "Connections that the webapp has not accepted yet",
        "web_max_pending_connections": "Most connections at once that were not accepted yet",
        "web_queue_len": "Limit of connections that are not accepted yet",
        "web_idle_processes": "1 while no request is being handled",
        "web_total_processes": "1: a webapp is one process",
        "web_requests": "Connections by state",
        "warouter_link_connected": "Coreapps that the webapp has a link to",
        "warouter_link_pending_messages": "Messages that wait for their owner's answer",
        "warouter_link_pending_bytes": "Size of the messages that wait for their owner's answer",
        "warouter_database_up": "1 while the webapp can read the shard map",
        "warouter_cloud_webhook_age_seconds": "Time since the last webhook of the Cloud API, or "
        "since the webapp was started",
    },
    MetricPage.APP: {
        "callback_queue_size": "Events that wait for the webhook",
        "pending_outgoing_messages": "Messages accepted and not taken by the upstream yet",
        "warouter_slots_owned": "Slots that the coreapp owns",
        "warouter_journal_writable": "1 while the coreapp can write its journals",
        "warouter_upstream_connected": "1 while the coreapp is connected to its upstream",
        "warouter_link_webapps": "Connections of webapps and of relaying coreapps",
        "warouter_callbacks_failing": "1 while callbacks of a type keep failing",
        "warouter_parked_recipients": "Recipients whose messages wait for a retry",
        "warouter_cloud_doubts": "Messages of which nobody knows whether the Cloud API took them",
        "warouter_cloud_held": "Messages in doubt that wait for an operator",
        "warouter_cloud_out": "Requests to the Cloud API that have begun and not ended",
        "warouter_cloud_level": "Messages a second, in and out, that Meta allows the number",
        "warouter_cloud_budget": "Messages a second that all coreapps together may send of it",
        "warouter_cloud_rate": "Messages a second that the coreapp may send to the Cloud API",
        "warouter_cloud_stopped": "1 while the number is stopped until an operator acts",
        "warouter_cloud_braked": "1 while messages go one at a time, as none is taken",
        "warouter_cloud_can_send": "What Meta lets send, by entity: 2 all, 1 limited, 0 nothing",
        "warouter_cloud_quality": "Quality of the number: 3 green, 2 yellow, 1 red, 0 unknown",
        "warouter_cloud_facts_age_seconds": "Time since Meta was asked about the number",
        "warouter_cloud_webhook_retry_seconds": "For how long Meta repeats a webhook that failed",
        "warouter_cloud_token_end_seconds": "When the token ends, as a unix time; 0 for never",
        "warouter_cloud_version_end_seconds": "When Meta ends the version of the Graph API, as a "
        "unix time",
        "warouter_cloud_identities": "Users whom the Cloud API has named, counted up to a limit",
        "warouter_cloud_aliases": "Those of them that have an alias, counted up to a limit",
        "warouter_master_leads": "1 while the master leads",
        "warouter_term": "Term of the leading master",
    },
    MetricPage.APP_INTERNAL: {
        "warouter_slot_epoch": "Epoch of an owned slot",
        "warouter_slot_journal_seq": "Highest seq of an owned slot's messages",
        "warouter_slot_settled_seq": "Seq up to which an owned slot's messages are settled",
        "warouter_slot_waiting_messages": "Messages of an owned slot in memory",
        "warouter_slot_waiting_callbacks": "Events of an owned slot that wait for the webhook",
        "warouter_append_queued_messages": "Messages that wait for a commit",
    },
    MetricPage.DB: {
        "db_contacts": "Contacts by type",
        "db_message_receipts": "Statuses in the journal",
        "db_messages": "Messages in the journal",
        "warouter_shards": "Number of shards",
        "warouter_slots_unowned": "Slots without an owner",
        "warouter_slots_moving": "Slots on their way to another owner",
        "warouter_shard_map_version": "Version of the shard map",
        "warouter_leading_masters": "Live masters that lead: 1, or 0 without a leader",
        "warouter_node_alive": "1 while a master, coreapp or webapp is alive",
        "warouter_messages_unsettled": "Messages in the journal, not settled and not parked",
        "warouter_messages_oldest_seconds": "Age of the oldest message that is not settled",
        "warouter_messages_parked": "Messages that wait for a retry",
        "warouter_callbacks_unsettled": "Events in the journal, not called back and not parked",
        "warouter_callbacks_oldest_seconds": "Age of the oldest event that is not called back",
        "warouter_callbacks_parked": "Events that wait for a retry",
        "warouter_dead_letters": "Events that were given up",
        "warouter_database_connections": "Connections to the database",
        "warouter_database_max_connections": "Most connections that the database allows",
        "warouter_database_bytes": "Size of the database",
        "warouter_oldest_transaction_seconds": "Age of the oldest open transaction",
        "warouter_oldest_snapshot_transactions": "Transactions since the oldest open snapshot",
    },
    MetricPage.DB_INTERNAL: {
        "warouter_table_bytes": "Size of a table with its indexes",
        "warouter_table_rows": "Estimated rows of a table",
        "warouter_table_dead_rows": "Estimated dead rows of a table",
    },
    MetricPage.PROCESS: {
        BUILD_INFO: "1, with the version and the API's version as labels",
        "warouter_process_resident_memory_bytes": "Memory in use",
        "warouter_process_uptime_seconds": "Seconds since the process was started",
        "warouter_process_open_files": "Open files",
    },
}

CATALOGUE: Mapping[str, MetricDescription] = {
    name: MetricDescription(type_, page, text)
    for type_, pages in (("counter", _COUNTERS), ("gauge", _GAUGES))
    for page, names in pages.items()
    for name, text in names.items()
}


def labelled(samples: Iterable[Sample], **labels: str) -> list[Sample]:
    """The samples with additional labels."""
    return [Sample(s.name, s.value, {**s.labels, **labels}) for s in samples]


def json_form(samples: Iterable[Sample]) -> dict[str, Any]:
    """The product's JSON: name -> {type, help, data: [{labels, value}]}."""
    return {
        name: {
            "type": CATALOGUE[name].type,
            "help": CATALOGUE[name].help,
            "data": [{"labels": s.labels, "value": _number(s.value)} for s in group],
        }
        for name, group in _grouped(samples).items()
    }


def text_form(samples: Iterable[Sample]) -> str:
    """Prometheus's text format 0.0.4."""
    lines: list[str] = []
    for name, group in _grouped(samples).items():
        lines.append(f"# HELP {name} {_escaped(CATALOGUE[name].help)}")
        lines.append(f"# TYPE {name} {CATALOGUE[name].type}")
        for sample in group:
            pairs = ",".join(f'{k}="{_quoted(v)}"' for k, v in sample.labels.items())
            lines.append(f"{name}{{{pairs}}} {_number(sample.value)}" if pairs else _bare(sample))
    return "".join(f"{line}\n" for line in lines)


def _bare(sample: Sample) -> str:
    return f"{sample.name} {_number(sample.value)}"


def _grouped(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """Samples by name in the catalogue's order; a repeated series keeps its last value."""
    groups: dict[str, dict[tuple[tuple[str, str], ...], Sample]] = {}
    for sample in samples:
        if sample.name in CATALOGUE:
            key = tuple(sorted(sample.labels.items()))
            groups.setdefault(sample.name, {})[key] = sample
    return {name: list(groups[name].values()) for name in CATALOGUE if name in groups}


def _number(value: float) -> int | float:
    """Whole numbers without a fraction: some clients cannot read anything else."""
    return int(value) if float(value).is_integer() else round(value, 6)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
