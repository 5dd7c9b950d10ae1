"""Columns to PostgreSQL's arrays and back, beside the readable twin; a server reads them too
(tests/integration/test_database.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import reference
from warouter.link.wire import Message
from warouter.store._arrays import ArrayCodec

OIDS = {"int2": 21, "int8": 20, "text": 25, "bytea": 17}
BINARY: dict[str, Callable[[Any], bytes]] = {
    "int2": lambda n: n.to_bytes(2, "big", signed=True),
    "int8": lambda n: n.to_bytes(8, "big", signed=True),
    "text": str.encode,
    "bytea": bytes,
}
ELEMENTS = {
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "text": st.text(),
    "bytea": st.binary(),
}
columns = st.sampled_from(sorted(OIDS)).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(st.none() | ELEMENTS[name], max_size=30))
)


@given(columns)
def test_a_column_is_the_twin_s_and_comes_back(drawn: tuple[str, list[Any]]) -> None:
    name, column = drawn
    codec = ArrayCodec(name)
    packed = codec.encode(column)
    binary = [None if value is None else BINARY[name](value) for value in column]
    assert packed == reference.array(OIDS[name], binary)
    assert codec.encode(tuple(column)) == packed
    assert codec.decode(packed) == column


@given(columns, st.data())
def test_a_cut_or_overlong_value_is_no_array(
    drawn: tuple[str, list[Any]], data: st.DataObject
) -> None:
    name, column = drawn
    packed = ArrayCodec(name).encode(column)
    cut = data.draw(st.integers(0, len(packed) - 1))
    for other in (packed[:cut], packed + b"\0"):
        with pytest.raises(ValueError, match=r"array|number"):
            ArrayCodec(name).decode(other)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_within_their_bounds(data: bytes) -> None:
    for name in OIDS:
        try:
            column = ArrayCodec(name).decode(data)
        except ValueError:
            continue
        assert len(column) <= len(data) // 4


def test_a_buffer_is_read_as_bytes_and_a_message_as_its_body() -> None:
    codec = ArrayCodec("bytea")
    view = memoryview(b"abcdef")[2:4]
    message = Message(3, 1, bytes(20), 0, "123", b"x")
    assert codec.encode([view, message, bytearray(b"y")]) == codec.encode([b"cd", b"x", b"y"])


def test_a_buffer_that_runs_python_code_is_refused() -> None:
    """It could change what was counted before it is written."""

    class Ours(bytearray):
        pass

    with pytest.raises(TypeError, match="a payload"):
        ArrayCodec("bytea").encode([Ours(b"x")])


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("int2", 2**15, OverflowError),
        ("int8", 2**63, OverflowError),
        ("int8", "1", TypeError),
        ("int8", 1.0, TypeError),
        ("text", b"x", TypeError),
        ("text", 1, TypeError),
        ("text", "\ud800", UnicodeEncodeError),
        ("bytea", "x", TypeError),
        ("bytea", 5, TypeError),
        ("bytea", memoryview(b"abcdef")[::2], BufferError),
    ],
)
def test_another_value_is_refused(name: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        ArrayCodec(name).encode([value])


def test_a_column_is_a_list_or_a_tuple() -> None:
    with pytest.raises(TypeError, match="a column"):
        ArrayCodec("int8").encode(5)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        ArrayCodec("uuid")
    with pytest.raises(ValueError, match="not an array"):
        ArrayCodec("int8").decode(ArrayCodec("int2").encode([1]))
