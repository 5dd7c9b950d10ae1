"""``health_status`` read leniently, and the sentences that are made of it."""

from __future__ import annotations

from typing import Any

import pytest

from warouter.upstream.cloud.graph.health import (
    MOST_ENTITIES,
    MOST_ERRORS,
    Entity,
    HealthTrouble,
    entities_of,
    warnings,
)

PAYMENT = {
    "error_code": 141006,
    "error_description": "There is an error with the payment method",
    "possible_solution": "Add a new one!",
}
WABA = {
    "entity_type": "WABA",
    "id": "102",
    "can_send_message": "BLOCKED",
    "errors": [PAYMENT],
    "additional_info": ["See the manager."],
}


def test_a_part_with_all_that_meta_says_of_it() -> None:
    trouble = HealthTrouble(141006, "There is an error with the payment method", "Add a new one!")
    found = Entity("WABA", "102", "BLOCKED", (trouble,), ("See the manager.",))
    assert entities_of({"entities": [WABA]}) == (found,)


@pytest.mark.parametrize(
    ("odd", "found"),
    [
        ({}, ()),
        ({"entities": None}, ()),
        ({"entities": {"a": 1}}, ()),
        ({"entities": [None, 7, [], {}, {"id": "1"}]}, ()),
        ({"entities": [{"entity_type": "APP"}]}, (Entity("APP", "", ""),)),
        (
            {
                "entities": [
                    {"entity_type": "APP", "id": 7, "errors": [1, {}], "additional_info": 3}
                ]
            },
            (Entity("APP", "7", "", (HealthTrouble(0, "", ""),)),),
        ),
        (
            {"entities": [{"entity_type": "APP", "errors": [{"error_code": True}]}]},
            (Entity("APP", "", "", (HealthTrouble(0, "", ""),)),),
        ),
    ],
)
def test_odd_forms(odd: dict[str, Any], found: tuple[Entity, ...]) -> None:
    assert entities_of(odd) == found


def test_kept_errors_are_bounded_and_storable() -> None:
    """PostgreSQL takes no NUL."""
    long = {**WABA, "errors": [PAYMENT] * 99, "additional_info": ["x\0y" * 5_000] * 99}
    found = entities_of({"entities": [long] * 99})
    assert len(found) == MOST_ENTITIES
    assert len(found[0].errors) == len(found[0].info) == MOST_ERRORS
    assert len(found[0].info[0]) <= 2000
    assert "\0" not in found[0].info[0]


def said(*entities: Entity, can_send: str = "", quality: str = "", name: str = "") -> list[str]:
    return list(warnings(entities, can_send, quality, name))


def test_a_sentence_has_the_code_the_words_and_the_remedy() -> None:
    [entity] = entities_of({"entities": [WABA]})
    assert said(entity, can_send="BLOCKED") == [
        "Meta says that the WhatsApp Business account 102 is BLOCKED: code 141006: There is an"
        " error with the payment method. Add a new one!"
    ]


def test_without_errors_the_other_words_count() -> None:
    assert said(Entity("PHONE_NUMBER", "1", "LIMITED", info=("Not approved yet", "Wait."))) == [
        "Meta says that the phone number 1 is LIMITED: Not approved yet. Wait."
    ]
    assert said(Entity("MOON", "1", "LIMITED")) == [
        "Meta says that the MOON 1 is LIMITED: Meta does not say why."
    ]
    assert said(Entity("APP", "1", "BLOCKED", (HealthTrouble(7, "", ""),))) == [
        "Meta says that the app 1 is BLOCKED: code 7."
    ]


def test_healthy_and_unknown_entities_give_no_sentence() -> None:
    well = Entity("APP", "1", "AVAILABLE"), Entity("WABA", "2", ""), Entity("BUSINESS", "3", "NEW")
    assert said(*well, can_send="AVAILABLE", quality="GREEN", name="APPROVED") == []
    assert said(quality="UNKNOWN", name="AVAILABLE_WITHOUT_REVIEW") == []


def test_a_number_that_is_limited_though_no_part_is() -> None:
    assert said(can_send="LIMITED") == ["Meta says that the number is LIMITED, and not why."]


def test_quality_and_name() -> None:
    red, name = said(quality="RED", name="DECLINED")
    assert red.startswith("The quality of the number is RED: ")
    assert name.startswith("The display name of the number is not approved (DECLINED): ")
    assert said(quality="YELLOW")[0].startswith("The quality of the number is YELLOW: ")
