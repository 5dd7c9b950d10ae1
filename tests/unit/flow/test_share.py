"""The split of the number's rate over its owners, that each of them computes for itself."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.share import FLOOR, FRESH_SECONDS, Demand, outgoing, share

DEMANDS = st.lists(st.floats(0.0, 1e5), min_size=1, max_size=40)
RATES = st.floats(0.5, 1000.0)


def rows(demands: list[float], age: float = 0.5) -> list[Demand]:
    return [Demand(UUID(int=n), demand, age) for n, demand in enumerate(demands)]


def shares(demands: list[float], rate: float) -> list[float]:
    table = rows(demands)
    return [share(row.incarnation, table, rate, 32 // len(demands)) for row in table]


@pytest.mark.parametrize(
    ("level", "inbound", "rate"),
    [(80, 0, 76), (80, 10, 66), (80, 500, 24), (1000, 0, 950), (20, 0, 19)],
)
def test_inbound_messages_use_up_only_part_of_the_rate(
    level: float, inbound: float, rate: float
) -> None:
    assert outgoing(level, inbound) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("demands", "expected"),
    [
        ([5000.0, 5000.0], [38.0, 38.0]),
        ([50_000.0, 6.0], [70.0, 6.0]),  # who wants little waits for nobody
        ([50_000.0, 40_000.0, 6.0], [35.0, 35.0, 6.0]),
        ([20.0, 6.0], [45.0, 31.0]),  # what nobody wants is ready for what comes next
        ([0.0, 0.0], [38.0, 38.0]),
        ([5000.0, 0.0], [76.0, 1.0]),
        ([5000.0], [76.0]),
    ],
)
def test_split(demands: list[float], expected: list[float]) -> None:
    assert shares(demands, 76.0) == pytest.approx(expected)


@given(DEMANDS, RATES)
def test_all_of_it_is_given_and_not_more(demands: list[float], rate: float) -> None:
    split = shares(demands, rate)
    assert min(split) >= FLOOR
    assert sum(split) <= rate + FLOOR * len(split) + 1e-6
    assert sum(split) >= rate * (1 - 1e-9)


@given(DEMANDS, RATES, st.data())
def test_more_demand_never_brings_less(
    demands: list[float], rate: float, data: st.DataObject
) -> None:
    more = list(demands)
    one = data.draw(st.integers(0, len(demands) - 1))
    more[one] += data.draw(st.floats(0.0, 1e5))
    before, after = shares(demands, rate), shares(more, rate)
    assert after[one] >= before[one] - 1e-6
    for n in set(range(len(demands))) - {one}:
        assert after[n] <= before[n] + 1e-6
    for n, demand in enumerate(demands):
        if demand >= demands[one]:
            assert before[n] >= before[one] - 1e-6


@given(DEMANDS, RATES)
def test_an_owner_with_a_smaller_share_wanted_no_more(demands: list[float], rate: float) -> None:
    split = shares(demands, rate)
    for demand, part in zip(demands, split, strict=True):
        assert part >= min(demand, max(split)) - 1e-6


def test_a_quota_ends_after_three_seconds() -> None:
    one, other = rows([5000.0, 5000.0])
    old = other._replace(age=FRESH_SECONDS + 0.1)
    assert share(one.incarnation, [one, old], 76.0, 16) == pytest.approx(76.0)
    assert share(old.incarnation, [one, old], 76.0, 8) == pytest.approx(76.0 * 8 / 32)


def test_without_a_row_an_owner_goes_by_its_slots() -> None:
    assert share(UUID(int=9), rows([5000.0]), 76.0, 16) == pytest.approx(38.0)
    assert share(UUID(int=9), [], 19.0, 1) == FLOOR
