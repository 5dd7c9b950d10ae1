"""How customers are shown: user ids that lead back to numbers, spellings, withheld numbers."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.lab.simulator.cloud.people import (
    People,
    contact,
    is_user_id,
    number_of,
    respelled,
    user_id,
)

NUMBERS = st.from_regex(r"[0-9]{5,15}", fullmatch=True)


@given(NUMBERS)
def test_a_user_id_is_of_one_number(number: str) -> None:
    assert number_of(user_id(number)) == number
    assert is_user_id(user_id(number))


@given(st.text() | st.from_regex(r"[A-Z]{2}\.[0-9]{18}", fullmatch=True))
def test_an_unknown_id_leads_to_no_number(text: str) -> None:
    number = number_of(text)
    assert number == "" or user_id(number) == text


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("5511987654321", "551187654321"),
        ("551187654321", "5511987654321"),
        ("5215512345678", "525512345678"),
        ("525512345678", "5215512345678"),
        ("491511234567", "491511234567"),
    ],
)
def test_brazil_and_mexico_have_two_spellings(sent: str, shown: str) -> None:
    assert respelled(sent) == shown
    assert respelled(shown) == sent
    assert People(respell=True).shown(sent).wa_id == shown
    assert People().shown(sent).wa_id == sent


def test_a_withheld_number_leaves_the_user_id() -> None:
    shown = People(withheld=("491511234567",)).shown("491511234567")
    assert (shown.wa_id, shown.user_id) == ("", user_id("491511234567"))
    assert shown.username
    card = msgspec.json.decode(contact(shown, "Ann", "hash"))
    assert set(card) == {"profile", "user_id", "identity_key_hash"}
    assert People(withheld=("491511234567",)).shown("491511234568").wa_id == "491511234568"


def test_a_share_of_numbers_is_withheld_and_always_the_same() -> None:
    numbers = [f"4915112{n:05d}" for n in range(2000)]
    people = People(withhold=0.25)
    withheld = {number for number in numbers if not people.shown(number).wa_id}
    assert 400 < len(withheld) < 600
    assert withheld == {number for number in numbers if not people.shown(number).wa_id}
