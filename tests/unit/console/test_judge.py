"""The first sentence: whether all is well, and if not, why."""

from __future__ import annotations

from warouter.console.verdict.counters import CounterHistory
from warouter.console.verdict.judge import (
    CRITICAL,
    Alert,
    AlertRule,
    AlertWatch,
    about,
    sentence,
    verdict,
)
from warouter.console.verdict.promql import parse
from warouter.console.verdict.snapshot import ClusterSnapshot
from warouter.metrics import Sample


def snapshot(now: float, **values: float) -> ClusterSnapshot:
    """``up`` of each of these nodes."""
    samples = [Sample("up", value, {"node": node}) for node, value in values.items()]
    return ClusterSnapshot(now, samples, CounterHistory(set()))


def rule(name: str, severity: str, hold: float = 0, expr: str = "up == 0") -> AlertRule:
    return AlertRule(name, severity, hold, parse(expr), f"{name} of {{{{ $labels.node }}}}")


def test_an_alert_is_pending_until_it_has_held() -> None:
    watch = AlertWatch([rule("R", "warning", 30)])
    [first] = watch.judge(snapshot(100, a=0))
    assert (first.since, first.pending) == (100, True)
    [later] = watch.judge(snapshot(130, a=0))
    assert (later.since, later.pending, later.sentence) == (100, False, "R of a.")
    assert watch.judge(snapshot(131, a=1)) == []
    assert watch.judge(snapshot(140, a=0))[0].pending  # it begins anew


def test_each_series_must_hold_by_itself() -> None:
    watch = AlertWatch([rule("R", "warning", 30)])
    for now in range(0, 100, 10):
        [alert] = watch.judge(snapshot(now, a=now % 20, b=now % 20 - 10))  # in turn
        assert alert.pending
    watch.judge(snapshot(100, a=0, b=1))
    [alert] = watch.judge(snapshot(130, a=0, b=0))
    assert (alert.since, alert.pending, alert.sentence) == (100, False, "R of a.")


def test_the_sentence_names_the_worst_that_fires() -> None:
    rules = [rule("W", "warning"), rule("P", CRITICAL, hold=60), rule("C", CRITICAL)]
    alerts = AlertWatch(rules).judge(snapshot(0, a=0))
    assert [alert.name for alert in alerts] == ["C", "W", "P"]
    found = verdict(alerts, "nobody asks.")
    assert (found.level, found.sentence) == ("bad", "Not well. C of a. 1 more alert is on.")


def test_a_summary_is_filled_in_for_each_series() -> None:
    def said(form: str, value: float) -> str:
        return sentence(f"It is {{{{ $value{form} }}}}", {frozenset(): value})

    assert said("", 12345) == "It is 12,345."
    assert said(" | humanize", 1.6) == "It is 2."
    assert said(" | humanizePercentage", 0.125) == "It is 12.5 %."
    assert said(" | humanizeDuration", 1515) == "It is 25 min."
    of = "{{ $labels.node }} is late"
    found = {frozenset({("node", node)}): 1.0 for node in "edcba"}
    assert sentence(of, found) == "a is late. b is late. c is late. And 2 more."


def test_all_is_well_or_nearly() -> None:
    assert verdict([], "2 coreapps own all.")[:2] == ("good", "All is well: 2 coreapps own all.")
    pending = Alert("A", CRITICAL, "Nobody leads.", 0, pending=True)
    level, sentence, _ = verdict([pending], "")
    assert level == "warn"
    assert sentence == "No alert fires, but one will if this lasts: Nobody leads."
    level, sentence, _ = verdict([pending._replace(severity="warning", pending=False)], "")
    assert (level, sentence) == ("warn", "Needs attention. Nobody leads.")


def test_spans_are_told_in_one_unit_and_rounded_down() -> None:
    told = [about(s) for s in (0.4, 59, 60, 3599, 3600, 86_400, 2 * 86_400, 14 * 86_400)]
    assert told == ["0 s", "59 s", "1 min", "59 min", "1 h", "24 h", "2 days", "14 days"]
