"""A choice among the messages in doubt, as a URL or a shell writes it, and a preview in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warouter._hash import slot_of
from warouter.store.journal.issues import DOUBTED, KEPT
from warouter.store.views.doubt_choice import OPTIONS, DoubtChoice, choice_of, options_of
from warouter.store.views.doubt_preview import DoubtPreview, sentences_of
from warouter.store.views.doubts import HEARS, LISTED, STATES, Word, age

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
TO = "4915112345678"


def test_an_empty_choice_has_all_that_is_listed() -> None:
    assert choice_of({}, NOON) == DoubtChoice(states=LISTED)
    assert choice_of(dict.fromkeys(OPTIONS, " "), NOON) == DoubtChoice()
    assert choice_of({}, NOON, HEARS["fail"]).states == (KEPT,)


def test_every_field_of_a_choice() -> None:
    fields = {
        "state": "held, in_doubt",
        "number": "+49 (151) 1234-5678",
        "since": "2h",
        "before": "2026-11-29T12:30:00+01:00",
        "cause": "timeout",
        "template": "offer_7",
        "slot": "31",
    }
    assert choice_of(fields, NOON) == DoubtChoice(
        states=(KEPT, DOUBTED),
        recipient=TO,
        since=NOON - timedelta(hours=2),
        before=NOON - timedelta(minutes=30),
        slot=31,
        cause="timeout",
        template="offer_7",
    )
    assert options_of(fields) == (
        "--state 'held, in_doubt' --to '+49 (151) 1234-5678' --since 2h"
        " --before 2026-11-29T12:30:00+01:00 --cause timeout --template offer_7 --slot 31"
    )


def test_a_customer_is_looked_for_in_one_slot() -> None:
    assert choice_of({"number": TO}, NOON).slot == slot_of(TO)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("state", "sent"),
        ("state", "in_doubt,"),
        ("number", "x"),
        ("since", "yesterday"),
        ("before", "1 week"),
        ("cause", "silence"),
        ("template", "O'Hara"),
        ("slot", "32"),
        ("slot", "-1"),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused_with_a_sentence(name: str, text: str) -> None:
    states = HEARS["fail"]
    with pytest.raises(ValueError, match=r"\w"):
        choice_of({name: text}, NOON, states)


def test_each_word_is_heard_in_a_state_that_is_listed() -> None:
    assert {state for states in HEARS.values() for state in states} <= {*LISTED}
    assert {*LISTED} <= STATES.keys()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (2e6, "23 d")],
)
def test_ages_in_words(seconds: float, said: str) -> None:
    assert age(seconds) == said


def previewed(word: Word, **given: Any) -> DoubtPreview:
    found = DoubtPreview(
        word=word,
        choice=DoubtChoice(),
        at=NOON,
        messages=1_204,
        more=False,
        recipients=980,
        states={"held": 1_204},
        causes={"timeout": 1_200, "connection": 4},
        doubtful=1_203,
        doubtful_recipients=979,
        templates=57,
        oldest=NOON - timedelta(hours=3),
        newest=NOON - timedelta(seconds=30),
        held_s=86_400,
    )
    return found._replace(**given)


def test_a_preview_says_what_a_second_sending_may_cost() -> None:
    assert sentences_of(previewed("resend")) == [
        "1,204 messages to 980 customers will be sent once more.",
        "By state: 1,204 held. By cause: 1,200 timeout, 4 connection.",
        "Waiting for 30 s to 3 h; the oldest since 2026-11-29T09:00:00.000Z.",
        "1,203 messages may have been taken by Meta already: each that was reaches its customer"
        " twice, and Meta charges each delivery.",
        "57 are templates, whose delivery costs the price of its category.",
    ]
    assert len(sentences_of(previewed("resend", templates=0))) == 4
    assert sentences_of(previewed("resend", causes={"timeout": 3, "gone": 2}))[5:] == [
        "Not sent, and held as before: 2 messages, no longer stored."
    ]


def test_a_preview_says_whom_a_failure_may_misinform() -> None:
    assert sentences_of(previewed("fail"))[3:] == [
        "979 customers may have got a message of which the business is told that it failed."
    ]


def test_a_preview_says_until_when_messages_are_held() -> None:
    said = sentences_of(previewed("hold", states={"in_doubt": 1}, messages=1, recipients=1))
    assert said[0] == "1 message to 1 customer will be held."
    assert said[1].startswith("By state: 1 in doubt.")
    assert said[3] == (
        "Without another word of yours they fail 24 h after they are held, about"
        " 2026-11-30T12:00:00.000Z; a status that Meta took one ends it before."
    )


def test_a_preview_of_too_many_says_what_its_figures_are_of() -> None:
    said = sentences_of(previewed("fail", messages=100_000, more=True))
    assert said[0].startswith("More than 100,000 messages to")
    assert said[-1] == "The figures are those of 100,000 of them."


def test_a_preview_of_none_says_nothing() -> None:
    assert sentences_of(previewed("fail", messages=0, oldest=None, newest=None)) == []
