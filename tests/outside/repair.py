"""Meta's OpenAPI file without its contradictions, as JSON: python repair.py FILE > repaired.json

As it is published (`facebook/openapi`, ``business-messaging-api_v23.0.yaml``) none of its own
examples of messages and webhooks is valid. What is repaired, and nothing else:

1. ``additionalProperties: false`` goes: parts of an ``allOf`` with it exclude each other;
2. of the common fields of a message only two are required, and it may have a reference;
3. inbound messages refer to the inbound schemas, not to those of the same name that are sent;
4. a language needs no policy; coordinates are strings or numbers, the index of a button as well;
5. an interactive message may be of the types that the file does not know yet;
6. a read mark is a message, too.

Written against the file as of its commit ecba623, 2025-11-21. It runs in the witnesses' venv,
which has a YAML reader.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
REF = "#/components/schemas/"
# inbound type: its schema, where another one of that name is meant for messages that are sent
INBOUND = {
    "TextMessage": "TextMessage_2",
    "ReactionMessage": "ReactionMessage_1",
    "AudioMessage": "AudioMessage_1",
    "DocumentMessage": "DocumentMessage_1",
    "ImageMessage": "ImageMessage_1",
    "StickerMessage": "StickerMessage_1",
    "VideoMessage": "VideoMessage_1",
    "LocationMessage": "LocationMessage_1",
}
# interactive type: the name of its action
NEWER = {
    "cta_url": "cta_url",
    "location_request_message": "send_location",
    "address_message": "address_message",
    "order_details": "review_and_pay",
    "order_status": "review_order",
}


def repaired(document: Json) -> Json:
    """The document, changed in place."""
    schemas = document["components"]["schemas"]
    for node in _objects(document):
        if node.get("additionalProperties") is False:
            del node["additionalProperties"]
    _outgoing(schemas)
    _inbound(schemas)
    _loosened(schemas)
    _interactive(schemas)
    schemas["Message"]["oneOf"].append({"$ref": REF + "MarkMessageRequestPayload"})
    return document


def _outgoing(schemas: Json) -> None:
    common = schemas["BaseMessageProperties"]
    common["required"] = ["messaging_product", "to"]
    common["properties"]["biz_opaque_callback_data"] = {"type": "string", "maxLength": 512}


def _inbound(schemas: Json) -> None:
    incoming = schemas["IncomingMessage"]
    names = [one["$ref"].removeprefix(REF) for one in incoming["oneOf"]]
    meant = [INBOUND.get(name, name) for name in names]
    incoming["oneOf"] = [{"$ref": REF + name} for name in meant]
    for name in (*meant, "SystemMessage"):
        for part in schemas[name]["allOf"]:
            if part.get("$ref") == REF + "BaseMessageProperties":
                part["$ref"] = REF + "BaseMessageProperties_1"
    del incoming["discriminator"], schemas["Message"]["discriminator"]


def _loosened(schemas: Json) -> None:
    schemas["LanguageObject"]["required"] = ["code"]
    place = schemas["LocationMessage"]["allOf"][1]["properties"]["location"]["properties"]
    for name in ("latitude", "longitude"):
        place[name]["type"] = ["string", "number"]
    for node in _objects(schemas):
        index = node.get("properties", {}).get("index")
        if "sub_type" in node.get("properties", {}) and index is not None:
            index["type"] = ["string", "integer"]
            index.pop("pattern", None)  # it excludes the file's own examples


def _interactive(schemas: Json) -> None:
    schemas["InteractiveObject"]["properties"]["type"]["enum"] += NEWER
    named = {"properties": {"name": {"enum": list(NEWER.values())}}, "required": ["name"]}
    schemas["ActionObject"]["oneOf"].append(named)


def _objects(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        yield node
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for value in list(values):
        yield from _objects(value)


if __name__ == "__main__":
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with Path(sys.argv[1]).open() as file:
        json.dump(repaired(yaml.load(file, loader)), sys.stdout, default=str)
