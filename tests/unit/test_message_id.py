"""Message ids: 20 bytes, 27 characters, the slot inside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import reference
from warouter.message_id import SIZE, letters_of, mint, parse, slot_of_id, text_of

TEXT_SIZE = 27

IDS = st.builds(
    mint,
    st.integers(0, 31),
    st.integers(0, 2**48 - 1),
    st.binary(min_size=12, max_size=12),
)


def test_layout() -> None:
    raw = mint(7, 0x0123456789AB, bytes(range(12)))
    assert raw == bytes((1, 7)) + bytes.fromhex("0123456789ab") + bytes(range(12))
    assert text_of(raw) == "AQcBI0VniasAAQIDBAUGBwgJCgs"


@given(IDS)
def test_text_and_back(raw: bytes) -> None:
    text = text_of(raw)
    assert len(raw) == SIZE
    assert len(text) == TEXT_SIZE
    assert parse(text) == raw
    assert letters_of(raw).decode() == text
    assert 0 <= slot_of_id(raw) <= 31


@given(st.binary(min_size=20, max_size=20))
def test_the_text_of_an_id_is_that_of_the_twin(raw: bytes) -> None:
    assert text_of(raw) == reference.id_text(raw)


SIMILAR = st.text("ABZabz0189-_+/=", min_size=25, max_size=29) | st.from_regex(r"A[A-f][\w-]{25}")


@given(SIMILAR | st.text(max_size=40))
def test_an_id_is_parsed_as_by_the_twin(text: str) -> None:
    expected = reference.id_of(text)
    if expected is None:
        with pytest.raises(ValueError, match="not a message id"):
            parse(text)
    else:
        assert parse(text) == expected
        assert text_of(expected) == text


def test_impossible_parts_of_an_id_are_refused() -> None:
    for slot, now, random in ((32, 0, bytes(12)), (0, 2**48, bytes(12)), (0, 0, bytes(11))):
        with pytest.raises(ValueError, match="an id is of"):
            mint(slot, now, random)
    with pytest.raises(OverflowError):
        mint(-1, 0, bytes(12))
    for spell in (text_of, letters_of):
        with pytest.raises(ValueError, match="20 bytes"):
            spell(bytes(19))


@given(st.integers(0, 31), st.integers(0, 2**48 - 2), st.binary(min_size=12, max_size=12))
def test_ids_of_a_slot_sort_by_time(slot: int, now: int, random: bytes) -> None:
    assert mint(slot, now, b"\xff" * 12) < mint(slot, now + 1, random)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gBEGkYiEB1VXAglK1ZEqA1YKPrU",  # another product's
        "AQcBI0VniasAAQIDBAUGBwgJCg",
        "AQcBI0VniasAAQIDBAUGBwgJCgsA",
        "AQcBI0VniasAAQIDBAUGBwgJCgt",  # the same bytes, spelt with other spare bits
        "AQcBI0VniasAAQIDBAUGBwgJCg=",
        "AQcBI0VniasAAQIDBAUGBwgJ+/s",
        "AQcBI0VniasAAQIDBAUGBwgJCgé",
        "AiAAAAAAAAAAAAAAAAAAAAAAAAA",  # version 2
        "ASAAAAAAAAAAAAAAAAAAAAAAAAA",  # slot 32
    ],
)
def test_foreign_ids_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a message id"):
        parse(text)
