"""Settings of the API as a form: what differs, and the PATCH that brings it about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.app_settings import merge
from warouter.store.views.setup.application import Field, fields_of
from warouter.store.views.setup.difference import (
    MEDIA_TYPES,
    differences,
    fields_to_change,
    patch_of,
    text_of,
)

SWITCH = st.sampled_from(("on", "off"))
WISHES = st.fixed_dictionaries(
    {},
    optional={
        "callback_persist": SWITCH,
        "garbagecollector_enable.media": SWITCH,
        "webhooks.message.sent": SWITCH,
        "webhooks.url": st.sampled_from(("", "https://a.example/x?k=1")),
        "webhooks.max_concurrent_requests": st.sampled_from(("6", "12", "18", "24")),
        "callback_backoff_delay_ms": st.integers(1, 1000).map(str),
        "media.auto_download": st.lists(st.sampled_from(MEDIA_TYPES), unique=True).map(", ".join),
        "on_call_pager": st.text("abc ", max_size=5),
    },
)


def fields(stored: dict[str, Any] | None = None) -> list[Field]:
    return fields_of(stored or {}, [])


def test_every_field_with_its_present_value_differs_in_nothing() -> None:
    now = {each.name: text_of(each.value) for each in fields()}
    assert differences(fields(), now) == []


@given(WISHES)
def test_after_the_patch_is_stored_all_is_as_wished(wishes: dict[str, str]) -> None:
    found = differences(fields(), wishes)
    stored = merge({}, patch_of(found))
    assert differences(fields(stored), wishes) == []
    assert {each.name for each in found} <= wishes.keys()


@given(WISHES, WISHES)
def test_a_difference_names_what_was_and_what_will_be(
    first: dict[str, str], then: dict[str, str]
) -> None:
    stored = merge({}, patch_of(differences(fields(), first)))
    before = {each.name: text_of(each.value) for each in fields(stored)}
    for each in differences(fields(stored), then):
        assert each.old == before[each.name]
        assert each.new != each.old


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("callback_persist", "perhaps"),
        ("callback_backoff_delay_ms", "1.5"),
        ("callback_backoff_delay_ms", "0"),
        ("callback_backoff_delay_ms", "9" * 30),
        ("webhooks.max_concurrent_requests", "7"),
        ("media.auto_download", "image, smell"),
        ("log_level", "chatty"),
    ],
)
def test_settings_that_cannot_be_set_are_refused_with_a_sentence(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|cannot be set"):
        differences(fields(), {name: text})


def test_secrets_and_unknown_fields_are_none_of_the_form() -> None:
    names = {each.name for each in fields_to_change(fields())}
    assert not any("secret" in name for name in names)
    assert "pass_through" not in names
    assert differences(fields(), {"webhooks.secrets": "x", "pass_through": "on", "more": "1"}) == []
