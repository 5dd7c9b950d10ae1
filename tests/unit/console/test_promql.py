"""The part of PromQL in which the shipped alerts are written, as Prometheus evaluates it."""

from __future__ import annotations

import pytest

from warouter.console.verdict.counters import CounterHistory
from warouter.console.verdict.promql import parse
from warouter.console.verdict.snapshot import ClusterSnapshot
from warouter.metrics import Sample

SERIES = (("a", "200", 6.0), ("a", "500", 2.0), ("b", "200", 4.0), ("b", "50", 1.0))
REQUESTS = [Sample("requests", value, {"node": n, "result": r}) for n, r, value in SERIES]
GAUGES = [Sample("age", 60, {"node": "a"}), Sample("age", 30, {"node": "b"}), Sample("most", 45)]


def evaluated(text: str) -> object:
    """By the labels' values, over counters that have grown from 0 to ``SERIES`` in 60 s."""
    counters = CounterHistory({"requests"})
    counters.look(0, [Sample(s.name, 0, s.labels) for s in REQUESTS])
    counters.look(60, REQUESTS)
    found = parse(text).evaluate(ClusterSnapshot(60, [*REQUESTS, *GAUGES], counters))
    if not isinstance(found, dict):
        return found
    return {" ".join(value for _, value in sorted(key)): n for key, n in found.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4 - 6 / 2", 11.0),
        ("(2 + 3) * 4", 20.0),
        ("time() - 10", 50.0),
        ("age", {"a": 60, "b": 30}),
        ('age{node="a"}', {"a": 60}),
        ('age{node!="a"}', {"b": 30}),
        ('age{role=""}', {"a": 60, "b": 30}),  # as if a label that is not there were empty
        ('requests{result=~"50", node="b"}', {"b 50": 1}),
        ('requests{result=~"0|5.."}', {"a 500": 2}),
        ('requests{result!~"[25]00"}', {"b 50": 1}),
        ("none", {}),
        ("max(none)", {}),
        ("sum(age)", {"": 90}),
        ("min by (node) (requests)", {"a": 2, "b": 1}),
        ("sum by (node, role) (requests)", {"a": 8, "b": 5}),
        ("age > 30", {"a": 60}),
        ("age >= 30 < 60", {"b": 30}),
        ("max(age) > 50 > max(most)", {"": 60}),
        ("max(age) > max(most) * 2", {}),
        ("age - 30 == 0", {"b": 0}),
        ("age and age > 30", {"a": 60}),
        ("age > 30 and age < 60", {}),
        ("age > 30 or age", {"a": 60, "b": 30}),
        ("age > 100 or age < 60 and age < 50", {"b": 30}),
        ("increase(requests[5m])", {"a 200": 6, "a 500": 2, "b 200": 4, "b 50": 1}),
        ('sum by (node) (rate(requests{result="200"}[1m]))', {"a": 0.1, "b": 4 / 60}),
        ("sum(rate(requests[1m])) / sum(increase(requests[1m]))", {"": pytest.approx(1 / 60)}),
        ("(most - most) / (most - most) > 0", {}),  # not a number
    ],
)
def test_an_expression_is_evaluated(text: str, expected: object) -> None:
    assert evaluated(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "(", "1 +", "age >", "age)", "age age", "age{node}", "rate(age)", "rate(age[5m]"),
        *("5m", "quantile(0.9, age)", "age offset 5m", "age @ 5", "-age", "age unless age"),
        *("max by node", "sum without (node) (age)", "age > bool 1", "age[5m]", "rate(age[5])"),
    ],
)
def test_unsupported_promql_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|understood"):
        parse(text)


def test_the_counters_of_an_expression_are_known() -> None:
    assert parse("sum(rate(a_total[5m])) / max(b) > 1 and increase(c_total[1h]) > 0").counters == {
        "a_total",
        "c_total",
    }
