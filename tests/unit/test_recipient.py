"""The frozen rule from a spelling to a wa_id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.recipient import MAX_DIGITS, MIN_DIGITS, wa_id

DIGITS = st.text("0123456789", min_size=MIN_DIGITS, max_size=MAX_DIGITS).filter(
    lambda digits: not digits.startswith("00")
)


@pytest.mark.parametrize(
    ("spelling", "digits"),
    [
        ("16315551000", "16315551000"),
        ("+1 (631) 555-1004", "16315551004"),
        ("1-631-555-1005", "16315551005"),
        ("001.631.555.1005", "16315551005"),
        ("+00 1 631 555 1005", "16315551005"),
        ("(+1) 631 555 1005", "16315551005"),
        ("0049301234", "49301234"),
        ("00012345", "012345"),
        ("12345", "12345"),
        ("123456789012345", "123456789012345"),
    ],
)
def test_spellings(spelling: str, digits: str) -> None:
    assert wa_id(spelling) == digits


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "+",
        "00",
        "1234",
        "1234567890123456",
        "++16315551005",
        "+ +16315551005",
        "1+6315551005",
        "(1+) 631 555 1005",
        "16315551005+",
        "12345a",
        "12345\n",
        "12345\0",
        "\t12345",
        "12345/6",
        "12345,6",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "\u0661\u0662\u0663\u0664\u0665\u0666",
        "12345\u00a06",
        "12345\u20106",
        "1²34567",
    ],
)
def test_no_numbers(spelling: str) -> None:
    with pytest.raises(ValueError, match="number"):
        wa_id(spelling)


@given(DIGITS, st.data())
def test_every_spelling_of_a_number_gives_one_wa_id(digits: str, data: st.DataObject) -> None:
    noise = st.text("()-. ", max_size=3)
    spelt = "".join(data.draw(noise) + digit for digit in digits) + data.draw(noise)
    prefix = data.draw(st.sampled_from(["", "00", "+", "+00", "(00)", "0 0", " (+"]))
    assert wa_id(prefix + spelt) == digits


@given(st.text())
def test_any_text_is_a_wa_id_or_refused(text: str) -> None:
    try:
        digits = wa_id(text)
    except ValueError:
        return
    assert digits.isascii()
    assert digits.isdigit()
    assert MIN_DIGITS <= len(digits) <= MAX_DIGITS
