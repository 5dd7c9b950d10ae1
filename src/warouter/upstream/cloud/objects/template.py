"""The template of an outgoing message as the Graph API takes it. Pure.

``namespace`` has no place there, ``deterministic`` is the only policy left, the index of a button
is a string, and a time is shown as its ``fallback_value``: Meta localises none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from warouter.upstream.cloud.objects.attached import part

_KINDS = ("text", "payload", "currency", "date_time", "image", "video", "document", "location")


def template(given: dict[str, Any], ids: Iterator[str]) -> dict[str, Any]:
    """The object ``template``; msgspec.ValidationError if ``given`` has not the shape of one."""
    (language,) = _objects([given.get("language")])
    made: dict[str, Any] = {
        "name": given.get("name"),
        "language": {"code": language.get("code"), "policy": "deterministic"},
    }
    components = [_component(one, ids) for one in _objects(given.get("components"))]
    if components:
        made["components"] = components
    return made


def _component(given: dict[str, Any], ids: Iterator[str]) -> dict[str, Any]:
    made = dict(given)
    if "index" in given:
        index = given["index"]
        made["index"] = str(
            index if type(index) is int else msgspec.convert(index, int, strict=False)
        )
    # Parameters before cards, as the ids are ordered.
    if "parameters" in given:
        made["parameters"] = [_parameter(one, ids) for one in _objects(given["parameters"])]
    if "cards" in given:
        made["cards"] = [_card(one, ids) for one in _objects(given["cards"])]
    return made


def _card(given: dict[str, Any], ids: Iterator[str]) -> dict[str, Any]:
    components = [_component(one, ids) for one in _objects(given.get("components"))]
    return {**given, "components": components}


def _parameter(given: dict[str, Any], ids: Iterator[str]) -> dict[str, Any]:
    made = part(given, _KINDS, ids)
    moment = made.get("date_time")
    if isinstance(moment, dict) and "fallback_value" in moment:
        made["date_time"] = {"fallback_value": moment["fallback_value"]}
    return made


def _objects(given: Any) -> list[dict[str, Any]]:
    # By hand: msgspec.convert looks at the type anew at each call, which costs more than all else.
    found = given or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise msgspec.ValidationError("Expected a list of objects")
    return found
