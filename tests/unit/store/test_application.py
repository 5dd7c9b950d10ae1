"""The settings of the API as operators see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from warouter.store.views.setup.application import SECRETS, Change, Field, fields_of

THEN, LATER = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2))


def field(name: str, stored: dict[str, Any], *changes: Change) -> Field:
    [found] = [each for each in fields_of(stored, list(changes)) if each.name == name]
    return found


def test_a_field_that_no_client_set_is_at_its_default() -> None:
    found = field("webhooks.url", {})
    assert (found.value, found.default, found.set, found.since) == ("", "", False, None)


def test_a_field_that_a_client_set() -> None:
    stored = {"webhooks": {"url": "https://a.example/"}}
    named = Change(LATER, "anna", frozenset({"webhooks.url", "on_call_pager"}), reset=False)
    older = Change(THEN, "ben", frozenset({"webhooks.url"}), reset=False)
    found = field("webhooks.url", stored, named, older)
    assert (found.value, found.set, found.since, found.by) == (
        *("https://a.example/", True),
        *(LATER, "anna"),
    )
    assert field("webhooks.max_concurrent_requests", stored, named).since is None


def test_a_reset_is_the_last_change_of_all() -> None:
    found = field("on_call_pager", {}, Change(THEN, "ben", frozenset({""}), reset=True))
    assert (found.set, found.since, found.by) == (False, THEN, "ben")


def test_of_secrets_there_is_a_count() -> None:
    found = field(SECRETS, {"webhooks": {"url": ""}, "webhooks_secrets_count": 2})
    assert (found.secret, found.value, found.set) == (True, 2, True)
    assert not field(SECRETS, {}).set


def test_settings_that_this_build_cannot_read_are_shown_as_what_is_in_force() -> None:
    found = field("log_level", {"log_level": "chatty"})
    assert (found.value, found.set) == ("info", False)
