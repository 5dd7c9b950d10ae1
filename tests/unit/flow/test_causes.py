"""Causes of a doubt: few words, whatever was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.causes import CAUSES, word_of
from warouter.upstream.cloud.answers import judge


@given(st.text())
def test_whatever_is_said_is_one_of_the_words(said: str) -> None:
    assert word_of(said) in CAUSES


@pytest.mark.parametrize("cause", CAUSES)
def test_a_word_stays_itself(cause: str) -> None:
    assert word_of(cause) == cause


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (judge(502, b"<html>").title, "answer"),
        (judge(500, b'{"error":{"code":131000}}').title, "answer"),
        ("no answer in time", "timeout"),
        ("Connection reset by peer", "connection"),
        ("cut", "connection"),
        ("RuntimeError('odd')", "other"),
        ("unclear", "other"),
        ("", "other"),
    ],
)
def test_what_owners_say(said: str, cause: str) -> None:
    assert word_of(said) == cause
