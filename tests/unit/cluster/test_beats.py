"""Whose beats go on, as a webapp sees it."""

from __future__ import annotations

from uuid import uuid4

from warouter.cluster.beats import BeatAges

A, B = uuid4(), uuid4()


def test_a_counter_that_stands_still_for_long_is_silent() -> None:
    beats = BeatAges(most=0.75)
    for n in range(7):
        beats.observe(n * 0.25, {A: 5, B: n})
    assert beats.silent(1.5) == {A}
    assert beats.silent(1.6) == set()


def test_one_beat_ends_the_silence() -> None:
    beats = BeatAges(most=0.75)
    for n in range(10):
        beats.observe(n * 0.25, {A: 5})
    beats.observe(2.5, {A: 6})
    assert beats.silent(0.1) == set()


def test_a_reader_that_was_away_has_seen_no_silence() -> None:
    beats = BeatAges(most=0.75)
    beats.observe(0.0, {A: 5})
    beats.observe(100.0, {A: 5})
    assert beats.silent(1.5) == set()


def test_before_the_first_beat_and_after_the_end_of_a_node() -> None:
    beats = BeatAges(most=0.75)
    for n in range(9):
        beats.observe(n * 0.25, {A: None})
    assert beats.silent(1.5) == {A}
    beats.observe(2.25, {})
    assert beats.silent(0.0) == set()
