"""Metrics of a coreapp whose upstream is the Cloud API: doubts, answers, the number's rate.

Each label has few values: what is counted under another one is shown as ``other``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from warouter.flow.causes import CAUSES, OTHER, word_of
from warouter.flow.doubt import State
from warouter.metrics import Sample
from warouter.upstream.cloud.answers import Class

# What ends a doubt: a status with the reference, one that fits its lane alone, an answer that came
# late or that a former owner heard, an operator, the policy.
ENDS = ("status", "lane", "answer", "operator", "resend", "fail", "hold")
ANSWERS = tuple(each.name.lower() for each in Class)


class Doubts(Protocol):
    """What was in doubt, since the process was started."""

    begun: Counter[str]  # by what was said of the request
    blind: int

    @property
    def ended(self) -> Counter[str]:
        """By one of ENDS."""
        ...


class Drain(Protocol):
    """What the inbox has shown."""

    duplicates: int

    @property
    def contradictions(self) -> int: ...


class Pace(Protocol):
    """How fast this owner may send."""

    throttled: int
    pair_waits: int

    @property
    def rate(self) -> float: ...


class Number(Protocol):
    """The number; ``stopped`` is why, or None."""

    @property
    def stopped(self) -> object | None: ...


class Graph(Protocol):
    late_writes: int


class CloudParts(Protocol):
    """The parts of a coreapp that have these metrics."""

    @property
    def doubts(self) -> Doubts: ...
    @property
    def answers(self) -> Mapping[str, int]: ...
    @property
    def drain(self) -> Drain: ...
    @property
    def pace(self) -> Pace: ...
    @property
    def number(self) -> Number: ...
    @property
    def graph(self) -> Graph: ...


class Issue(Protocol):
    """A request on record, in its owner's memory."""

    state: State


def cloud_samples(parts: CloudParts, issues: Iterable[Issue]) -> list[Sample]:
    """The metrics of these parts; ``issues`` are those of all slots that this coreapp owns."""
    return [
        *doubt_samples(parts.doubts, issues),
        Sample("warouter_cloud_duplicates_total", parts.drain.duplicates),
        Sample("warouter_cloud_contradictions_total", parts.drain.contradictions),
        *_counted("warouter_cloud_answers_total", "class", parts.answers, ANSWERS),
        Sample("warouter_cloud_rate", parts.pace.rate),
        Sample("warouter_cloud_throttled_total", parts.pace.throttled),
        Sample("warouter_cloud_pair_waits_total", parts.pace.pair_waits),
        Sample("warouter_cloud_stopped", int(parts.number.stopped is not None)),
        Sample("warouter_cloud_late_writes_total", parts.graph.late_writes),
    ]


def doubt_samples(doubts: Doubts, issues: Iterable[Issue]) -> list[Sample]:
    """Those of messages in doubt or held."""
    states = Counter(issue.state for issue in issues)
    return [
        *_counted("warouter_cloud_in_doubt_total", "cause", doubts.begun, CAUSES, word_of),
        *_counted("warouter_cloud_doubt_ended_total", "by", doubts.ended, ENDS),
        Sample("warouter_cloud_blind_total", doubts.blind),
        Sample("warouter_cloud_in_doubt", states[State.DOUBT]),
        Sample("warouter_cloud_held", states[State.HELD]),
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
