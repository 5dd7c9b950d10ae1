"""Causes of a doubt: few words, whatever was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.causes import CAUSES, unclear, word_of
from warouter.upstream.cloud.answers import judge


@given(st.text())
def test_every_cause_maps_to_a_known_word(said: str) -> None:
    assert word_of(said) in CAUSES


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        *((cause, cause) for cause in CAUSES),
        (unclear(judge(502, b"<html>").details), "answer"),
        (unclear(judge(500, b'{"error":{"code":131000}}').details), "answer"),
        ("the answer is too large", "answer"),
        ("the answer has a malformed chunk", "answer"),
        ("the answer broke off", "connection"),
        ("no answer came", "connection"),
        ("no answer in time", "timeout"),
        ("Connection reset by peer", "connection"),
        ("cut", "connection"),
        ("RuntimeError('odd')", "other"),
        ("unclear", "other"),
        ("", "other"),
    ],
)
def test_reasons_that_owners_report(said: str, cause: str) -> None:
    assert word_of(said) == cause


def test_an_answer_that_says_neither_is_kept_in_its_words() -> None:
    assert unclear(judge(302, b"").details) == (
        "answer: HTTP 302 with a body that is no answer of the Graph API"
    )
    assert len(unclear("x" * 9_999)) < 300
