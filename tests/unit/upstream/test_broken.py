"""Frames of the upstream that do not decode: whose they were."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.lab.simulator.broken import broken, broken_event, noise
from warouter.upstream.broken import HEAD, identify
from warouter.upstream.protocol import (
    MAX_FRAME,
    Answer,
    Event,
    decode_from_upstream,
    encode,
)

SLOTS = st.integers(0, 31)
NUMBERS = st.integers(0, (1 << 63) - 1)


@given(SLOTS, NUMBERS, st.randoms(use_true_random=False))
def test_a_broken_event_is_acknowledged_by_its_number(
    slot: int, number: int, random: Random
) -> None:
    frame = encode(Event(slot, number, "status", "a:sent:1", "4915112345678", b'{"id":"a"}'))
    for wreck in (broken(frame, random), broken_event(frame, random)):
        found = identify(wreck, "why")
        assert (found.what, found.slot, found.number) == ("event", slot, number)
        assert len(found.shown) < 4_000  # one field of a log line holds it


@given(SLOTS, st.randoms(use_true_random=False))
def test_a_broken_answer_names_its_slot(slot: int, random: Random) -> None:
    wreck = broken(encode(Answer(slot, "x" * 27)), random)
    with pytest.raises(ValueError, match=r".*"):
        decode_from_upstream(wreck[:MAX_FRAME])
    found = identify(wreck, "why")
    assert (found.what, found.slot, found.number) == ("answer", slot, None)


@given(st.binary(max_size=2 * HEAD) | st.randoms(use_true_random=False).map(noise))
def test_of_any_bytes_something_can_be_said(frame: bytes) -> None:
    found = identify(frame, "why")
    assert found.slot is None or 0 <= found.slot < 32
    assert found.number is None or 0 <= found.number < 1 << 64


@given(SLOTS, NUMBERS, st.integers(0, 30))
def test_a_number_that_is_cut_off_is_none(slot: int, number: int, size: int) -> None:
    """Half of a number would acknowledge another event."""
    frame = encode(Event(slot, number, "status", "k", "4915112345678", b"{}"))
    assert identify(frame[:size], "why").number in (None, number)
