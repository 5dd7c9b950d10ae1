"""The first sentence: whether all is well, and if not, why."""

from __future__ import annotations

from warouter.console.verdict.counters import CounterHistory
from warouter.console.verdict.judge import (
    CRITICAL,
    WARNING,
    Alert,
    AlertRule,
    AlertWatch,
    ClusterSnapshot,
    about,
    verdict,
)


def seen(now: float) -> ClusterSnapshot:
    return ClusterSnapshot(now, {}, CounterHistory(set()), [])


def test_an_alert_is_pending_until_it_has_held() -> None:
    on = [True]
    rule = AlertRule("R", WARNING, lambda _seen, _rule: "It is on." if on[0] else None, hold=30)
    watch = AlertWatch([rule])
    [first] = watch.judge(seen(100))
    assert (first.since, first.pending) == (100, True)
    [later] = watch.judge(seen(130))
    assert (later.since, later.pending) == (100, False)
    on[0] = False
    assert watch.judge(seen(131)) == []
    on[0] = True
    assert watch.judge(seen(140))[0].pending  # it begins anew


def test_the_sentence_names_the_worst_that_fires() -> None:
    rules = [
        AlertRule("W", WARNING, lambda *_: "A warning."),
        AlertRule("P", CRITICAL, lambda *_: "Not for long yet.", hold=60),
        AlertRule("C", CRITICAL, lambda *_: "A critical one."),
    ]
    alerts = AlertWatch(rules).judge(seen(0))
    assert [alert.name for alert in alerts] == ["C", "W", "P"]
    found = verdict(alerts, "nobody asks.")
    assert (found.level, found.sentence) == ("bad", "Not well. A critical one. 1 more alert is on.")


def test_all_is_well_or_nearly() -> None:
    assert verdict([], "2 coreapps own all.")[:2] == ("good", "All is well: 2 coreapps own all.")
    pending = Alert("A", CRITICAL, "Nobody leads.", 0, pending=True)
    level, sentence, _ = verdict([pending], "")
    assert level == "warn"
    assert sentence == "No alert fires, but one will if this lasts: Nobody leads."
    level, sentence, _ = verdict([pending._replace(severity=WARNING, pending=False)], "")
    assert (level, sentence) == ("warn", "Needs attention. Nobody leads.")


def test_spans_are_told_in_one_unit_and_rounded_down() -> None:
    told = [about(s) for s in (0.4, 59, 60, 3599, 3600, 86_400, 2 * 86_400, 14 * 86_400)]
    assert told == ["0 s", "59 s", "1 min", "59 min", "1 h", "24 h", "2 days", "14 days"]
