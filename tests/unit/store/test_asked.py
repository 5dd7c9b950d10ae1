"""A search for messages, as a URL or a shell writes it."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.message_id import mint, text_of
from warouter.store.views.messages.asked import OPTIONS, command_of, search_of
from warouter.store.views.messages.found import DIRECTIONS, KINDS, LIMIT, STATES, Search
from warouter.store.views.messages.newest import place_of

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
NOON = int(NOW.timestamp() * 1000)
PLACE = text_of(mint(3, NOON, bytes(12)))


def test_an_empty_filter_selects_by_nothing() -> None:
    assert search_of({}, NOW) == Search()
    assert search_of(dict.fromkeys(OPTIONS, "  "), NOW) == Search()


def test_every_field() -> None:
    fields = {
        "id": " gBEG ",
        "number": "+49 (151) 1234-5678",
        "direction": "out",
        "state": "failed,in doubt,in_doubt",
        "kind": "media, read mark",
        "code": "470",
        "since": "15m",
        "until": "2026-11-29T13:00:00+02:00",
        "older": PLACE,
        "limit": "7",
    }
    assert search_of(fields, NOW) == Search(
        message_id="gBEG",
        number="4915112345678",
        direction="out",
        states=("failed", "in_doubt"),
        kinds=("media", "read mark"),
        code=470,
        since=NOON - 900_000,
        until=NOON - 3_600_000,
        older=place_of(PLACE),
        limit=7,
    )


@pytest.mark.parametrize(
    ("text", "before_noon_s"),
    [
        ("2026-11-29T11:59", 60),
        ("2026-11-29 11:59:59.5", 0.5),
        ("2026-11-29T11:59:00Z", 60),
        ("2026-11-29", 12 * 3600),
        ("90s", 90),
        ("2 h", 7200),
        ("1d", 86_400),
    ],
)
def test_times(text: str, before_noon_s: float) -> None:
    assert search_of({"since": text}, NOW).since == NOON - int(before_noon_s * 1000)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"number": "12"}, "5 to 15 digits"),
        ({"direction": "up"}, "'up' is no direction: out, in."),
        ({"state": "lost"}, "'lost' is no state: waiting"),
        ({"kind": "poem"}, "'poem' is no kind"),
        ({"code": "-1"}, "is not an error code"),
        ({"code": "\u0662"}, "is not an error code"),
        ({"limit": "0"}, "from 1 to 1000"),
        ({"limit": "1001"}, "from 1 to 1000"),
        ({"since": "yesterday"}, "is no time"),
        ({"until": "99999-01-01"}, "is no time"),
        ({"older": "<script>"}, "is no place"),
        ({"id": "x" * 1001}, "at most 1000 characters"),
    ],
)
def test_impossible_filters_are_refused_in_a_sentence(
    fields: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        search_of(fields, NOW)


@given(st.dictionaries(st.sampled_from([*OPTIONS, "other"]), st.text()))
def test_no_text_does_more_than_be_refused(fields: dict[str, str]) -> None:
    try:
        search = search_of(fields, NOW)
    except ValueError:
        return
    assert 1 <= search.limit <= 1000


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.text(max_size=20),
            "number": st.just("+49 151 12345678"),
            "direction": st.sampled_from(DIRECTIONS),
            "state": st.lists(st.sampled_from(STATES)).map(",".join),
            "kind": st.lists(st.sampled_from(list(KINDS))).map(",".join),
            "code": st.integers(0, 999).map(str),
            "older": st.just(PLACE),
            "limit": st.integers(1, LIMIT).map(str),
        },
    )
)
def test_the_command_asks_for_the_same(fields: dict[str, str]) -> None:
    name, command, *words = shlex.split(command_of(fields))
    assert (name, command) == ("warouter", "messages")
    names = {option: field for field, option in OPTIONS.items()}
    told = {names[option]: text for option, text in zip(words[::2], words[1::2], strict=True)}
    assert search_of(told, NOW) == search_of(fields, NOW)
