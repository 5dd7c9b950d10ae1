"""How long each kind of message in doubt waits, at any base."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.windows import Wait, Window, Windows


@pytest.mark.parametrize(
    ("base", "kind", "window"),
    [
        (60.0, Wait.ORDINARY, Window(60.0, 600.0, 60.0)),
        (60.0, Wait.AUTHENTICATION, Window(35.0, 350.0, 35.0)),
        (60.0, Wait.HELD, Window(3900.0, 7200.0, 60.0)),
        (6.0, Wait.ORDINARY, Window(6.0, 60.0, 6.0)),
        (6.0, Wait.AUTHENTICATION, Window(3.5, 35.0, 3.5)),
        (6.0, Wait.HELD, Window(390.0, 720.0, 6.0)),
    ],
)
def test_windows(base: float, kind: Wait, window: Window) -> None:
    assert Windows(base).of(kind) == pytest.approx(window)


@given(st.floats(0.1, 3600.0), st.sampled_from(Wait))
def test_the_lane_goes_on_first_and_a_wait_without_proof_ends_last(base: float, kind: Wait) -> None:
    window = Windows(base).of(kind)
    assert 0 < window.lane <= window.ends < window.blind
