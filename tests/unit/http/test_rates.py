"""The rate limit's buckets, and how they are set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.config import load
from warouter.errors import ApiError, ConfigError
from warouter.http.envelope import Envelopes
from warouter.http.pace import limits
from warouter.http.rates import MOST_BUCKETS, Buckets, RateLimit, Rates, TokenBucket, parse_rates


def test_a_burst_then_the_rate() -> None:
    bucket = TokenBucket(RateLimit(50, 150), now=100.0)
    assert [bucket.take(100.0) for _ in range(150)] == [0.0] * 150
    assert bucket.take(100.0) == pytest.approx(0.02)
    assert bucket.take(100.01) == pytest.approx(0.01)  # a refusal takes nothing
    assert bucket.take(100.021) == 0.0
    assert sum(bucket.take(101.021) == 0.0 for _ in range(150)) == 50
    assert sum(bucket.take(1000.0) == 0.0 for _ in range(500)) == 150  # no more after any pause


@given(
    st.floats(0.1, 1000),
    st.integers(1, 300),
    st.lists(st.floats(0, 2), min_size=1, max_size=300),
)
def test_never_more_than_burst_and_rate_allow(rate: float, burst: int, pauses: list[float]) -> None:
    bucket, now, taken = TokenBucket(RateLimit(rate, burst), now=0.0), 0.0, 0
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        taken += wait == 0.0
        assert taken <= burst + now * rate + 1e-6
        if wait > 0:
            assert wait <= 1 / rate + 1e-9


def test_each_user_has_buckets_of_their_own() -> None:
    buckets = Buckets(Rates(RateLimit(1, 2), RateLimit(1, 3)))
    assert [buckets.take(1, "a", 0.0, sends=True) for _ in range(3)] == [0.0, 0.0, 1.0]
    assert [buckets.take(1, "a", 0.0, sends=False) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert buckets.take(1, "b", 0.0, sends=True) == 0.0
    assert buckets.take(2, "a", 0.0, sends=True) == 0.0  # of another number


def test_buckets_that_are_full_again_are_not_kept() -> None:
    buckets = Buckets(Rates(RateLimit(1, 10), RateLimit(1, 10)))
    for n in range(MOST_BUCKETS - 1):
        buckets.take(1, f"user{n}", 0.0, sends=True)
    for _ in range(10):
        buckets.take(1, "busy", 5.0, sends=True)
    buckets.take(1, "new", 6.0, sends=True)
    assert len(buckets) == 2
    assert buckets.take(1, "busy", 6.0, sends=True) == 0.0  # one second's worth, and no more
    assert buckets.take(1, "busy", 6.0, sends=True) > 0


def test_settings() -> None:
    assert parse_rates("off") is None
    assert parse_rates(" OFF ") is None
    assert parse_rates("product") == Rates(RateLimit(50, 150), RateLimit(20, 60))
    assert parse_rates("0.5/1, 1000/2000") == Rates(RateLimit(0.5, 1), RateLimit(1000, 2000))


@pytest.mark.parametrize(
    "text",
    ["", "on", "50", "50/150", "50/150,20", "0/1,1/1", "1/0,1/1", "nan/1,1/1", "1/1,1/1,1/1"],
)
def test_bad_rates_are_explained(text: str) -> None:
    with pytest.raises(ConfigError, match="WAROUTER_RATE_LIMIT"):
        parse_rates(text)


def test_connections() -> None:
    bounds = limits(load({"WAROUTER_TRUSTED_PROXIES": "10.0.0.4, 192.0.2.0/24"}))
    assert (bounds.connections, bounds.connections_per_address) == (2_000, 100)
    assert [str(n) for n in bounds.exempt] == [
        *("127.0.0.0/8", "::1/128", "10.0.0.4/32", "192.0.2.0/24")
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WAROUTER_TRUSTED_PROXIES", "10.0.0.4/33"),
        ("WAROUTER_CONNECTIONS", "0"),
        ("WAROUTER_CONNECTIONS_PER_ADDRESS", "-1"),
    ],
)
def test_impossible_limits_are_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        limits(load({name: value}))


def test_a_limited_client_is_told_how_long_to_wait() -> None:
    told = [e for e in (ApiError, *subclasses(ApiError)) if e.status in (429, 503)]
    assert len(told) >= 3
    for error in told:
        assert Envelopes({}).failure(error("later")).headers["Retry-After"].isdigit()


def subclasses(of: type[ApiError]) -> list[type[ApiError]]:
    return [c for child in of.__subclasses__() for c in (child, *subclasses(child))]
