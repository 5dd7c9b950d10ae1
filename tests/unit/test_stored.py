"""What is stored is not trusted to be what the API checked."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.garbage import GARBAGE
from warouter.app_settings import ApplicationSettings, effective, log_level
from warouter.stored import decoded, text_of, usable

LAST = {"log_level": "error", "webhooks": {"url": "https://a.test"}, "media": {}}


def of(stored: Any) -> Any:
    return usable(stored, ApplicationSettings, LAST)


def test_good_fields_go_and_bad_ones_stay_as_they_were() -> None:
    stored = {"log_level": "loud", "webhooks": {"url": 5}, "sent_status": True, "new": [1]}
    found = of(stored)
    webhooks = LAST["webhooks"]
    assert found.fields == {
        "log_level": "error",
        "webhooks": webhooks,
        "sent_status": True,
        "new": [1],
    }
    assert len(found.problems) == 2
    assert "log_level" in found.problems[0]
    assert of({"sent_status": "maybe"}).fields == {}  # nothing was good before: the default


@pytest.mark.parametrize("text", [t for texts in GARBAGE.values() for t in texts])
def test_whatever_is_stored_makes_settings(text: str) -> None:
    found = of(decoded(text))
    settings = effective(found.fields)
    assert settings.log_level in ("debug", "info", "warning", "error")
    assert log_level(found.fields) in (None, "DEBUG", "INFO", "WARNING", "ERROR")


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NAMES = st.sampled_from(ApplicationSettings.__struct_fields__)


@given(JSON | st.dictionaries(NAMES, JSON))
def test_any_json_makes_settings(stored: Any) -> None:
    found = of(stored)
    effective(found.fields)
    again = usable(found.fields, ApplicationSettings, {})
    assert (again.fields, again.problems) == (found.fields, [])


def test_storable_text_is_left_alone() -> None:
    stored = msgspec.to_builtins(ApplicationSettings(sent_status=True))
    assert of(stored) == (stored, [])


@pytest.mark.parametrize("stored", [None, [], {}, {"a": "é"}, {"a": 5}, {"b": "x"}, "a"])
def test_no_text(stored: Any) -> None:
    assert text_of(stored, "a") is None
    assert text_of({"a": "x", "b": "y"}, "a", "b") == "xy"
