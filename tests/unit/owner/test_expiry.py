"""When a message ends unsent, whatever one clock of two has done."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.message_id import mint
from warouter.owner import expiry
from warouter.owner.expiry import Expiry

NOW = 1_800_000_000.0  # true time
PENDING = 86_400.0
STEP = st.floats(-4000, 4000)


def of(age: float, ttl: int | None, *, database: float = 0.0, node: float = 0.0) -> float:
    """In how many seconds it ends, whose true age this is, after clocks were set so much forward.

    It was appended, and its id was minted, before.
    """
    nobody: Any = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiry, "wall", lambda: NOW + node)
        raw = mint(3, int((NOW - age) * 1000), bytes(12))
        said = max(0.0, age + database)  # as the statements say it
        ends, timed = Expiry(nobody, nobody, lambda: 500.0, PENDING).end_of(0, ttl, said, raw)
    assert timed == (ttl is not None)
    return ends - 500.0


@given(st.floats(0.001, 5000), st.integers(1, 5000), STEP)
def test_no_message_ends_early_for_the_databases_clock(age: float, ttl: int, by: float) -> None:
    ends = of(age, ttl, database=by)
    assert ends >= ttl - age - 0.002
    assert ends <= min(ttl, ttl - age + abs(by)) + 0.002  # nor later than its whole ttl


@given(st.floats(0.001, 5000), st.integers(1, 5000), STEP)
def test_nor_for_the_clock_of_a_node(age: float, ttl: int, by: float) -> None:
    ends = of(age, ttl, node=by)
    assert ends >= ttl - age - 0.002
    assert ends <= min(ttl, ttl - age + abs(by)) + 0.002


def test_without_the_second_clock_it_would() -> None:
    """The build without the mechanism: as if the node's clock had gone with the database's."""
    assert of(10.0, 60, database=3600.0, node=3600.0) < 0


def test_a_read_mark_waits_as_long_as_it_takes() -> None:
    nobody: Any = None
    assert (
        Expiry(nobody, nobody, lambda: 0.0, PENDING).end_of(1, None, 5.0, bytes(20))[0] == math.inf
    )
