"""``health_status`` of the number: whether each thing that a message passes may send. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.graph_faults import Entity, Limit

BUSINESS = "2729063490586005"
_STATES = ("AVAILABLE", "LIMITED", "BLOCKED")  # the best first
# Code, description, possible solution: in the form that Meta's have, in words of our own.
_ERRORS: dict[Entity, tuple[int, str, str]] = {
    "PHONE_NUMBER": (
        141000,
        "The phone number cannot be used.",
        "Register the phone number.",
    ),
    "WABA": (
        141006,
        "The means of payment was refused, so that templates are not sent.",
        "Add another means of payment to the account.",
    ),
    "BUSINESS": (
        141010,
        "The Business has not passed business verification.",
        "Visit business settings and start or resolve the business verification request.",
    ),
    "APP": (
        141011,
        "The app is in development mode.",
        "Switch the app to live mode.",
    ),
}
_UNAPPROVED = "The display name is not approved yet; the messaging limit stays low until it is."


def health_status(
    facts: CloudFacts, states: Mapping[Entity, Limit], *, registered: bool, named: bool
) -> dict[str, Any]:
    """The four parts, and the worst of them; ``states`` of those that are not AVAILABLE.

    ``named``: the display name is approved.
    """
    ids: dict[Entity, str] = {
        "PHONE_NUMBER": facts.phone_number_id,
        "WABA": facts.waba_id,
        "BUSINESS": BUSINESS,
        "APP": facts.app_id,
    }
    entities = [_entity(type, id, states.get(type)) for type, id in ids.items()]
    number = entities[0]
    if not registered:
        number["can_send_message"] = "BLOCKED"
    elif not named and number["can_send_message"] == "AVAILABLE":
        number |= {"can_send_message": "LIMITED", "additional_info": [_UNAPPROVED]}
    worst = max((_STATES.index(one["can_send_message"]) for one in entities), default=0)
    return {"can_send_message": _STATES[worst], "entities": entities}


def _entity(type: Entity, id: str, state: Limit | None) -> dict[str, Any]:
    entity: dict[str, Any] = {"entity_type": type, "id": id, "can_send_message": "AVAILABLE"}
    if state:
        code, description, solution = _ERRORS[type]
        entity["can_send_message"] = state
        entity["errors"] = [
            {
                "error_code": code,
                "error_description": description,
                "possible_solution": solution,
            }
        ]
    return entity
