"""Whom a coreapp lets in from other hosts: every case of what is in the rows and what is shown."""

from __future__ import annotations

import pytest

from warouter.link.pins import NONE_SHOWN, UNKNOWN, objection, pins_of

EMPTY = b""  # the row of a process that has none


def name_of(der: bytes) -> str:
    return der.decode().upper()


@pytest.mark.parametrize(
    ("rows", "shown", "said"),
    [
        ([b"a"], "A", ""),
        ([b"a", b"b", EMPTY], "B", ""),
        ([b"a"], "B", UNKNOWN),
        ([], "A", UNKNOWN),
        ([b"a"], None, NONE_SHOWN),
        ([b"a", EMPTY], None, NONE_SHOWN),
        ([EMPTY], None, NONE_SHOWN),
        ([EMPTY], "", UNKNOWN),
        ([], None, NONE_SHOWN),
    ],
)
def test_a_caller_with_a_pinned_certificate_is_let_in(
    rows: list[bytes], shown: str | None, said: str
) -> None:
    assert objection(pins_of(rows, name_of), shown) == said


def test_pins_are_the_fingerprints_of_what_there_is() -> None:
    assert pins_of([b"a", b"b", b"a", EMPTY], name_of) == frozenset("AB")
    assert pins_of([], name_of) == frozenset()
