"""Metrics of a coreapp whose upstream is the Cloud API: doubts, answers, the number's rate, and
what Meta says of it.

Each label has few values: what is counted under another one is shown as ``other``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from warouter.cloud_settings import version_end
from warouter.flow.aftermath import CODES, STATUSES, Aftermath
from warouter.flow.causes import CAUSES, OTHER, word_of
from warouter.flow.doubt.states import KEPT, REQUESTED, UNKNOWN, Issue
from warouter.metrics import Sample
from warouter.owner.cloud.acks import InboxAcks
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.facts.number_reader import Known
from warouter.owner.cloud.rate.number_share import NumberShare
from warouter.owner.cloud.rate.pace import Pace
from warouter.owner.cloud.rate.stop import NumberStop
from warouter.owner.cloud.rows import Rows
from warouter.upstream.cloud.answers import Class
from warouter.upstream.cloud.graph.described import retry_seconds
from warouter.upstream.cloud.graph.exchange import GraphExchange
from warouter.upstream.cloud.graph.health import ENTITIES, QUALITIES, STATES, Entity

# What ends a doubt: a status with the reference, an answer that came late or that a former owner
# heard, an operator, the policy.
ENDS = ("status", "answer", "operator", "resend", "fail", "hold")
# What Meta charges: Meta's pricing.category and pricing.type in webhooks of statuses.
CATEGORIES = (
    *("marketing", "marketing_lite", "utility", "authentication", "authentication_international"),
    *("service", "referral_conversion"),
)
TYPES = ("regular", "free_customer_service", "free_entry_point")
ANSWERS = tuple(each.name.lower() for each in Class)


class CloudFigures(NamedTuple):
    """The parts of a coreapp that have these metrics. ``answers`` are counted by class. ``sends``:
    it owns a slot, and so has a share of the rate.
    """

    doubts: Doubts
    answers: Mapping[str, int]
    acks: InboxAcks
    rows: Rows
    pace: Pace
    number: NumberShare
    stop: NumberStop
    graph: GraphExchange
    aftermath: Aftermath
    sends: bool


def cloud_samples(parts: CloudFigures, issues: Iterable[Issue]) -> list[Sample]:
    """The metrics of these parts; ``issues`` are those of all slots that this coreapp owns."""
    states, doubts = [issue.state for issue in issues], parts.doubts
    return [
        *_counted("warouter_cloud_in_doubt_total", "cause", doubts.begun, CAUSES, word_of),
        *_counted("warouter_cloud_doubt_ended_total", "by", doubts.ended, ENDS),
        Sample("warouter_cloud_blind_total", doubts.blind),
        Sample("warouter_cloud_out", sum(state in REQUESTED for state in states)),
        Sample("warouter_cloud_doubts", sum(state in UNKNOWN for state in states)),
        Sample("warouter_cloud_held", sum(state in KEPT for state in states)),
        Sample("warouter_cloud_duplicates_total", parts.acks.duplicates),
        Sample("warouter_cloud_contradictions_total", parts.rows.contradictions),
        *_billed(parts.rows.billed),
        *_counted("warouter_cloud_answers_total", "class", parts.answers, ANSWERS),
        *_of_errors(parts.aftermath),
        Sample("warouter_cloud_level", parts.number.level),
        Sample("warouter_cloud_budget", parts.number.budget),
        Sample("warouter_cloud_rate", parts.pace.rate if parts.sends else 0.0),
        Sample("warouter_cloud_throttled_total", parts.pace.throttled),
        Sample("warouter_cloud_pair_waits_total", parts.pace.pair_waits),
        Sample("warouter_cloud_stopped", int(parts.stop.now is not None)),
        Sample("warouter_cloud_braked", int(parts.pace.braked)),
        Sample("warouter_cloud_late_writes_total", parts.graph.late_writes),
    ]


def _billed(billed: Mapping[tuple[str, str], int]) -> list[Sample]:
    """A rate needs a zero first: of each category, with the type that is charged as a rule."""
    sums = Counter(dict.fromkeys(((category, "regular") for category in CATEGORIES), 0))
    for (category, type_), count in billed.items():
        known = category if category in CATEGORIES else OTHER
        sums[known, type_ if type_ in TYPES else OTHER] += count
    name = "warouter_cloud_billable_total"
    return [Sample(name, count, {"category": c, "type": t}) for (c, t), count in sums.items()]


def _of_errors(after: Aftermath) -> list[Sample]:
    answers, then = "warouter_cloud_error_answers_total", "warouter_cloud_error_then_status_total"
    return [
        *(Sample(answers, after.answers[code], {"code": str(code)}) for code in CODES),
        *(
            Sample(then, after.statuses[code, status], {"code": str(code), "status": status})
            for code in CODES
            for status in (*STATUSES, OTHER)
        ),
    ]


def _counted(
    name: str,
    label: str,
    counts: Mapping[str, int],
    words: Sequence[str],
    word: Callable[[str], str] = str,
) -> list[Sample]:
    """A sample for each of the words, also of those that never came: a rate needs a zero first."""
    sums = Counter(dict.fromkeys(words, 0))
    for said, count in counts.items():
        known = word(said)
        sums[known if known in words else OTHER] += count
    return [Sample(name, count, {label: value}) for value, count in sums.items()]


# the number


def number_samples(known: Known | None, version: str, now: float) -> list[Sample]:
    """Metrics of the number, from the coreapp that asks Meta for all: what is ``known`` at ``now``,
    by its clock. What nobody knows has no sample.
    """
    return [*_of_version(version), *(_of(known, now) if known is not None else ())]


def _of(known: Known, now: float) -> Iterator[Sample]:
    facts = known.facts
    yield from _of_entities(facts.entities)
    quality = QUALITIES.index(facts.quality) if facts.quality in QUALITIES else 0
    yield Sample("warouter_cloud_quality", quality)
    yield Sample("warouter_cloud_webhook_retry_seconds", retry_seconds(facts.storage))
    yield Sample("warouter_cloud_facts_age_seconds", round(now - known.at))
    if known.token_expires_at is not None:
        yield Sample("warouter_cloud_token_end_seconds", known.token_expires_at)
    yield Sample("warouter_cloud_identities", known.users.identities)
    yield Sample("warouter_cloud_aliases", known.users.aliases)


def _of_entities(entities: Iterable[Entity]) -> Iterator[Sample]:
    """The worst of each type; an entity in a state of which nobody knows what it means has none."""
    worst: dict[str, int] = {}
    for entity in entities:
        if entity.can_send in STATES:
            label = entity.type.lower() if entity.type in ENTITIES else OTHER
            state = STATES.index(entity.can_send)
            worst[label] = min(state, worst.get(label, state))
    for label, state in worst.items():
        yield Sample("warouter_cloud_can_send", state, {"entity": label})


def _of_version(version: str) -> Iterator[Sample]:
    end = version_end(version)
    if end is not None:
        at = datetime(end.year, end.month, end.day, tzinfo=UTC)
        yield Sample("warouter_cloud_version_end_seconds", int(at.timestamp()))
