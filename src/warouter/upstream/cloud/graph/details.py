"""The number in all the words that the Graph API has for it: for people, who decide what to do."""

from __future__ import annotations

from typing import Any, NamedTuple

from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.fields import nested, objects, text, word

_FIELDS = (
    "display_phone_number,verified_name,status,quality_rating,name_status,throughput,"
    "code_verification_status,platform_type,health_status"
)


class Entity(NamedTuple):
    """A node that a message needs. ``errors`` are Meta's words: what is wrong, and its remedy."""

    kind: str
    id: str
    can_send: str
    errors: tuple[tuple[str, str], ...]


class Details(NamedTuple):
    """Texts are Meta's own, "" for what it left out."""

    number: str
    name: str
    status: str
    quality: str
    name_status: str
    level: str
    verification: str
    platform: str
    can_send: str
    entities: tuple[Entity, ...]


async def details(cloud: CloudSettings, calls: Calls) -> Details:
    """Everything, in one call; raises CallAway or CallRefused."""
    return read(await calls.get(cloud.phone_number_id, {"fields": _FIELDS}))


def read(found: dict[str, Any]) -> Details:
    health = nested(found, "health_status")
    return Details(
        number=text(found, "display_phone_number"),
        name=text(found, "verified_name"),
        status=text(found, "status"),
        quality=text(found, "quality_rating"),
        name_status=text(found, "name_status"),
        level=text(nested(found, "throughput"), "level"),
        verification=text(found, "code_verification_status"),
        platform=text(found, "platform_type"),
        can_send=text(health, "can_send_message"),
        entities=tuple(_entity(one) for one in objects(health, "entities")),
    )


def _entity(found: dict[str, Any]) -> Entity:
    errors = tuple(
        (text(one, "error_description"), text(one, "possible_solution"))
        for one in objects(found, "errors")
    )
    kind, id = text(found, "entity_type"), word(found.get("id"))
    return Entity(kind, id, text(found, "can_send_message"), errors)
