"""What the pages Number, Settings and Media make of what they read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.console.pages.media import chosen, level_of, places_of
from warouter.console.pages.numbers import (
    certificate_of,
    masked,
    token_of,
    told,
    version_of,
)
from warouter.console.pages.settings import grouped, plain
from warouter.store.views.doubts import CloudStatus, Stopped
from warouter.store.views.number_status import NumberFacts, NumberStatus
from warouter.store.views.setup.environment import ProcessEnvironment, compared
from warouter.store.views.setup.media_status import Failed
from warouter.upstream.cloud.check.step import CheckStep, StepResult

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def cloud(stopped: Stopped | None = None) -> CloudStatus:
    return CloudStatus(in_doubt=0, held=0, oldest_doubt_s=None, stopped=stopped, notices=[])


def number(version: str, ends: str | None) -> NumberStatus:
    return NumberStatus(
        phone_number_id="1",
        facts=NumberFacts(version=version),
        version_ends=ends,
        coreapps=0,
        budget=None,
        rate=None,
        throttled=None,
        pair_waits=None,
        out=0,
        webhook_age_s=None,
        webhook_at=None,
        identities=0,
        aliases=0,
    )


@pytest.mark.parametrize(
    ("days", "words", "level"),
    [(-1, "has ended", "bad"), (9, "ends", "warn"), (99, "ends", "good")],
)
def test_the_end_of_a_token_and_of_a_certificate(days: int, words: str, level: str) -> None:
    at = NOW + timedelta(days=days)
    facts = NumberFacts(token_expires_at=int(at.timestamp()), token_valid=True)
    found = token_of(facts, cloud(), NOW)
    assert (found.words, found.level, found.at) == (words, level, at)
    assert certificate_of(int(at.timestamp()), NOW) == found


def test_a_token_that_meta_refused_and_one_of_which_nobody_knows() -> None:
    refused = cloud(Stopped(190, "x", 1.0, "2026-11-29T00:00:00.000Z"))
    assert token_of(NumberFacts(token_expires_at=0), refused, NOW).level == "bad"
    assert token_of(None, None, NOW).level == "off"
    assert token_of(NumberFacts(token_expires_at=0, token_valid=True), cloud(), NOW).level == "good"
    assert (
        token_of(NumberFacts(token_expires_at=9, token_valid=False), None, NOW).words == "not valid"
    )


@given(st.none() | st.integers(-(1 << 70), 1 << 70))
def test_no_certificate_stops_the_page(ends: int | None) -> None:
    certificate_of(ends, NOW)


def test_until_when_the_version_lives() -> None:
    today = date(2026, 11, 29)
    assert version_of(None, today) is None
    assert version_of(number("", None), today) is None
    levels = {
        ends: found.level
        for ends in (None, "2026-01-01", "2026-12-24", "2028-01-01")
        if (found := version_of(number("v25.0", ends), today)) is not None
    }
    assert levels == {None: "off", "2026-01-01": "bad", "2026-12-24": "warn", "2028-01-01": "good"}


def test_how_a_check_went() -> None:
    steps = [
        CheckStep("a", StepResult.OK, "x"),
        CheckStep("b", StepResult.FAILED, "x"),
        CheckStep("c", StepResult.WARNING, "x"),
    ]
    assert told(steps[:1]) == "1 steps, all right"
    assert told(steps) == "3 steps, 1 failed and 1 with a warning"


@pytest.mark.parametrize(
    ("used", "quota", "level"),
    [(10, 0, "good"), (79, 100, "good"), (80, 100, "warn"), (95, 100, "bad"), (300, 100, "bad")],
)
def test_how_full_the_storage_is(used: int, quota: int, level: str) -> None:
    assert level_of(used, quota) == level


def test_failures_that_the_filters_leave() -> None:
    failed = [
        Failed(node, "", direction, "", "", "")
        for node in ("a", "b")
        for direction in ("outgoing", "inbound")
    ]
    assert chosen(failed, "", "") == failed
    assert [(each.node, each.direction) for each in chosen(failed, "inbound", "b")] == [
        ("b", "inbound")
    ]
    assert chosen(failed, "sideways", "") == []


def test_where_media_is_and_where_processes_disagree() -> None:
    folder = ProcessEnvironment("a", "coreapp", {"WAROUTER_MEDIA_DIR": "/srv/media"})
    bucket = ProcessEnvironment("b", "webapp", {"WAROUTER_MEDIA_URL": "***"})
    assert places_of(compared([])) == []
    assert places_of(compared([folder])) == ["/srv/media"]
    assert places_of(compared([bucket])) == ["a bucket (WAROUTER_MEDIA_URL)"]
    assert places_of(compared([folder, bucket])) == ["a bucket (WAROUTER_MEDIA_URL)", "/srv/media"]


def test_variables_that_the_filters_leave() -> None:
    environment = compared(
        [
            ProcessEnvironment("a", "coreapp", {"WAROUTER_LEASE": "2", "WAROUTER_BEAT": "0.2"}),
            ProcessEnvironment("b", "master", {"WAROUTER_BEAT": "0.2"}),
        ]
    )

    def names(q: str = "", group: str = "", only: str = "") -> list[str]:
        return [each.name for _, found in grouped(environment, q, group, only) for each in found]

    assert names(only="differing") == ["WAROUTER_LEASE"]
    assert set(names(only="set")) == {"WAROUTER_LEASE", "WAROUTER_BEAT"}
    assert names(q="waroUTER_be") == ["WAROUTER_BEAT"]
    assert set(names(group="Timing")) == {"WAROUTER_BEAT", "WAROUTER_LEASE", "WAROUTER_MARGIN"}
    assert names(q="no such variable") == []


def test_a_meaning_without_its_marks() -> None:
    assert plain("`0` takes a free one (see [Notes](#notes)).") == "0 takes a free one (see Notes)."


@pytest.mark.parametrize("number", ["+1 631-555-0000", "+16315550000", "+1 (631) 555.0000"])
def test_a_check_shows_no_phone_number(number: str) -> None:
    step = masked(
        CheckStep("phone number", StepResult.OK, f"{number} (Bakery) is CONNECTED.", "See 10654.")
    )
    assert step.found == "163…00 (Bakery) is CONNECTED."
    assert step.todo == "See 10654."
