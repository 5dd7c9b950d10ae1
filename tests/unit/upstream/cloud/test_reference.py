"""References go out and come back; whatever else a status echoes is none of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.message_id import mint, slot_of_id, text_of
from warouter.upstream.cloud.reference import MAX_ATTEMPT, parse_reference, reference

ID = mint(7, 1_764_000_000_000, bytes(range(12)))

ids = st.builds(
    mint, st.integers(0, 31), st.integers(0, (1 << 47) - 1), st.binary(min_size=12, max_size=12)
)
attempts = st.integers(1, MAX_ATTEMPT)


@given(ids, attempts)
def test_a_reference_comes_back_as_it_went(message_id: bytes, attempt: int) -> None:
    text = reference(message_id, attempt)
    assert parse_reference(text) == (message_id, attempt)
    assert len(text) <= 35


def test_a_reference_is_written_as_the_format_says() -> None:
    assert reference(ID, 3) == f"w1.{text_of(ID)}.3"
    assert slot_of_id(ID) == 7


@pytest.mark.parametrize("attempt", [-1, 0, MAX_ATTEMPT + 1])
def test_an_attempt_has_its_bounds(attempt: int) -> None:
    with pytest.raises(ValueError, match=f"an attempt is 1 to 999, not {attempt}"):
        reference(ID, attempt)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "w1.",
        "order-17",
        text_of(ID),
        f"w1.{text_of(ID)}",
        f"w1.{text_of(ID)}.",
        f"w1.{text_of(ID)}.0",
        f"w1.{text_of(ID)}.01",
        f"w1.{text_of(ID)}.1000",
        f"w1.{text_of(ID)}.+1",
        f"w1.{text_of(ID)}.-1",
        f"w1.{text_of(ID)}.1 ",
        f"w1.{text_of(ID)}.1.1",
        f"w1.{text_of(ID)}.\N{ARABIC-INDIC DIGIT ONE}",
        f"w1.{text_of(ID)}.\N{SUPERSCRIPT TWO}",
        f"w1.{text_of(ID)[:-1]}.1",
        f"w1.{text_of(ID)}x.1",
        f"W1.{text_of(ID)}.1",
        f" w1.{text_of(ID)}.1",
        "w1." + "A" * 27 + ".1",
        "w1." + "\ud800" * 27 + ".1",
        "w1." + "\N{WHITE SMILING FACE}" * 27 + ".1",
    ],
)
def test_foreign_strings_are_no_references(text: str) -> None:
    assert parse_reference(text) is None


@given(
    st.one_of(
        st.text(),
        st.text().map("w1.".__add__),
        st.text(max_size=3).map(f"w1.{text_of(ID)}.".__add__),
    )
)
def test_a_reference_that_is_read_is_written_alike(text: str) -> None:
    found = parse_reference(text)
    assert found is None or reference(*found) == text
