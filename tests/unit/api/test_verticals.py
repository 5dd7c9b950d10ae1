"""Lines of business between v1's texts and Meta's names."""

from __future__ import annotations

import pytest

from warouter.api.profile.verticals import NAMES, TEXTS, UNDEFINED, name_of, text_of

# Two lists of Meta's OpenAPI document: WhatsAppBusinessVertical and WhatsAppBusinessVertical_1.
BOTH = {
    *("OTHER", "AUTO", "BEAUTY", "APPAREL", "EDU", "ENTERTAIN", "EVENT_PLAN", "FINANCE"),
    *("GROCERY", "GOVT", "HOTEL", "HEALTH", "NONPROFIT", "PROF_SERVICES", "RETAIL", "TRAVEL"),
    "RESTAURANT",
}
FIRST = BOTH | {"ALCOHOL", "ONLINE_GAMBLING", "PHYSICAL_GAMBLING", "OTC_DRUGS"}
SECOND = BOTH | {"UNDEFINED", "NOT_A_BIZ"}


def test_every_name_of_meta_is_there_once() -> None:
    assert set(NAMES) == FIRST | SECOND
    assert len(NAMES) == len(FIRST | SECOND)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_becomes_a_name_and_the_same_text_again(text: str) -> None:
    name = name_of(text)
    assert name in FIRST | SECOND
    assert text_of(name) == text


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_in_any_case_and_what_v1_shows_of_it_means_the_same(name: str) -> None:
    assert name_of(name) == name_of(name.lower()) == name
    shown = text_of(name)
    assert name_of(shown) == ("" if name == UNDEFINED else name)


def test_no_two_names_share_a_text() -> None:
    assert len({text_of(name) for name in NAMES}) == len(NAMES)


def test_how_people_write_it() -> None:
    assert name_of("  AUTOMOTIVE ") == "AUTO"
    assert name_of("Beauty, Spa, and Salon") == name_of("beauty spa and  salon") == "BEAUTY"


def test_nothing_is_chosen() -> None:
    assert (name_of(""), text_of(""), text_of(UNDEFINED)) == ("", "", "")


def test_verticals_without_a_counterpart_are_refused() -> None:
    assert name_of("Bakery") is None
    assert text_of("NEW_NAME") == "NEW_NAME"
