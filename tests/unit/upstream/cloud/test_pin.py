"""The pin of two-step verification is kept so that only the app's secret opens it."""

from __future__ import annotations

import pytest

from warouter.upstream.cloud import pin


def test_any_of_the_secrets_opens_it() -> None:
    text = pin.sealed("123456", "old")
    assert "123456" not in text
    assert pin.opened(text, ["new", "old"]) == "123456"


def test_no_two_are_alike() -> None:
    assert pin.sealed("123456", "a") != pin.sealed("123456", "a")


@pytest.mark.parametrize("text", ["", "?", "AAAA"])
def test_a_pin_that_cannot_be_decrypted_is_none(text: str) -> None:
    assert pin.opened(text, ["secret"]) is None


def test_a_pin_that_another_secret_has_sealed_cannot_be_opened() -> None:
    assert pin.opened(pin.sealed("123456", "another"), ["secret"]) is None


def test_a_drawn_pin_has_six_digits() -> None:
    assert all(len(drawn) == 6 and drawn.isdecimal() for drawn in (pin.draw() for _ in range(100)))
