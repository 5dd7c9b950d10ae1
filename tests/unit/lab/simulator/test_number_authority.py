"""Codes and pins at the registration authority: what tests/api/test_registration.py cannot see."""

from __future__ import annotations

from itertools import count

import pytest

from warouter.lab.simulator.number_authority import (
    CODE_S,
    CODES,
    PIN_TRIES,
    PIN_WAIT_S,
    Declined,
    NumberAuthority,
    draw_code,
)

NUMBER = "49301234567"


@pytest.fixture
def numbers() -> NumberAuthority:
    drawn = count(123_450)
    return NumberAuthority(lambda: f"{next(drawn):06d}")


def declined(work: object) -> Declined:
    with pytest.raises(Declined) as caught:
        work()  # type: ignore[operator]
    return caught.value


def test_a_new_code_replaces_the_old_one(numbers: NumberAuthority) -> None:
    old = numbers.request(NUMBER, "sms", None, 0.0)
    new = numbers.request(NUMBER, "sms", None, 1.0)
    assert declined(lambda: numbers.verify(NUMBER, old, 2.0)).sentence == "the code is wrong"
    assert numbers.verify(NUMBER, new, 2.0) is False


def test_nothing_was_asked_for(numbers: NumberAuthority) -> None:
    assert declined(lambda: numbers.verify(NUMBER, "123450", 0.0)).reason == "code"
    numbers.set_pin(NUMBER, "111111")
    assert declined(lambda: numbers.verify(NUMBER, "", 0.0)).reason == "code"


def test_five_codes_in_ten_minutes(numbers: NumberAuthority) -> None:
    for at in range(CODES):
        numbers.request(NUMBER, "sms", None, float(at))
    no = declined(lambda: numbers.request(NUMBER, "sms", None, 10.0))
    assert (no.reason, no.retry_after) == ("wait", CODE_S - 10.0)
    numbers.request("491", "sms", None, 10.0)
    numbers.request(NUMBER, "sms", None, CODE_S)


def test_a_pin_that_is_guessed_waits(numbers: NumberAuthority) -> None:
    numbers.set_pin(NUMBER, "111111")
    for _ in range(PIN_TRIES):
        assert declined(lambda: numbers.request(NUMBER, "sms", "222222", 0.0)).reason == "pin_wrong"
    no = declined(lambda: numbers.request(NUMBER, "sms", "111111", 1.0))
    assert (no.reason, no.retry_after) == ("wait", PIN_WAIT_S - 1.0)
    numbers.request(NUMBER, "sms", "111111", PIN_WAIT_S)


def test_codes_are_six_digits() -> None:
    drawn = {draw_code() for _ in range(200)}
    assert len(drawn) > 150
    assert all(len(code) == 6 and code.isdigit() for code in drawn)
