"""Bodies of requests: every type is read, and what Meta refuses is refused."""

from typing import Any

import msgspec
import pytest

from warouter.lab.simulator.cloud.graph.errors import GraphError
from warouter.lab.simulator.cloud.message import AskedMessage, read
from warouter.lab.simulator.cloud.people import user_id

HEAD = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": "+491511234567"}
BUTTONS = [{"type": "reply", "reply": {"id": str(n), "title": "x"}} for n in range(4)]
ROWS = [{"id": str(n), "title": "x"} for n in range(11)]


def of(kind: str, content: object) -> dict[str, Any]:
    """A message of this type."""
    return HEAD | {"type": kind, kind: content}


def interactive(kind: str, **content: object) -> dict[str, Any]:
    return of("interactive", {"type": kind, **content})


def template(*components: dict[str, Any]) -> dict[str, Any]:
    return of("template", {"name": "t", "language": {"code": "de"}, "components": [*components]})


def asked(body: dict[str, Any], **options: Any) -> AskedMessage:
    return read(msgspec.json.encode(body), **options)


def refused(body: Any, **options: Any) -> int:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    with pytest.raises(GraphError) as error:
        read(raw, **options)
    assert error.value.details
    return error.value.code


TYPES: dict[str, Any] = {
    "text": {"body": "hi", "preview_url": True},
    "image": {"link": "https://example.com/a.png", "caption": "c"},
    "video": {"id": "1"},
    "audio": {"id": "1", "voice": True},
    "document": {"id": "1", "filename": "f.pdf"},
    "sticker": {"id": "1"},
    "location": {"latitude": "52.5", "longitude": 13.4, "name": "n"},
    "contacts": [{"name": {"formatted_name": "Ann"}, "phones": [{"phone": "+1"}]}],
    "reaction": {"message_id": "wamid.x", "emoji": ""},
    "template": {"name": "t", "language": {"code": "de", "policy": "deterministic"}},
    "interactive": {"type": "flow", "action": {"name": "flow", "parameters": {}}},
}


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_is_taken(kind: str) -> None:
    found = asked(of(kind, TYPES[kind]))
    assert (found.kind, found.number, found.written) == (kind, "491511234567", "+491511234567")
    assert found.media == (("1",) if TYPES[kind] and "id" in TYPES[kind] else ())
    assert found.template == ("t" if kind == "template" else None)
    assert found.voice == (kind == "audio")


@pytest.mark.parametrize("kind", TYPES)
def test_the_object_of_the_type_is_needed(kind: str) -> None:
    other = "text" if kind != "text" else "image"
    assert refused(HEAD | {"type": kind, other: TYPES[other]}) == 131008


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", 100),
        (b"[]", 100),
        ({"to": "+1555000", "text": {"body": "x"}}, 100),
        (HEAD | {"text": {"body": "x"}, "ttl": 5}, 100),
        (HEAD | {"text": {"body": "x"}, "preview_url": True}, 100),
        (HEAD | {"text": {}}, 131008),
        (HEAD | {"text": {"body": ""}}, 100),
        (HEAD | {"text": {"body": "x" * 4097}}, 100),
        (HEAD | {"type": "hsm", "text": {"body": "x"}}, 100),
        (HEAD | {"type": "voice", "text": {"body": "x"}}, 100),
        (HEAD | {"to": "no number", "text": {"body": "x"}}, 100),
        (HEAD | {"recipient_type": "group", "text": {"body": "x"}}, 100),
        ({"messaging_product": "whatsapp", "text": {"body": "x"}}, 100),
        ({"messaging_product": "whatsapp", "recipient": "x", "text": {"body": "x"}}, 100),
        (of("image", {}), 100),
        (of("image", {"id": "1", "link": "https://x/y"}), 100),
        (of("image", {"link": "ftp://x/y"}), 131009),
        (of("location", {"latitude": 91, "longitude": 0}), 131009),
        (of("location", {"latitude": "x", "longitude": 0}), 131009),
        (of("location", {"latitude": 1}), 131008),
        (of("contacts", []), 100),
        (of("reaction", {"message_id": "x"}), 131008),
        (of("template", {"name": "t"}), 131008),
        (of("template", {"name": "t", "language": {"code": "de", "policy": "fallback"}}), 100),
        (HEAD | {"text": {"body": "x"}, "biz_opaque_callback_data": "x" * 513}, 100),
        (interactive("button"), 131008),
        (interactive("button", action={"buttons": BUTTONS}), 131009),
        (interactive("list", body={"text": "x"}, action={"sections": [{"rows": ROWS}]}), 131009),
        (interactive("list", action={"sections": [1]}), 131009),
        ({"messaging_product": "whatsapp", "status": "read"}, 100),
        ({"messaging_product": "whatsapp", "status": "delivered", "message_id": "x"}, 100),
    ],
)
def test_bad_messages_are_refused(body: Any, code: int) -> None:
    assert refused(body) == code


def test_bare_numbers_are_refused_if_told() -> None:
    body = HEAD | {"to": "491511234567", "text": {"body": "x"}}
    assert asked(body).number == "491511234567"
    assert refused(body, need_plus=True) == 100
    assert asked(body | {"to": "+491511234567"}, need_plus=True).number == "491511234567"


def test_a_user_id_in_place_of_a_number() -> None:
    user = user_id("491511234567")
    body = {"messaging_product": "whatsapp", "recipient": user, "text": {"body": "x"}}
    found = asked(body)
    assert (found.number, found.written, found.by_user) == ("491511234567", user, True)
    assert asked(body | {"recipient": "US.1122"}).number == ""
    assert asked(body | {"to": "+1555000"}).number == "1555000", "to wins"


def test_media_of_templates_and_headers() -> None:
    header = {"type": "header", "parameters": [{"type": "image", "image": {"id": "7"}}]}
    assert asked(template(header)).media == ("7",)
    carousel = {"type": "carousel", "cards": [{"components": [header]}] * 2}
    assert asked(template(header, carousel)).media == ("7", "7", "7")
    assert refused(template({"parameters": []})) == 131008
    image = {"type": "image", "image": {"id": "8"}}
    parts = {"body": {"text": "x"}, "action": {"buttons": BUTTONS[:3]}}
    assert asked(interactive("button", header=image, **parts)).media == ("8",)


def test_read_marks_and_typing() -> None:
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x"}
    assert (asked(mark).read, asked(mark).typing) == ("wamid.x", False)
    assert asked(mark | {"typing_indicator": {"type": "text"}}).typing
