"""The pure parts of `warouter cloud probe`: costs and bounds, statistics, what the table says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.lab.probe.arrivals import decoded
from warouter.lab.probe.bodies import body, content
from warouter.lab.probe.observed import (
    HeardStatus,
    Listing,
    Observed,
    ProbeMessage,
    WebhookTrial,
    exported,
    masked,
)
from warouter.lab.probe.plan import Times, bound, calls, dry, seconds, total
from warouter.lab.probe.questions import ALL, IDS, ORDER, ProbeScope, messages_of
from warouter.lab.probe.refusals import ENDING, RunRefusals, failed
from warouter.lab.probe.statistics import interval, quantile, share, spread
from warouter.lab.probe.table import heading, markdown, raw
from warouter.lab.probe.verdicts import NOT_MEASURED, ResultRow, rows
from warouter.upstream.cloud.answers import Class, Judged
from warouter.upstream.cloud.batch import STATUS, Element

TO = "491511234567"
WAMID = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5QTNEQTA2RjdGMEY4RTRGAA=="


def asked(*questions: str, **more: Any) -> ProbeScope:
    return ProbeScope(questions or IDS, (TO,), **more)


def message(question: str, **more: Any) -> ProbeMessage:
    given = {"kind": "text", "to": 0, "reference": "probe.r.Q.1", "outcome": "answered", **more}
    return ProbeMessage(question=question, **given)


def heard(status: str = "sent", at: float = 1.0, **more: Any) -> HeardStatus:
    return HeardStatus(status=status, at=at, **{"meta": 1_000, "echoed": True, **more})


def result(question: str, **seen: Any) -> ResultRow:
    (row,) = rows(Observed(began=0.0, **seen), [question])
    return row


# Plan


def test_the_order_has_each_question_once() -> None:
    assert sorted(ORDER) == sorted(IDS) == sorted(question.id for question in ALL)


def test_q3_and_q15_are_of_the_same_requests() -> None:
    assert messages_of(asked("Q3", "Q15"), "Q15") == 0
    assert messages_of(asked("Q15"), "Q15") == 40
    assert total(asked("Q3", "Q15")) == total(asked("Q3")) == 41


@given(st.sets(st.sampled_from(IDS), min_size=1), st.integers(1, 10_000))
def test_more_questions_and_messages_never_cost_less(questions: set[str], messages: int) -> None:
    some = asked(*questions, messages=messages)
    every = asked(messages=messages)
    assert total(some) <= total(every)
    assert seconds(some, Times()) <= seconds(every, Times()) < bound(every, Times())
    assert total(some) <= total(some._replace(messages=messages + 1))


def test_a_long_run_to_one_number_takes_six_seconds_a_message() -> None:
    one = seconds(asked("Q1", messages=1_000), Times())
    assert one > 1_400 * 6
    several = ProbeScope(("Q1",), tuple(f"4915112345{n}" for n in range(60, 70)), messages=1_000)
    assert seconds(several, Times()) < one / 3


def test_the_plan_names_nobody() -> None:
    said = dry(asked(unreachable="491511234999"), Times(), "v25.0", "127.0.0.1:9095")
    assert "...67 and ...99" in said
    assert TO not in said
    assert "127.0.0.1:9095" in said
    assert "Of Q2 `played` is left out: give a voice note" in said


def test_the_plan_says_what_is_left_out_without_a_terminal() -> None:
    said = dry(asked("Q2", voice=True), Times(), "v25.0", "x:1")
    assert "Of Q2 `failed` is left out" in said
    assert "it needs a terminal" in said


def test_only_the_history_takes_many_other_calls() -> None:
    assert calls(asked("Q1"), Times()) == 1
    assert calls(asked("Q2", voice=True, person=True), Times()) == 2
    assert calls(asked("Q7"), Times(history=10, poll=2)) == 9


# Bodies


@pytest.mark.parametrize("kind", ["text", "location", "interactive"])
def test_a_body_has_its_kind_its_reference_and_a_plus(kind: str) -> None:
    made = msgspec.json.decode(body(TO, "probe.r.Q1.7", kind, content(kind, "x")))
    assert made["to"] == f"+{TO}"
    assert made["biz_opaque_callback_data"] == "probe.r.Q1.7"
    assert made["type"] == kind
    assert kind in made


# Statistics


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_a_value_that_so_many_do_not_exceed(values: list[float], part: float) -> None:
    found = quantile(values, part)
    assert found in values
    assert sum(value <= found for value in values) >= part * len(values) * (1 - 1e-9)


@given(st.integers(1, 10_000), st.data())
def test_an_interval_holds_the_share(of: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, of))
    low, high = interval(count, of)
    assert 0 <= low <= count / of + 1e-9
    assert count / of - 1e-9 <= high <= 1


def test_a_quantile_is_told_only_of_enough_values() -> None:
    assert spread([]) == ""
    assert spread([0.5]) == "p50 0.50 s, most 0.50 s"
    assert spread([0.1] * 99 + [30.0]) == "p50 0.10 s, p99 0.10 s, most 30.0 s"
    assert "p99.9" in spread([1.0] * 1_000)


def test_a_share_tells_how_certain_it_is() -> None:
    assert share(0, 0) == "0 of 0"
    assert share(10, 10) == "10 of 10 (72-100 %)"


# Verdicts


@pytest.mark.parametrize("question", IDS)
def test_unmeasured_answers_say_so(question: str) -> None:
    row = result(question)
    assert (row.n, row.result) == (0, NOT_MEASURED)


def test_q1_counts_from_the_answer() -> None:
    early = message("Q1", wamid="a", ended=2.0, statuses=[heard(at=1.9)])
    usual = message("Q1", wamid="b", ended=2.0, statuses=[heard("delivered", 9.0), heard(at=2.5)])
    without = message("Q1", wamid="c", ended=2.0, statuses=[heard("delivered", 3.0)])
    refused = message("Q1", code=131056)
    row = result("Q1", messages=[early, usual, without, refused])
    assert row.n == 3
    assert row.result == (
        "text (n=3): p50 -0.10 s, most 0.50 s, 1 before the 200, 1 without `sent`;"
        " 1 refused with 131056"
    )


def test_q3_tells_each_delay_apart() -> None:
    cut = [
        message("Q3", cut_ms=0, outcome="cut", written=1.0, ended=1.0),
        message("Q3", cut_ms=0, outcome="cut", written=1.0, ended=1.0, statuses=[heard()]),
        message("Q3", cut_ms=500, wamid="a", written=1.0, ended=1.5),
        message("Q3", cut_ms=50, outcome="unbegun"),
    ]
    row = result("Q3", messages=cut)
    assert row.n == 3
    first, last = row.result.split("; ")
    assert first.startswith("0 ms: 1 of 2")
    assert last.startswith("500 ms: 1 of 1")
    assert last.endswith("1 answered before")


def test_q3_is_not_of_what_was_refused() -> None:
    cut = [
        message("Q3", cut_ms=500, outcome="cut", written=1.0, ended=1.5, statuses=[heard()]),
        message("Q3", cut_ms=500, code=130429, http=429, written=1.0, ended=1.1),
        message("Q3", cut_ms=500, http=429, written=1.0, ended=1.1),
    ]
    row = result("Q3", messages=cut)
    assert row.n == 1
    share_, *refused = row.result.split("; ")
    assert share_.startswith("500 ms: 1 of 1")
    assert refused == ["1 refused with 130429", "1 refused with HTTP 429"]
    assert result("Q15", messages=cut).result.endswith("; ".join(refused))
    assert result("Q3", messages=cut[1:]).result == "; ".join(refused)
    assert result("Q15", messages=cut[1:]).result == "; ".join(refused)


def test_q15_is_of_those_that_were_cut_and_taken() -> None:
    late = heard(at=40.0, meta=1_039)
    cut = message("Q3", cut_ms=200, outcome="cut", written=10.0, ended=10.2, statuses=[late])
    answered = message("Q3", cut_ms=500, wamid="a", written=1.0, statuses=[heard(at=90.0)])
    seen = Observed(began=1_000.0, clock=0.0, messages=[cut, answered], late_seconds=120.0)
    (row,) = rows(seen, ["Q15"])
    assert row.n == 1
    assert "p50 30.0 s" in row.result
    assert "after the reset: most 29.8 s" in row.result
    assert "by Meta's timestamps: most 29.0 s" in row.result
    assert "1 later than 20 s" in row.result


def test_q15_of_what_was_never_taken() -> None:
    cut = message("Q3", cut_ms=0, outcome="cut", written=1.0, ended=1.0)
    assert result("Q15", messages=[cut]).result == "none was taken"


def test_q6_tells_the_delays_between_repeats() -> None:
    trials = [
        WebhookTrial(
            manner="stall", reference="r", posts=[1.0, 22.0], closed=[20.0], seconds=600.0
        ),
        WebhookTrial(manner="204", reference="r", posts=[1.0], seconds=600.0),
        WebhookTrial(manner="500", reference="r"),
    ]
    row = result("Q6", trials=trials)
    assert row.n == 2
    assert row.result == (
        "stall (closed after p50 20.0 s, most 20.0 s): 1 repeats within 600 s, after 21.0 s;"
        " 204: 0 repeats within 600 s; 500: no webhook came"
    )


def test_q7_tells_when_each_was_listed() -> None:
    listings = [
        Listing(at=2.0, query="unfiltered", listed=True, found=1, answered=True),
        Listing(at=5.0, query="unfiltered", listed=True, found=2, answered=True, cut=True),
        Listing(at=6.0, query="limit 101", refused=True, words="HTTP 400"),
    ]
    sent = [message("Q7", ended=1.5), message("Q7", outcome="cut", ended=2.0)]
    assert result("Q7", listings=listings, messages=sent).result == (
        "unfiltered: listed, 2 entries at most; the answered message: after 0.50 s;"
        " the cut one: after 3.00 s; limit 101: HTTP 400"
    )


def test_q12_knows_one_message_from_two() -> None:
    same = [message("Q12", reference="p1", wamid="a") for _ in range(2)]
    apart = [message("Q12", reference="p2", wamid=w, statuses=[heard()]) for w in ("b", "c")]
    row = result("Q12", messages=[*same, *apart], seen=3)
    assert row.n == 2
    assert row.result.startswith("two ids in 1 of 2")
    assert row.result.endswith("statuses of both in 1; a person counted 3 messages of 4")


# Refusals


LANE = Judged(Class.LANE, meta_code=131056)
RATE = Judged(Class.NOT_TAKEN, meta_code=130429)
TAKEN = Judged(Class.TAKEN, wamid=WAMID)


@pytest.mark.parametrize(
    "answers",
    [[LANE, LANE, TAKEN, LANE, LANE], [RATE, LANE, RATE, LANE, RATE], [Judged(Class.FINAL)] * 9],
)
def test_refusals_that_are_not_in_a_row_end_nothing(answers: list[Judged]) -> None:
    refusals = RunRefusals()
    assert not any(refusals.answered(answer, "words") for answer in answers)


def test_the_third_in_a_row_ends_it() -> None:
    refusals = RunRefusals()
    said = [refusals.answered(answer, "words") for answer in (RATE, LANE, LANE, LANE)]
    assert [bool(words) for words in said] == [False, False, False, True]
    assert said[-1].startswith("Meta refused 3 in a row (131056, words): ")


def test_a_status_ends_it_by_its_code() -> None:
    assert all(failed(code) for code in ENDING)
    assert "warouter cloud check" in failed(131031)
    assert not any(failed(code) for code in (131026, 131047, 131049, 999_999))


# Arrivals


@pytest.mark.parametrize(
    "raw",
    [b'{"a": "\xff"}', b'{"a"', b"[" * 100_000, b"[]"],
    ids=["no UTF-8", "broken", "deep", "no object"],
)
def test_an_element_that_cannot_be_read_is_empty(raw: bytes) -> None:
    assert decoded(Element(kind=STATUS, key="k", raw=raw)) == {}


# Table


def test_the_table_and_the_raw_observations_hold_no_ids() -> None:
    said = masked(f"(#100) no {WAMID} for 106540352242922 or +{TO}")
    assert said == "(#100) no wamid... for ... or +..."
    refused = message("Q11", code=100, http=400, words=said, wamid="", reference="probe.r.Q11.1")
    taken = message("Q11", kind="in | `text`", http=200, wamid=WAMID)
    taken.statuses = [heard(wamid=WAMID)]
    seen = Observed(began=1_764_000_000.0, level=80.0, messages=[refused, taken])
    found = rows(seen, ["Q11"])
    title = heading(seen, "1.0", "v25.0")
    assert title == "warouter 1.0, Graph API v25.0, 2025-11-24, level 80/s"
    table = markdown(title, found)
    assert table.splitlines()[-1].count("|") == 5
    for text in (table, raw(title, found, seen).decode()):
        assert "HBgL" not in text
        assert "probe." not in text


def test_the_export_says_whether_a_message_was_accepted() -> None:
    seen = Observed(began=0.0, messages=[message("Q1", wamid=WAMID), message("Q1")])
    assert [one["accepted"] for one in exported(seen)["messages"]] == [True, False]


def test_a_run_that_ended_early_says_so() -> None:
    seen = Observed(began=0.0, ended="interrupted")
    assert heading(seen, "1.0", "v25.0").endswith("level unknown, ended early: interrupted")
