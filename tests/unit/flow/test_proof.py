"""The proof that webhooks reach us: each rule, and the ways in which a proof can be wrong."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.proof import Cohort, ListenerAges, ProofState, way
from warouter.flow.windows import Windows

CLEAN = Cohort(100, 0)
NONE = Cohort(0, 0)
DAY = 86_400.0


def at(
    age: float, since: float, until: float = math.inf, *, left: bool = False, meta: float = math.inf
) -> ListenerAges:
    """A row as it is ``age`` seconds after the doubt began; all times are since then.

    ``meta``: when its newest event was made: just now, unless told; NaN if it had none.
    """
    seen = max(0.0, age - until)
    return ListenerAges(
        since=age - since,
        seen=seen,
        left=seen if left else None,
        meta=None if math.isnan(meta) else max(0.0, age - meta),
    )


def judge(
    age: float,
    *listeners: ListenerAges,
    cohort: Cohort = CLEAN,
    offset: float | None = 0.0,
    base: float = 60.0,
) -> ProofState:
    rows = listeners or (at(age, -DAY),)
    return way(age, cohort, rows, offset=offset, windows=Windows(base), spread=0.0)


@pytest.mark.parametrize(
    ("answered", "silent", "expected"),
    [
        (1, 0, ProofState.PROVEN),
        (1, 1, ProofState.BEHIND),
        (19, 1, ProofState.BEHIND),  # one of 20, not of fewer
        (20, 1, ProofState.PROVEN),
        (20, 2, ProofState.BEHIND),
        (199, 2, ProofState.BEHIND),
        (200, 2, ProofState.PROVEN),  # 1 %
        (1000, 10, ProofState.PROVEN),
        (1000, 11, ProofState.BEHIND),
    ],
)
def test_nearly_all_of_the_cohort_have_a_status(
    answered: int, silent: int, expected: ProofState
) -> None:
    assert judge(60.0, cohort=Cohort(answered, silent)) is expected


@pytest.mark.parametrize(
    ("vain", "seen", "expected"),
    [
        (None, 0.0, ProofState.PROVEN),
        (29.9, 0.0, ProofState.PROVEN),  # of a stranger, unless nothing rightly signed follows
        (30.1, 0.0, ProofState.GAP),
        (1_000.0, 0.0, ProofState.GAP),
        (1_000.0, 400.0, ProofState.GAP),  # it was restarted, and the gap is not over twice as long
        (1_000.0, 900.0, ProofState.PROVEN),
    ],
)
def test_a_refused_webhook_is_a_gap_unless_a_signed_one_follows(
    vain: float | None, seen: float, expected: ProofState
) -> None:
    left = seen or None
    row = ListenerAges(DAY, seen, left, 0.0, vain)
    assert judge(1_000.0, row, ListenerAges(DAY, 0.0, meta=0.0)) is expected


def test_a_cohort_that_is_not_complete_proves_nothing() -> None:
    assert judge(29.9) is ProofState.BEHIND
    assert judge(30.0) is ProofState.PROVEN


@pytest.mark.parametrize(
    ("made", "offset", "expected"),
    [
        (math.nan, 0.0, ProofState.IDLE),
        (-10.0, 0.0, ProofState.IDLE),  # an old one that was late
        (2.9, 0.0, ProofState.IDLE),
        (3.0, 0.0, ProofState.PROVEN),
        (12.9, 10.0, ProofState.IDLE),  # Meta's clock is ahead
        (13.0, 10.0, ProofState.PROVEN),
        (-7.0, -10.0, ProofState.PROVEN),  # and behind
        (62.9, None, ProofState.IDLE),  # nobody knows
        (63.0, None, ProofState.PROVEN),
    ],
)
def test_without_a_cohort_one_event_by_metas_clock(
    made: float, offset: float | None, expected: ProofState
) -> None:
    rows = at(90.0, -DAY, meta=math.nan), at(90.0, -DAY, meta=made)
    assert judge(90.0, *rows, cohort=NONE, offset=offset) is expected


@pytest.mark.parametrize(
    ("made", "offset", "expected"),
    [
        (math.nan, 0.0, ProofState.IDLE),
        (-0.1, 0.0, ProofState.IDLE),
        (0.0, 0.0, ProofState.PROVEN),
        (9.9, 10.0, ProofState.IDLE),
        (10.0, 10.0, ProofState.PROVEN),
        (59.9, None, ProofState.IDLE),
        (60.0, None, ProofState.PROVEN),
    ],
)
def test_a_cohort_of_which_all_was_told_before_the_doubt_proves_nothing(
    made: float, offset: float | None, expected: ProofState
) -> None:
    """A successor drains what came in before it: of that it keeps ids as of a cohort."""
    assert judge(90.0, at(90.0, -DAY, meta=made), cohort=CLEAN, offset=offset) is expected


@given(
    age=st.floats(0.0, 200.0),
    later=st.floats(0.0, 1.0),
    made=st.floats(-100.0, 200.0),
    began=st.floats(-100.0, 100.0),
    cohort=st.sampled_from([CLEAN, NONE, Cohort(100, 50)]),
)
def test_proof_for_the_first_doubt_serves_each_of_its_second(
    age: float, later: float, made: float, began: float, cohort: Cohort
) -> None:
    """Doubts of one second share an answer: one near its end has another time before it."""

    def told(begun: float, spread: float = 0.0) -> ProofState:
        rows = (at(age - begun, -DAY), at(age - begun, began - begun, meta=made - begun))
        return way(age - begun, cohort, rows, offset=0.0, windows=Windows(2.0), spread=spread)

    if told(0.0, spread=1.0) is ProofState.PROVEN:
        assert told(later) is ProofState.PROVEN


def first(*spans: tuple[float, float, str], base: float = 60.0, most: float = 2_000.0) -> float:
    """The first age, in tenths of a second, from which no gap of ours stands against a proof.

    ``spans``: from when until when each webapp listened, and ``left`` if it stopped in order.
    """
    rows_from = max((until for _, until, _ in spans if until < math.inf), default=0.0) + 6.0
    age = max(rows_from, 30.0)
    while age < most:
        rows = [at(age, since, until, left=how == "left") for since, until, how in spans]
        if judge(age, *rows, base=base) is not ProofState.GAP:
            return round(age, 1)
        age += 0.1
    return math.inf


OPEN = math.inf


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param([(-DAY, OPEN, "")], 30.0, id="no gap"),
        pytest.param([(-DAY, 0.0, ""), (90.0, OPEN, "")], 270.0, id="the only one died"),
        pytest.param([(-DAY, -30.0, ""), (20.0, OPEN, "")], 120.0, id="before the doubt"),
        pytest.param([(-DAY, -30.0, ""), (-1.0, OPEN, "")], 30.0, id="over before the doubt"),
        pytest.param([(-DAY, 10.0, "")], OPEN, id="nobody came back"),
        pytest.param([(20.0, OPEN, "")], 60.0, id="refused until 20 s"),
        pytest.param([(-DAY, OPEN, ""), (20.0, OPEN, "")], 60.0, id="one of two refused"),
        pytest.param([(-DAY, OPEN, ""), (-DAY, 50.0, "left")], 56.0, id="left in order"),
        pytest.param(
            [(-DAY, OPEN, ""), (-DAY, 50.0, "left"), (55.0, OPEN, "")], 56.0, id="restarted"
        ),
        pytest.param([(-DAY, 50.0, "left"), (60.0, OPEN, "")], 80.0, id="the only one restarted"),
        pytest.param([(-DAY, 50.0, "left")], OPEN, id="the only one left"),
        pytest.param([(-DAY, OPEN, ""), (-DAY, 10.0, "")], 100.0, id="one of two died: 30 s"),
        pytest.param(
            [(-DAY, OPEN, ""), (-DAY, 10.0, ""), (20.0, OPEN, "")], 40.0, id="and came back"
        ),
        pytest.param(
            [(-DAY, OPEN, ""), (-DAY, 10.0, ""), (-DAY, 15.0, ""), (20.0, OPEN, "")],
            115.0,  # from 10 to 45 as one, and twice as long again
            id="two died, one came back",
        ),
        pytest.param(
            [(-DAY, OPEN, ""), (-DAY, -5000.0, ""), (20.0, OPEN, "")],
            60.0,
            id="who died long ago has no successor",
        ),
        pytest.param(
            [(-DAY, OPEN, ""), (-DAY, -5000.0, "left"), (20.0, OPEN, "")],
            60.0,
            id="nor who left long ago",
        ),
        pytest.param(
            [(-DAY, 10.0, ""), (-DAY, 20.0, ""), (25.0, OPEN, "")],
            145.0,  # the first counts until others have listened for 30 s: from 10 to 55
            id="nobody listened for a while",
        ),
        pytest.param(
            [(-DAY, 0.0, ""), (40.0, 100.0, ""), (101.0, OPEN, "")],
            303.0,  # the second hit what the first had put off
            id="a second gap before the first was over",
        ),
        pytest.param(
            [(-DAY, 5.0, ""), (-DAY, 10.0, ""), (-DAY, 20.0, "left"), (22.0, OPEN, "")],
            146.0,  # the third listened for 10 s only: from 5 to 52
            id="two died, the third one left",
        ),
        pytest.param(
            [(-DAY, OPEN, ""), (-DAY, 10.0, ""), (12.0, OPEN, ""), (40.0, OPEN, "")],
            120.0,
            id="a short gap within a long one",
        ),
        pytest.param(
            [(-DAY, 0.0, ""), (10.0, 100.0, ""), (101.0, OPEN, "")], 106.0, id="two short gaps"
        ),
    ],
)
def test_our_own_gaps_count_twice(spans: list[tuple[float, float, str]], expected: float) -> None:
    assert first(*spans) == pytest.approx(expected, abs=0.15)


def of_listeners(age: float, rows: list[ListenerAges]) -> ProofState:
    """By these alone, if there are any."""
    return way(age, CLEAN, rows, offset=0.0, windows=Windows(), spread=0.0)


def test_without_a_listener_there_is_no_proof() -> None:
    assert of_listeners(1e6, []) is ProofState.GAP


def test_a_gap_counts_whatever_the_cohort_says() -> None:
    rows = at(269.0, -DAY, 0.0), at(269.0, 90.0)
    assert judge(269.0, *rows, cohort=CLEAN) is ProofState.GAP
    assert judge(269.0, *rows, cohort=NONE) is ProofState.GAP


def test_a_row_is_touched_now_and_then_only() -> None:
    assert judge(60.0, ListenerAges(DAY, 4.9, meta=4.9)) is ProofState.PROVEN
    assert judge(60.0, ListenerAges(DAY, 5.1)) is ProofState.GAP
    assert judge(60.0, ListenerAges(DAY, 2.0, left=2.0)) is ProofState.GAP


def test_all_scales_with_the_base() -> None:
    assert judge(2.9, base=6.0) is ProofState.BEHIND
    assert judge(3.0, base=6.0) is ProofState.PROVEN
    for made, expected in ((0.29, ProofState.IDLE), (0.31, ProofState.PROVEN)):
        assert judge(6.0, at(6.0, -DAY, meta=made), cohort=NONE, base=6.0) is expected
    for made, expected in ((6.29, ProofState.IDLE), (6.31, ProofState.PROVEN)):
        row = at(9.0, -DAY, meta=made)
        assert judge(9.0, row, cohort=NONE, offset=None, base=6.0) is expected
    assert first((-DAY, OPEN, ""), (-DAY, 40.0, ""), base=6.0) == pytest.approx(49.0, abs=0.15)


SPAN = st.tuples(st.floats(-200, 200), st.floats(0, 200), st.sampled_from(["died", "left", "on"]))
ROWS = st.lists(SPAN, min_size=1, max_size=5)
AGES = st.floats(30, 3_000)


def listening(spans: list[tuple[float, float, str]], age: float) -> list[ListenerAges]:
    return [
        at(age, since, math.inf if how == "on" else since + lasted, left=how == "left")
        for since, lasted, how in spans
        if since <= age
    ]


@given(ROWS, AGES)
def test_no_proof_within_twice_the_time_that_nobody_listened(
    spans: list[tuple[float, float, str]], age: float
) -> None:
    """Judged second by second: from the end of the last silence as long again, twice."""
    rows = listening(spans, age)
    heard = [
        any(row.since >= age - second >= row.seen - 5.0 for row in rows)
        for second in range(int(age))
    ]
    ended = max((second for second, ok in enumerate(heard) if not ok), default=-1)
    began = max((second for second in range(ended) if heard[second]), default=0)
    if age <= ended + 2 * (ended - began - 1):
        assert of_listeners(age, rows) is ProofState.GAP


@given(ROWS, AGES, st.floats(0, 500))
def test_once_over_a_gap_does_not_come_back(
    spans: list[tuple[float, float, str]], age: float, more: float
) -> None:
    spans = [(since, min(lasted, 200.0), how) for since, lasted, how in spans]
    age = max(age, 410.0)  # all rows are as they will be
    if of_listeners(age, listening(spans, age)) is ProofState.PROVEN:
        later = listening(spans, age + more)
        assert of_listeners(age + more, later) is ProofState.PROVEN


@given(AGES, st.floats(-100, 60), st.floats(0, 1_000))
def test_without_the_offset_less_counts_as_proof(age: float, offset: float, made: float) -> None:
    row = at(age, -DAY, meta=made)
    if judge(age, row, cohort=NONE, offset=None) is ProofState.PROVEN:
        assert judge(age, row, cohort=NONE, offset=offset) is ProofState.PROVEN
