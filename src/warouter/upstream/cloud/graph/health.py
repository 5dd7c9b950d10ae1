"""Reads if the number may send, as Meta says of each thing that a message passes. Pure.

``health_status`` of a phone number has four parts: the number itself, its account (WABA), the
business and the app. Each is AVAILABLE, LIMITED or BLOCKED, and says why in errors, or in sentences
beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from warouter.upstream.cloud.answers import bounded
from warouter.upstream.cloud.graph.fields import array, objects, text, word

AVAILABLE, LIMITED, BLOCKED = "AVAILABLE", "LIMITED", "BLOCKED"
STATES = (BLOCKED, LIMITED, AVAILABLE)  # the worst first
ENTITIES = ("PHONE_NUMBER", "WABA", "BUSINESS", "APP")
QUALITIES = ("UNKNOWN", "RED", "YELLOW", "GREEN")
# A name that needs no review is as good as one that was approved.
NAMES = ("APPROVED", "AVAILABLE_WITHOUT_REVIEW")
MOST_ENTITIES, MOST_ERRORS = 16, 8
_CALLED = {
    "PHONE_NUMBER": "phone number",
    "WABA": "WhatsApp Business account",
    "BUSINESS": "business",
    "APP": "app",
}


class HealthTrouble(msgspec.Struct, frozen=True):
    """Why something may not send, by Meta's code and in its words."""

    code: int
    description: str
    solution: str  # Meta's advice, "" without one


class Entity(msgspec.Struct, frozen=True):
    """One of the things that a message passes; ``type`` is one of ENTITIES or newer.

    ``info`` are sentences of Meta's about one that is limited.
    """

    type: str
    id: str
    can_send: str  # AVAILABLE, LIMITED, BLOCKED
    errors: tuple[HealthTrouble, ...] = ()
    info: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = [_words(trouble) for trouble in self.errors] or list(map(_ended, self.info))
        why = " ".join(said) or "Meta does not say why."
        called = _CALLED.get(self.type, self.type)
        return f"Meta says that the {called} {self.id} is {self.can_send}: {why}"


def entities_of(found: dict[str, Any]) -> tuple[Entity, ...]:
    """The parts of ``health_status``; what has no form that is known is left out."""
    return tuple(
        Entity(
            text(one, "entity_type"),
            word(one.get("id")),
            text(one, "can_send_message"),
            tuple(_trouble(each) for each in objects(one, "errors")[:MOST_ERRORS]),
            tuple(bounded(each) for each in array(one, "additional_info") if isinstance(each, str))[
                :MOST_ERRORS
            ],
        )
        for one in objects(found, "entities")[:MOST_ENTITIES]
        if text(one, "entity_type")
    )


def warnings(
    entities: Iterable[Entity], can_send: str, quality: str, name_status: str
) -> Iterator[str]:
    """A sentence for each thing that keeps the number from sending, or soon may."""
    troubled = [entity for entity in entities if entity.can_send in (LIMITED, BLOCKED)]
    yield from map(str, troubled)
    if not troubled and can_send in (LIMITED, BLOCKED):
        yield f"Meta says that the number is {can_send}, and not why."
    if quality == "RED":
        yield (
            "The quality of the number is RED: many customers block or report it."
            " Meta may lower its limits."
        )
    elif quality == "YELLOW":
        yield "The quality of the number is YELLOW: some customers block or report it."
    if name_status and name_status not in NAMES:
        yield (
            f"The display name of the number is not approved ({name_status}):"
            " see WhatsApp Manager, phone numbers."
        )


def _trouble(one: dict[str, Any]) -> HealthTrouble:
    code = one.get("error_code")
    return HealthTrouble(
        code if isinstance(code, int) and not isinstance(code, bool) else 0,
        text(one, "error_description"),
        text(one, "possible_solution"),
    )


def _words(trouble: HealthTrouble) -> str:
    said = " ".join(_ended(part) for part in (trouble.description, trouble.solution) if part)
    return f"code {trouble.code}: {said}" if said else f"code {trouble.code}."


def _ended(words: str) -> str:
    return words if words.endswith((".", "!", "?")) else f"{words}."
