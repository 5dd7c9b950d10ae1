"""The metrics of the Cloud API from the counters of its parts."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from warouter.flow.aftermath import CODES, STATUSES, Aftermath
from warouter.flow.causes import CAUSES
from warouter.flow.doubt.states import KEPT, REQUESTED, UNKNOWN, DoubtState
from warouter.metric_catalogue import CATALOGUE, MetricPage
from warouter.node.figures.cloud import ANSWERS, CATEGORIES, ENDS, cloud_samples, number_samples
from warouter.owner.cloud.facts.number_reader import Known
from warouter.store.journal.names import Users
from warouter.upstream.cloud.graph.described import NumberFields
from warouter.upstream.cloud.graph.health import Entity


def parts(**counted: dict[str, Any]) -> Any:
    """The parts of an owner that has counted nothing, but for this."""
    zero: dict[str, dict[str, Any]] = {
        "doubts": {"begun": Counter(), "ended": Counter(), "blind": 0},
        "acks": {"duplicates": 0},
        "rows": {"contradictions": 0, "billed": Counter()},
        "pace": {"throttled": 0, "pair_waits": 0, "rate": 0.0, "braked": False},
        "number": {"level": 0, "budget": 0.0},
        "stop": {"now": None},
        "graph": {"late_writes": 0},
    }
    found = {
        name: SimpleNamespace(**fields | counted.get(name, {})) for name, fields in zero.items()
    }
    return SimpleNamespace(**found, answers=Counter(), aftermath=Aftermath(), sends=True)


def values(parts: Any, *states: DoubtState) -> dict[tuple[str, ...], float]:
    issues: Any = (SimpleNamespace(state=state) for state in states)
    samples = cloud_samples(parts, issues)
    shown = {(s.name.removeprefix("warouter_cloud_"), *s.labels.values()): s.value for s in samples}
    assert len(shown) == len(samples)  # no series twice
    return shown


def test_every_counter_is_shown() -> None:
    begun, ended = Counter(takeover=2, answer=1), Counter(status=2, hold=1)
    some = parts(
        doubts={"begun": begun, "ended": ended, "blind": 3},
        acks={"duplicates": 5},
        rows={"contradictions": 6, "billed": Counter({("marketing", "regular"): 12})},
        pace={"throttled": 7, "pair_waits": 8, "rate": 19.5, "braked": True},
        number={"level": 80, "budget": 75.5},
        stop={"now": (190, "expired")},
        graph={"late_writes": 1},
    )
    some.answers = Counter(taken=9, not_taken=4)
    some.aftermath.answered(b"a", 1, 131016, 0.0)
    some.aftermath.heard(b"a", 1, "delivered", 0.0)
    shown = values(some, *REQUESTED, *UNKNOWN, *KEPT, DoubtState.QUEUED, DoubtState.SAID)
    assert {key: value for key, value in shown.items() if value} == {
        ("in_doubt_total", "takeover"): 2,
        ("in_doubt_total", "answer"): 1,
        ("doubt_ended_total", "status"): 2,
        ("doubt_ended_total", "hold"): 1,
        ("blind_total",): 3,
        ("out",): 2,
        ("doubts",): 3,
        ("held",): 2,
        ("answers_total", "taken"): 9,
        ("answers_total", "not_taken"): 4,
        ("duplicates_total",): 5,
        ("contradictions_total",): 6,
        ("throttled_total",): 7,
        ("pair_waits_total",): 8,
        ("error_answers_total", "131016"): 1,
        ("error_then_status_total", "131016", "delivered"): 1,
        ("level",): 80,
        ("budget",): 75.5,
        ("rate",): 19.5,
        ("stopped",): 1,
        ("braked",): 1,
        ("billable_total", "marketing", "regular"): 12,
        ("late_writes_total",): 1,
    }


def test_an_owner_of_nothing_has_no_share_of_the_rate() -> None:
    idle = parts(pace={"rate": 76.0})
    idle.sends = False
    assert values(idle)["rate",] == 0


def test_counters_start_at_zero() -> None:
    shown = values(parts())
    assert set(shown.values()) == {0}
    labelled = {key for key in shown if len(key) > 1}
    assert labelled == {
        *(("in_doubt_total", cause) for cause in CAUSES),
        *(("doubt_ended_total", end) for end in ENDS),
        *(("answers_total", answer) for answer in ANSWERS),
        *(("billable_total", category, "regular") for category in CATEGORIES),
        *(("error_answers_total", str(code)) for code in CODES),
        *(
            ("error_then_status_total", str(code), status)
            for code in CODES
            for status in (*STATUSES, "other")
        ),
    }


def test_labels_are_bounded() -> None:
    """A socket or a server may say anything."""
    errors = Counter({f"Error {n}": 1 for n in range(50)})
    shown = values(parts(doubts={"begun": errors, "ended": Counter(odd=2)}))
    assert shown["in_doubt_total", "connection"] == 50
    assert shown["doubt_ended_total", "other"] == 2
    assert len(shown) == len(values(parts())) + 1


def test_each_is_in_the_catalogue() -> None:
    """What is not is shown nowhere."""
    names = {sample.name for sample in cloud_samples(parts(), ())}
    names |= {sample.name for sample in number_samples(KNOWN, "v25.0", 30.0)}
    assert {CATALOGUE[name].page for name in names} == {MetricPage.APP}
    assert len(names) == 28


KNOWN = Known(
    NumberFields(
        quality="YELLOW",
        entities=(
            Entity("PHONE_NUMBER", "1", "AVAILABLE"),
            Entity("WABA", "2", "BLOCKED"),
            Entity("APP", "3", "LIMITED"),
            Entity("APP", "4", "AVAILABLE"),
            Entity("PLANET", "5", "LIMITED"),
            Entity("BUSINESS", "6", "ASLEEP"),
        ),
    ),
    token_expires_at=1_800_000_000,
    users=Users(20, 3),
    at=10.0,
)


def of_the_number(known: Known | None, version: str = "v25.0") -> dict[tuple[str, ...], float]:
    found = number_samples(known, version, 30.0)
    shown = {(s.name.removeprefix("warouter_cloud_"), *s.labels.values()): s.value for s in found}
    assert len(shown) == len(found)
    return shown


def test_gauges_of_the_number_by_metas_words() -> None:
    """The worst of each entity; a word that nobody knows says nothing."""
    assert of_the_number(KNOWN) == {
        ("can_send", "phone_number"): 2,
        ("can_send", "waba"): 0,
        ("can_send", "app"): 1,
        ("can_send", "other"): 1,
        ("quality",): 2,
        ("webhook_retry_seconds",): 604_800,
        ("facts_age_seconds",): 20,
        ("token_end_seconds",): 1_800_000_000,
        ("version_end_seconds",): 1_848_441_600,
        ("identities",): 20,
        ("aliases",): 3,
    }


def test_a_number_that_stores_nothing_has_an_hour_of_webhooks() -> None:
    facts = KNOWN.facts._replace(storage="NO_STORAGE_ENABLED")
    found = of_the_number(KNOWN._replace(facts=facts))
    assert found[("webhook_retry_seconds",)] == 3600


def test_an_unknown_value_has_no_sample() -> None:
    assert of_the_number(None, "v99.0") == {}
    assert ("token_end_seconds",) not in of_the_number(KNOWN._replace(token_expires_at=None))
    assert of_the_number(None, "v13.0") == {("version_end_seconds",): 0}
