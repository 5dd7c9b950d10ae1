"""The last media that could not be fetched: few, short, the newest first."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from warouter.owner.media.failures import MOST, MOST_CHARS, Failures


def now() -> datetime:
    return datetime(2026, 11, 29, 12, tzinfo=UTC)


@given(st.lists(st.text(max_size=2 * MOST_CHARS), max_size=2 * MOST))
def test_the_newest_are_kept_within_their_bounds(reasons: list[str]) -> None:
    failures = Failures(now)
    for reason in reasons:
        failures.note("outgoing", "gBEG", "image", reason)
    shown = [each.reason for each in failures.shown()]
    assert shown == [reason[:MOST_CHARS] for reason in reversed(reasons)][:MOST]
    assert failures.total == len(reasons)
    assert all(each.at == "2026-11-29T12:00:00Z" for each in failures.shown())
