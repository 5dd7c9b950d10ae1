"""A number as the Graph API shows it, in the parts that v1 knows."""

from __future__ import annotations

import pytest

from warouter.local.number import NumberParts, parts_of


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("+1 631-555-0000", NumberParts("1", "6315550000")),
        ("15557770000", NumberParts("1", "5557770000")),
        ("+49 151 12345678", NumberParts("49", "15112345678")),
        ("+39 06 1234 5678", NumberParts("39", "0612345678")),  # its zero is a part of it
        ("", None),
        ("none", None),
    ],
)
def test_parts(shown: str, expected: NumberParts | None) -> None:
    assert parts_of(shown) == expected
