"""The metrics of the Cloud API from the counters of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from warouter.flow.causes import CAUSES
from warouter.flow.doubt import State
from warouter.metrics import CATALOGUE, Page
from warouter.node.figures_cloud import ANSWERS, ENDS, cloud_samples


@dataclass
class Doubts:
    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    blind: int = 0


@dataclass
class Drain:
    duplicates: int = 0
    contradictions: int = 0


@dataclass
class Pace:
    throttled: int = 0
    pair_waits: int = 0
    rate: float = 0.0


@dataclass
class Number:
    stopped: object | None = None


@dataclass
class Graph:
    late_writes: int = 0


@dataclass
class Issue:
    state: State


@dataclass
class Parts:
    doubts: Doubts = field(default_factory=Doubts)
    answers: Mapping[str, int] = field(default_factory=Counter)
    drain: Drain = field(default_factory=Drain)
    pace: Pace = field(default_factory=Pace)
    number: Number = field(default_factory=Number)
    graph: Graph = field(default_factory=Graph)


def values(parts: Parts, *states: State) -> dict[tuple[str, ...], float]:
    samples = cloud_samples(parts, map(Issue, states))
    shown = {(s.name.removeprefix("warouter_cloud_"), *s.labels.values()): s.value for s in samples}
    assert len(shown) == len(samples)  # no series twice
    return shown


def test_every_counter_is_shown() -> None:
    parts = Parts(
        Doubts(Counter({"takeover": 2, "answer": 1}), Counter({"status": 2, "hold": 1}), blind=3),
        Counter({"taken": 9, "not_taken": 4}),
        Drain(duplicates=5, contradictions=6),
        Pace(throttled=7, pair_waits=8, rate=19.5),
        Number(stopped=(190, "expired")),
        Graph(late_writes=1),
    )
    shown = values(parts, State.DOUBT, State.OUT, State.HELD, State.DOUBT)
    assert {key: value for key, value in shown.items() if value} == {
        ("in_doubt_total", "takeover"): 2,
        ("in_doubt_total", "answer"): 1,
        ("doubt_ended_total", "status"): 2,
        ("doubt_ended_total", "hold"): 1,
        ("blind_total",): 3,
        ("in_doubt",): 2,
        ("held",): 1,
        ("answers_total", "taken"): 9,
        ("answers_total", "not_taken"): 4,
        ("duplicates_total",): 5,
        ("contradictions_total",): 6,
        ("throttled_total",): 7,
        ("pair_waits_total",): 8,
        ("rate",): 19.5,
        ("stopped",): 1,
        ("late_writes_total",): 1,
    }


def test_what_never_was_is_zero_and_not_missing() -> None:
    shown = values(Parts())
    assert set(shown.values()) == {0}
    labelled = {key for key in shown if len(key) == 2}
    assert labelled == {
        *(("in_doubt_total", cause) for cause in CAUSES),
        *(("doubt_ended_total", end) for end in ENDS),
        *(("answers_total", answer) for answer in ANSWERS),
    }


def test_labels_are_bounded() -> None:
    """A socket or a server may say anything."""
    parts = Parts(Doubts(Counter({f"Error {n}": 1 for n in range(50)}), Counter({"odd": 2})))
    shown = values(parts)
    assert shown["in_doubt_total", "connection"] == 50
    assert shown["doubt_ended_total", "other"] == 2
    assert len(shown) == len(values(Parts())) + 1


def test_each_is_in_the_catalogue() -> None:
    """What is not is shown nowhere."""
    names = {sample.name for sample in cloud_samples(Parts(), ())}
    assert {CATALOGUE[name].page for name in names} == {Page.APP}
    assert len(names) == 13
