"""Limits: as many as the rate allows, one second deep; pairs with their depth."""

from hypothesis import given
from hypothesis import strategies as st

from warouter.lab.simulator.cloud.limits import PairLimit, Throughput


def taken(bucket: Throughput, times: list[float]) -> int:
    count = 0
    for now in times:
        if bucket.may_take(now):
            bucket.take(now)
            count += 1
    return count


def test_one_second_at_once_and_then_the_rate() -> None:
    bucket = Throughput(80)
    assert taken(bucket, [100.0] * 200) == 80
    assert taken(bucket, [100 + n / 1000 for n in range(1000)]) in (79, 80)


def test_no_rate_is_no_limit_and_inbound_may_leave_debt() -> None:
    assert taken(Throughput(0), [1.0] * 500) == 500
    bucket = Throughput(20)
    for _ in range(40):
        bucket.take(5.0)
    assert not bucket.may_take(5.9)
    assert bucket.may_take(6.2)


def test_another_level_holds_from_now_on() -> None:
    bucket = Throughput(80)
    taken(bucket, [100.0] * 80)
    bucket.set(1000, 100.0)
    assert not bucket.may_take(100.0)
    assert taken(bucket, [100.1005] * 200) == 100


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_never_more_than_depth_and_rate(waits: list[float]) -> None:
    bucket, now, count, first = Throughput(10), 1000.0, 0, 1000.0
    for wait in waits:
        now += wait
        if bucket.may_take(now):
            bucket.take(now)
            count += 1
        assert count <= 10 + 10 * (now - first) + 1e-6


def test_pairs_have_a_depth_and_then_one_each_six_seconds() -> None:
    pairs = PairLimit(6.0, 45)

    def offered(customer: str, now: float, times: int) -> int:
        count = 0
        for _ in range(times):
            if pairs.may_take(customer, now):
                pairs.take(customer, now)
                count += 1
        return count

    assert offered("a", 10.0, 100) == 45
    assert offered("a", 15.9, 1) == 0
    assert offered("a", 16.1, 5) == 1
    assert offered("b", 16.1, 5) == 5
    assert offered("a", 16.1 + 45 * 6, 100) == 45


def test_pairs_without_a_limit_and_their_memory() -> None:
    pairs = PairLimit(0, 1)
    assert all(pairs.may_take("a", 1.0) for _ in range(3))
    pairs.set(6.0, 1)
    for n in range(50_000):
        pairs.take(str(n), n * 1.0)
    assert len(pairs._free) < 25_000
