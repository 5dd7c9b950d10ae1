"""Spellings of numbers as `POST /v1/contacts` reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.api.contacts.numbers import is_national, read
from warouter.api.messages.validate import recipient_of
from warouter.errors import ParameterInvalid
from warouter.recipient import wa_id

DIGITS = st.from_regex(r"[1-9][0-9]{4,14}", fullmatch=True)


@pytest.mark.parametrize(
    "spelling",
    [
        "16315551004",
        "+16315551004",
        "+1 (631) 555-1004",
        "1-631-555-1004",
        "001 631 555 1004",
        "+00 1 631 555 1004",
        "1.631.555.1004",
        "1/631/555/1004",
        " 1631555 1004 ",
        "tel:+1-631-555-1004",
        "+1\N{NO-BREAK SPACE}631\N{NON-BREAKING HYPHEN}555\N{EN DASH}1004",
        "\N{FULLWIDTH PLUS SIGN}16315551004",
        "\N{LEFT-TO-RIGHT EMBEDDING}+16315551004\N{POP DIRECTIONAL FORMATTING}",
        "".join(chr(0xFF10 + int(d)) for d in "16315551004"),
        "".join(chr(0x0660 + int(d)) for d in "16315551004"),
    ],
)
def test_spellings_of_one_number(spelling: str) -> None:
    assert read(spelling) == "16315551004"


@pytest.mark.parametrize(
    ("spelling", "digits"),
    [
        ("+49 (0)171 1234567", "491711234567"),
        ("0049 (0) 171 1234567", "491711234567"),
        ("490171 1234567", "491711234567"),
        ("+44 (0)20 7946 0958", "442079460958"),
        ("+39 06 12345678", "390612345678"),  # Italy's zero belongs to the number
        ("+225 07 12 34 56 78", "2250712345678"),  # so does the Ivory Coast's
        ("+52 1 55 1234 5678", "5215512345678"),  # WhatsApp's own spelling stays
        ("+52 55 1234 5678", "525512345678"),
        ("999012345678", "999012345678"),  # no country has it: still a number
    ],
)
def test_trunk_zeros(spelling: str, digits: str) -> None:
    assert read(spelling) == digits


@pytest.mark.parametrize(
    ("spelling", "country_code", "digits"),
    [
        ("0171 1234567", "49", "491711234567"),
        ("(0171) 1234567", "49", "491711234567"),
        ("0788 123 123", "250", "250788123123"),
        ("06 12345678", "39", "390612345678"),
        ("0171 1234567", None, None),
        ("0171 1234567", "1", None),
        ("0171 1234567", "9999", None),
        ("012", "49", None),
        # Without a trunk zero digits are international, whatever the country.
        ("631 555 1004", "1", "6315551004"),
    ],
)
def test_national_spellings(spelling: str, country_code: str | None, digits: str | None) -> None:
    assert read(spelling, country_code) == digits
    assert is_national(spelling) == spelling.strip("(").startswith("0")


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "+",
        "00",
        "1234",
        "+1234",
        "1234567890123456",
        "bob",
        "1-800-FLOWERS",
        "12345a",
        "12345;ext=1",
        "12345\n",
        "12345\r\n6",
        "12345\0",
        "1\N{SUPERSCRIPT TWO}34567",
        "\N{BLACK TELEPHONE} 16315551004",
        "1+6315551004",
        "+" + "1 " * 5000,
    ],
)
def test_no_numbers(spelling: str) -> None:
    assert read(spelling, "49") is None


@given(DIGITS, st.sampled_from(["", "+", "00", "tel:", "(00)"]), st.data())
def test_every_spelling_gives_one_wa_id(digits: str, prefix: str, data: st.DataObject) -> None:
    noise = st.text("()-. ", max_size=2)
    spelt = "".join(digit + data.draw(noise) for digit in digits)
    assert read(prefix + spelt) == read(digits)


@given(st.text() | st.text("0123456789+()-. ", max_size=20), st.sampled_from([None, "49", "1"]))
def test_a_read_number_reads_as_itself(text: str, country_code: str | None) -> None:
    digits = read(text, country_code)
    if digits is not None:
        assert wa_id(digits) == digits
        if not digits.startswith("0"):
            assert read(digits, country_code) == digits


@pytest.mark.parametrize(
    "spelling",
    [
        "+49 (0)171 1234567",
        "+4901711234567",
        "0049 0171 1234567",
        "49(0)1711234567",
    ],
)
def test_a_message_goes_to_no_other_number_than_is_read_here(spelling: str) -> None:
    with pytest.raises(ParameterInvalid, match=r"^to can be read as \d+ and,.* as \d+: send"):
        recipient_of(spelling, "to")


@pytest.mark.parametrize("spelling", ["+39 06 1234 5678", "+39 (0)6 1234 5678", "4901711234567"])
def test_a_zero_of_the_number_itself_and_digits_alone_are_sent_as_they_are(spelling: str) -> None:
    assert recipient_of(spelling, "to") == wa_id(spelling)


@given(st.text("0123456789+()-. ", max_size=20))
def test_a_message_with_separators_goes_to_the_number_that_is_read_here(spelling: str) -> None:
    try:
        number = recipient_of(spelling, "to")
    except ParameterInvalid:
        return
    assert spelling.isdigit() or read(spelling) in (None, number)
