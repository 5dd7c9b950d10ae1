"""What a sender asked for stands in the kind of a message, which is stored and travels."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from warouter.kinds import (
    FAIL,
    HOLD,
    MEDIA,
    MESSAGE,
    NO_POLICY,
    POLICY_NAMES,
    READ_MARK,
    RESEND,
    base_of,
    has_priority,
    kind_with,
    policy_of,
)


@given(st.integers(0, 7), st.integers(0, 3), st.booleans())
def test_a_kind_is_read_as_it_was_made(base: int, policy: int, priority: bool) -> None:
    kind = kind_with(base, policy, priority)
    assert 0 <= kind < 64
    assert (base_of(kind), policy_of(kind), has_priority(kind)) == (base, policy, priority)


def test_no_two_wishes_are_one_kind() -> None:
    assert len({kind_with(*of) for of in product(range(8), range(4), (False, True))}) == 64


def test_the_numbers_never_change() -> None:
    """They are in journals, and on links to other builds."""
    assert (MESSAGE, READ_MARK, MEDIA) == (0, 1, 2)
    assert [kind_with(MESSAGE, p) for p in (NO_POLICY, RESEND, FAIL, HOLD)] == [0, 8, 16, 24]
    assert POLICY_NAMES == ("", "resend", "fail", "hold")
    assert kind_with(MEDIA, HOLD, True) == 58


@given(st.sampled_from((MESSAGE, READ_MARK, MEDIA)))
def test_a_message_without_options_has_a_plain_kind(base: int) -> None:
    """As earlier builds know it."""
    assert kind_with(base) == base


@given(st.integers(0, 255))
def test_bits_of_a_later_build_are_passed_over(kind: int) -> None:
    low = kind & 63
    assert base_of(kind) == base_of(low)
    assert policy_of(kind) == policy_of(low)
    assert has_priority(kind) == has_priority(low)
