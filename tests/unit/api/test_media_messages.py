"""Media in the JSON of messages: what one refers to, and inbound ones with what was downloaded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.api.messages.validate import parse_message
from warouter.media.inbound_media import InboundMedia, completed, described, unasked
from warouter.media.references import Reference, find

ALL = ("image", "video", "voice", "sticker", "audio", "document")
STORED = InboundMedia("an-id", "/m/shared/an-id", "https://a/v1/media/an-id")


def references(**message: Any) -> list[Reference]:
    return find(msgspec.json.encode({"to": "49151", **message}))


@pytest.mark.parametrize("kind", ["image", "audio", "video", "document", "sticker"])
def test_by_id_and_by_link(kind: str) -> None:
    media: dict[str, Any] = {"id": "i", "link": None, "caption": None, "filename": "f"}
    assert references(**{"type": kind, kind: media}) == [Reference(kind, id="i")]
    media = {"link": "https://a", "provider": {"name": "p"}}
    found = [Reference(kind, link="https://a", provider="p")]
    assert references(**{"type": kind, kind: media}) == found


def test_a_template_names_several_in_order_and_so_do_the_cards_of_a_carousel() -> None:
    def component(kind: str, *media: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        text = {"type": "text", "text": "t"}
        return {"type": kind, "parameters": [text, *({"type": k, k: m} for k, m in media)]}

    link = {"link": "https://a", "provider": {"name": "p"}}
    cards = [
        {"card_index": 0, "components": [component("header", ("image", {"id": "1"}))]},
        {"card_index": 1, "components": [component("header", ("image", link)), component("body")]},
        {"card_index": 2},
    ]
    components: list[Any] = [
        component("header", ("image", {"id": "0"}), ("document", {"link": "https://a"})),
        {"type": "body"},
        {"type": "carousel", "cards": cards},
        component("body", ("video", {"id": "3"})),
    ]
    assert references(type="template", template={"name": "t", "components": components}) == [
        Reference("image", id="0"),
        Reference("document", link="https://a"),
        Reference("image", id="1"),
        Reference("image", link="https://a", provider="p"),
        Reference("video", id="3"),
    ]


MEDIA = st.sampled_from([{"id": "i"}, {"id": "j"}, {"link": "https://a"}])
PARAMETERS = st.lists(
    st.sampled_from(["image", "video", "document"]).flatmap(
        lambda kind: MEDIA.map(lambda media: {"type": kind, kind: media})
    )
    | st.just({"type": "text", "text": "t"}),
    max_size=2,
)


def _card(components: list[Any]) -> dict[str, Any]:
    return {"components": components}


COMPONENT = st.fixed_dictionaries(
    {"type": st.sampled_from(["header", "body"])}, optional={"parameters": PARAMETERS}
)
COMPONENTS: Any = st.recursive(
    st.lists(COMPONENT, max_size=3),
    lambda inner: st.lists(
        COMPONENT
        | st.fixed_dictionaries(
            {"type": st.just("carousel")},
            optional={"parameters": PARAMETERS, "cards": st.lists(inner.map(_card), max_size=3)},
        ),
        max_size=3,
    ),
    max_leaves=6,
)


@given(COMPONENTS)
def test_checked_media_ids_are_those_prepared(components: list[Any]) -> None:
    """Every id that the API has looked up reaches the upstream, in the same order."""
    language = {"policy": "deterministic", "code": "en"}
    template = {"name": "t", "language": language, "components": components}
    body = msgspec.json.encode({"to": "4915112345", "type": "template", "template": template})
    assert [found.id for found in find(body) if found.id] == parse_message(body).media_ids


def test_a_header_of_an_interactive_message() -> None:
    header = {"type": "video", "video": {"id": "v"}, "image": {"id": "not this"}}
    interactive = {"type": "button", "header": header, "action": {"buttons": [{"id": "b"}]}}
    found = [Reference("video", id="v")]
    assert references(type="interactive", interactive=interactive) == found


@pytest.mark.parametrize(
    "message",
    [
        {"text": {"body": "t"}},
        {"type": "text", "text": {"body": "t"}, "image": {"id": "of another type"}},
        {"type": "template", "template": {"name": "t"}},
        {"type": "interactive", "interactive": {"header": {"type": "text", "text": "t"}}},
        {"type": "image"},
        {"type": "contacts", "contacts": [{"image": {"id": "x"}}]},
    ],
)
def test_messages_without_media(message: dict[str, Any]) -> None:
    assert references(**message) == []


def test_wanted_media_of_a_message() -> None:
    assert unasked(["image", "referral"], ALL, False) == ["image", "referral"]
    assert unasked(["image", "referral"], ["video"], True) == []
    assert unasked(["voice"], ["voice"], True) == ["voice"]


def inbound(**more: Any) -> bytes:
    media = {"mime_type": "image/jpeg", "sha256": "00", "caption": "c", "status": "undownloaded"}
    return msgspec.json.encode(
        {"from": "49151", "id": "m", "type": "image", "image": media, **more}
    )


def test_a_downloaded_object() -> None:
    message = msgspec.json.decode(completed(inbound(), {"image": STORED}))
    assert message == {
        "from": "49151",
        "id": "m",
        "type": "image",
        "image": {
            "mime_type": "image/jpeg",
            "sha256": "00",
            "caption": "c",
            "id": "an-id",
            "file": "/m/shared/an-id",
            "link": "https://a/v1/media/an-id",
        },
    }


def test_without_a_public_url_there_is_no_link() -> None:
    stored = InboundMedia("an-id", "/f", "")
    assert "link" not in msgspec.json.decode(completed(inbound(), {"image": stored}))["image"]


def test_a_failed_download_is_reported_beside_other_errors() -> None:
    payload = inbound(errors=[{"code": 501}])
    message = msgspec.json.decode(completed(payload, {}, {"image": "gone"}))
    assert message["image"]["status"] == "undownloaded"
    assert [error["code"] for error in message["errors"]] == [501, 400]
    assert message["errors"][1]["title"] == "Media download error"
    assert message["errors"][1]["details"] == "gone"


def test_the_media_of_an_ad() -> None:
    payload = inbound(referral={"source_url": "u", "video": {"status": "undownloaded"}})
    message = msgspec.json.decode(completed(payload, {"referral": STORED}))
    assert message["referral"]["video"]["id"] == "an-id"
    assert message["image"]["status"] == "undownloaded"
    for referral in (None, "text", {"image": 1}, {}):
        assert described({"referral": referral}, "referral") is None
