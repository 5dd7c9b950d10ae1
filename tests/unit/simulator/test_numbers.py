"""Codes and pins at the registration authority: what is good, for how long, and how often."""

from __future__ import annotations

from itertools import count

import pytest

from warouter.simulator.numbers import (
    CODE_S,
    CODE_TRIES,
    CODES,
    PIN_TRIES,
    PIN_WAIT_S,
    Declined,
    Numbers,
    draw_code,
)

NUMBER = "49301234567"


@pytest.fixture
def numbers() -> Numbers:
    drawn = count(123_450)
    return Numbers(lambda: f"{next(drawn):06d}")


def declined(work: object) -> Declined:
    with pytest.raises(Declined) as caught:
        work()  # type: ignore[operator]
    return caught.value


def test_a_code_registers_and_may_be_repeated(numbers: Numbers) -> None:
    code = numbers.request(NUMBER, "sms", None, 0.0)
    assert code == "123450"
    assert numbers.codes(1.0) == {NUMBER: {"code": code, "method": "sms", "valid_s": CODE_S - 1.0}}
    assert numbers.verify(NUMBER, code, 1.0) is False
    assert numbers.verify(NUMBER, code, CODE_S - 0.1) is False


def test_a_code_expires(numbers: Numbers) -> None:
    code = numbers.request(NUMBER, "voice", None, 0.0)
    assert declined(lambda: numbers.verify(NUMBER, code, CODE_S)).reason == "code"
    assert numbers.codes(CODE_S) == {}


def test_a_new_code_replaces_the_old_one(numbers: Numbers) -> None:
    old = numbers.request(NUMBER, "sms", None, 0.0)
    new = numbers.request(NUMBER, "sms", None, 1.0)
    assert declined(lambda: numbers.verify(NUMBER, old, 2.0)).sentence == "the code is wrong"
    assert numbers.verify(NUMBER, new, 2.0) is False


def test_a_code_may_be_tried_five_times(numbers: Numbers) -> None:
    code = numbers.request(NUMBER, "sms", None, 0.0)
    for _ in range(CODE_TRIES):
        assert declined(lambda: numbers.verify(NUMBER, "000000", 1.0)).reason == "code"
    assert "too often" in declined(lambda: numbers.verify(NUMBER, code, 1.0)).sentence
    assert numbers.verify(NUMBER, numbers.request(NUMBER, "sms", None, 2.0), 3.0) is False


def test_nothing_was_asked_for(numbers: Numbers) -> None:
    assert declined(lambda: numbers.verify(NUMBER, "123450", 0.0)).reason == "code"
    numbers.set_pin(NUMBER, "111111")
    assert declined(lambda: numbers.verify(NUMBER, "", 0.0)).reason == "code"


def test_five_codes_in_ten_minutes(numbers: Numbers) -> None:
    for at in range(CODES):
        numbers.request(NUMBER, "sms", None, float(at))
    no = declined(lambda: numbers.request(NUMBER, "sms", None, 10.0))
    assert (no.reason, no.retry_after) == ("wait", CODE_S - 10.0)
    numbers.request("491", "sms", None, 10.0)
    numbers.request(NUMBER, "sms", None, CODE_S)


def test_the_pin_is_asked_for(numbers: Numbers) -> None:
    numbers.set_pin(NUMBER, "111111")
    for pin in (None, ""):
        no = declined(lambda pin=pin: numbers.request(NUMBER, "sms", pin, 0.0))
        assert no.reason == "pin_missing"
    assert declined(lambda: numbers.request(NUMBER, "sms", "222222", 0.0)).reason == "pin_wrong"
    assert numbers.codes(0.0) == {}
    code = numbers.request(NUMBER, "sms", "111111", 0.0)
    assert numbers.verify(NUMBER, code, 1.0) is True
    numbers.set_pin(NUMBER, None)
    assert numbers.verify(NUMBER, numbers.request(NUMBER, "sms", None, 2.0), 3.0) is False


def test_a_pin_that_is_guessed_waits(numbers: Numbers) -> None:
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
