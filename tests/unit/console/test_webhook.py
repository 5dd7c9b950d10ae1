"""The webhook's page: its filter, its verdict, and what strangers have written on it."""

from __future__ import annotations

import shlex
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.console.conftest import renders
from warouter.console.pages import webhook as page
from warouter.console.render import Renderer
from warouter.console.visit import ConsoleRefusal
from warouter.kinds import EVENT_NAMES
from warouter.store.dead_letters import Cover, Selection
from warouter.store.views.webhook_status import (
    CallbackTrial,
    FailedPost,
    KindStatus,
    WebhookOutage,
    WebhookStatus,
)

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\"'{{7*7}}"
KIND = KindStatus(
    kind="status",
    taken=0,
    failed=0,
    half_ms=None,
    most_ms=None,
    waiting=0,
    parked=0,
    oldest=None,
    dead=0,
    asked=0,
)
WAITING = msgspec.structs.replace(KIND, waiting=2)
PARKED = msgspec.structs.replace(KIND, parked=1)
INBOUND = msgspec.structs.replace(KIND, kind="inbound")
OUTAGE = WebhookOutage(node="a", kind="status", since="2026-11-29T12:00:00.000Z", probing=True)
QUIET = WebhookStatus(
    url="https://b.example/hook",
    secrets=1,
    secrets_at=None,
    coreapps=2,
    kinds=[KIND, INBOUND],
    outages=[],
    trials=[],
    failures=[],
)


def changed(**fields: Any) -> WebhookStatus:
    return msgspec.structs.replace(QUIET, **fields)


def counted(taken: int, failed: int) -> KindStatus:
    return msgspec.structs.replace(KIND, taken=taken, failed=failed)


@pytest.mark.parametrize(
    ("found", "level", "word"),
    [
        (QUIET, "off", "Quiet"),
        (changed(url="", outages=[OUTAGE]), "warn", "No webhook"),
        (changed(coreapps=0, outages=[OUTAGE]), "bad", "Nobody sends"),
        (changed(kinds=[counted(9, 1)], outages=[OUTAGE]), "bad", "Failing"),
        (changed(kinds=[counted(9, 1)]), "warn", "Takes some"),
        (changed(kinds=[counted(0, 5), INBOUND]), "bad", "Takes nothing"),
        (changed(kinds=[counted(9, 0)]), "good", "Well"),
    ],
)
def test_the_verdict(found: WebhookStatus, level: str, word: str) -> None:
    said = page.verdict(found)
    assert (said.level, said.word) == (level, word)
    assert said.sentence.endswith(".")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (changed(coreapps=0, kinds=[WAITING]), "No coreapp runs"),
        (changed(url="", kinds=[WAITING]), "No webhook is set"),
        (QUIET, "Nothing waits"),
        (changed(kinds=[WAITING, INBOUND]), ""),
        (changed(kinds=[PARKED]), ""),
    ],
)
def test_why_nothing_can_be_tried_at_once(found: WebhookStatus, why: str) -> None:
    assert found.why_no_retry.startswith(why)
    assert bool(found.why_no_retry) == bool(why)


@pytest.mark.parametrize(
    ("found", "offered"),
    [
        (changed(kinds=[WAITING]), False),  # it is on its way
        (changed(kinds=[WAITING], outages=[OUTAGE]), True),
        (changed(kinds=[KIND, PARKED]), True),
        (changed(kinds=[PARKED], url=""), False),
        (changed(outages=[OUTAGE]), False),
    ],
)
def test_a_try_is_offered_of_what_waits_until_it_is_due(
    found: WebhookStatus, offered: bool
) -> None:
    assert page.retriable(found) == offered


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_all_are_taken_only_if_all_are(taken: int, failed: int) -> None:
    share = page.share(counted(taken, failed))
    if not taken + failed:
        assert share is None
    else:
        assert share is not None
        assert (share == 100) == (failed == 0)
        assert 0 <= share <= 100 * taken / (taken + failed) + 1e-9


@pytest.mark.parametrize(
    ("query", "which"),
    [
        ({}, Selection()),
        ({"kind": "inbound"}, Selection(1)),
        ({"kind": "", "number": " +49 151 1234567 "}, Selection(None, "491511234567")),
        ({"reason": " 50% _"}, Selection(reason="50% _")),
    ],
)
def test_a_filter(query: dict[str, str], which: Selection) -> None:
    assert page.selection(query) == which


@pytest.mark.parametrize(
    "query", [{"kind": "other"}, {"number": "abc"}, {"reason": "\0"}, {"reason": "x" * 101}]
)
def test_a_filter_that_cannot_be(query: dict[str, str]) -> None:
    with pytest.raises(ConsoleRefusal):
        page.selection(query)


@given(st.text(min_size=1), st.sampled_from(EVENT_NAMES))
def test_a_shell_reads_the_command_as_it_was_meant(reason: str, kind: str) -> None:
    given = {"kind": kind, "number": "", "reason": reason}
    assert shlex.split(page.options(given)) == ["--kind", kind, "--reason", reason]


@renders
@pytest.mark.parametrize("admin", [True, False])
def test_nothing_that_strangers_wrote_is_markup(renderer: Renderer, admin: bool) -> None:
    failure = FailedPost(
        at=OUTAGE.since,
        node=HOSTILE,
        kind="status",
        message=HOSTILE,
        others=1,
        result="status",
        status=500,
        took_ms=1,
        answer=HOSTILE + "answered",
    )
    trial = CallbackTrial(
        name="a1",
        at=OUTAGE.since,
        node="a",
        result="timeout",
        status=None,
        took_ms=15_000,
        answer=HOSTILE + "answered",
    )
    letter = Cover(
        "status-1-2", "status", 1, 2, HOSTILE, "491511234567", 3, OUTAGE.since, HOSTILE, True
    )
    found = changed(failures=[failure], trials=[trial], outages=[OUTAGE], headers=[HOSTILE])
    values = {
        "admin": admin,
        "webhook": found,
        "url": found.url,
        "verdict": page.verdict(found),
        "retriable": True,
        "shares": {one.kind: page.share(one) for one in found.kinds},
        "letters": [letter],
        "message_of": page.message_of,
        "matching": 1,
        "most": 100_000,
        "unasked": 0,
        "filters": dict.fromkeys(("kind", "number", "reason"), HOSTILE),
        "kept": {},
        "kinds": EVENT_NAMES,
        "options": "",
    }
    text = renderer.live("pages/webhook.html", values)
    assert "<img" not in text
    assert "</script>" not in text
    assert "491511234567" not in text
    assert ("answered" in text) == admin
    assert ('type="checkbox"' in text) == admin
    assert ("Try again now" in text) == admin
