"""The last media that could not be fetched: few, short, the newest first."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.posts import line_of
from warouter.owner.media.failures import MOST, MOST_CHARS, Failures


def now() -> datetime:
    return datetime(2026, 11, 29, 12, tzinfo=UTC)


@given(st.lists(st.text(max_size=2 * MOST_CHARS), max_size=2 * MOST))
def test_the_newest_are_kept_within_their_bounds(reasons: list[str]) -> None:
    failures = Failures(now)
    for reason in reasons:
        failures.note("outgoing", "gBEG", "image", reason)
    shown = [each.reason for each in failures.shown()]
    kept = [line_of(reason[:MOST_CHARS])[:MOST_CHARS] for reason in reversed(reasons)]
    assert shown == kept[:MOST]
    assert all(each.at == "2026-11-29T12:00:00Z" for each in failures.shown())


@pytest.mark.parametrize("hostile", ["\0", "\ud800", "\x1b[31m"])
def test_foreign_text_spoils_no_report(hostile: str) -> None:
    """PostgreSQL refuses a jsonb with a NUL, and no JSON has lone surrogates."""
    failures = Failures(now)
    failures.note("inbound", f"wamid{hostile}", f"image{hostile}", f"refused: {hostile}")
    written = msgspec.json.encode(failures.shown()).decode()
    assert written.isprintable()
    assert "\\u" not in written


def test_numbers_in_a_reason_are_masked_and_ids_are_not() -> None:
    failures = Failures(now)
    failures.note("inbound", "wamid.4915112345678", "image", "not for 4915112345678")
    (kept,) = failures.shown()
    assert (kept.message, kept.reason) == ("wamid.4915112345678", "not for 49...78")
