"""What one look through a body finds, beside what Python says of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warouter._scan import LOOK, NOT_ASCII, PLAIN, scan

ODD = st.sampled_from([b"{", b"[", b"[{", b"\\", b"\\u0000", b"\\u000", b"\\\\u0000", b"}]", b"K;"])
bodies = st.lists(ODD | st.binary(max_size=12), max_size=30).map(b"".join)


@given(bodies, st.integers(0, 20))
def test_it_sees_what_python_sees(body: bytes, most: int) -> None:
    many = body.count(b"{") + body.count(b"[") > most
    look = LOOK if many or b"\\u0000" in body else PLAIN
    assert scan(body, most) == look + (PLAIN if body.isascii() else NOT_ASCII)


def test_the_smallest() -> None:
    assert scan(b"", 0) == PLAIN
    assert scan(b"[", 0) == scan(b"{", 0) == scan(b"\\u0000", 32) == LOOK
    assert scan(b"\\u000", 32) == scan(b"\x5a\x5c\x7a\x7c", 0) == PLAIN
    assert scan(b"\x80", 0) == NOT_ASCII
    assert scan(b"[\xff", 0) == LOOK + NOT_ASCII
