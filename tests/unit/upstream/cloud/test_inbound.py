"""Inbound messages of the Cloud API in the v1 form, type by type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.unit.upstream.cloud.samples import (
    ANN,
    ANN_WITHOUT_NUMBER,
    BEA,
    DIGEST,
    HEX,
    NEW_NUMBER,
    NUMBERLESS,
    REACTION,
    REVOKE,
    SENT_WAMID,
    TEXT,
    UNSUPPORTED,
    VOICE,
    WEBHOOK_LOST,
    dumped,
)
from warouter.kinds import EVENT_NAMES, INBOUND, STATUS
from warouter.media.inbound_media import described
from warouter.upstream.checks import problem
from warouter.upstream.cloud.handles import hex_of
from warouter.upstream.cloud.inbound import mentioned, to_v1
from warouter.upstream.protocol import Event

ANNS = "15550001111"
ALIAS = "999123456789012"
V1_ID = "AQcAAQIDBAUGBwgJCgsMDQ4PEBES"
UNKNOWN = {
    "code": 501,
    "title": "Unsupported message type",
    "details": "Message type is not currently supported",
    "href": "/v1/errors#501",
}


class Shown(NamedTuple):
    payload: dict[str, Any]
    contact: dict[str, Any]
    media: dict[str, str]
    kind: int
    key: str


def v1(
    message: dict[str, Any],
    contact: dict[str, Any] | None = None,
    wa_id: str = ANNS,
    our_ids: Mapping[str, str] = {},
) -> Shown:
    """The v1 form, which every receiver can take."""
    made = to_v1(dumped(message), dumped(contact) if contact else b"", wa_id, our_ids)
    assert made is not None
    event = Event(
        7, 1, EVENT_NAMES[made.kind], made.key or "wamid.T", wa_id, made.payload, made.contact
    )
    assert problem(event) is None
    payload = json.loads(made.payload)
    for place in made.media:
        assert described(payload, place) is not None
    return Shown(payload, json.loads(made.contact or b"{}"), made.media, made.kind, made.key)


def message(kind: str, **parts: Any) -> dict[str, Any]:
    return {"from": ANNS, "id": "wamid.T", "timestamp": "1764000003", "type": kind, **parts}


AS_IT_IS = {
    "text": {"body": "hi \N{SNOWMAN} \x00"},
    "location": {
        "latitude": -23.55052,
        "longitude": -46.633308,
        "name": "here",
        "url": "https://x",
    },
    "contacts": [
        {
            "name": {"formatted_name": "Bea"},
            "phones": [{"phone": "+55 11", "wa_id": "5511900002222", "type": "CELL"}],
            "vcard": "BEGIN:VCARD",
            "origin": "contact_request",
        }
    ],
    "button": {"payload": None, "text": "Yes"},
    "order": {
        "catalog_id": "194836987003835",
        "text": "please",
        "product_items": [
            {"product_retailer_id": "di9", "quantity": 1, "item_price": 30.5, "currency": "USD"}
        ],
    },
    "interactive": {"type": "button_reply", "button_reply": {"id": "a", "title": "A"}},
}
INTERACTIVE: list[dict[str, Any]] = [
    {"type": "list_reply", "list_reply": {"id": "a", "title": "A", "description": "d"}},
    {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{}"}},
    {"type": "call_permission_reply", "call_permission_reply": {"response": "accept"}},
    {"type": "of_next_year", "of_next_year": {"n": 10**30}},
]


@pytest.mark.parametrize(
    ("kind", "part"), [*AS_IT_IS.items(), *(("interactive", reply) for reply in INTERACTIVE)]
)
def test_v1_types_pass(kind: str, part: Any) -> None:
    shown = v1(message(kind, **{kind: part}), ANN)
    assert shown == Shown(
        {"from": ANNS, "id": "wamid.T", "timestamp": "1764000003", "type": kind, kind: part},
        ANN,
        {},
        INBOUND,
        "",
    )


def test_a_phone_without_whatsapp_has_an_empty_wa_id() -> None:
    """v1's receivers read it unasked."""
    cards = [{"phones": [{"phone": "1"}, {"phone": "2", "wa_id": None}, "odd"]}, {}, 5]
    shown = v1(message("contacts", contacts=cards), ANN).payload["contacts"]
    filled = [{"phone": "1", "wa_id": ""}, {"phone": "2", "wa_id": ""}, "odd"]
    assert shown == [{"phones": filled}, {}, 5]
    for odd in (None, {}, "x", [{"phones": {}}], [[]]):
        assert v1(message("contacts", contacts=odd), ANN).payload["contacts"] == odd


def test_keys_of_next_year_pass() -> None:
    referral = {
        "source_url": "https://fb.me/x",
        "source_id": "1",
        "source_type": "ad",
        "media_type": "image",
        "image_url": "https://x/y",
        "ctwa_clid": "z",
        "welcome_message": {"text": "Hi"},
    }
    extra = {"referral": referral, "of_next_year": [1, 2.5, {"x": None}]}
    shown = v1(TEXT | extra)
    assert shown.payload == TEXT | extra
    assert shown.media == {}


@pytest.mark.parametrize("kind", ["image", "video", "audio", "voice", "document", "sticker"])
def test_media_is_shown_undownloaded(kind: str) -> None:
    media = {
        "id": "1037543291543636",
        "url": "https://lookaside.fbsbx.com/x",
        "mime_type": "image/jpeg",
        "sha256": DIGEST,
        "caption": "c",
        "filename": "f",
        "animated": False,
    }
    shown = v1(message(kind, **{kind: media}), ANN)
    assert shown.payload["type"] == kind
    assert shown.payload[kind] == {
        "mime_type": "image/jpeg",
        "caption": "c",
        "filename": "f",
        "animated": False,
        "sha256": HEX,
        "status": "undownloaded",
    }
    assert shown.media == {kind: "1037543291543636"}


def test_a_voice_note_has_a_type_of_its_own() -> None:
    shown = v1(VOICE, BEA, "5511900002222", {SENT_WAMID: V1_ID})
    assert shown.payload == {
        "from": "5511900002222",
        "id": "wamid.HBgVoice",
        "timestamp": "1764000004",
        "type": "voice",
        "voice": {
            "mime_type": "audio/ogg; codecs=opus",
            "sha256": HEX,
            "status": "undownloaded",
        },
        "context": {"from": "15557770000", "id": V1_ID},
    }
    assert shown.media == {"voice": "1037543291543636"}


@pytest.mark.parametrize("voice", [False, None, "true", 1])
def test_other_audio_is_audio(voice: Any) -> None:
    shown = v1(message("audio", audio={"id": "1", "voice": voice}))
    assert (shown.payload["type"], shown.media) == ("audio", {"audio": "1"})
    assert shown.payload["audio"] == {"status": "undownloaded"}


@pytest.mark.parametrize(
    ("handle", "media"),
    [(103, {"image": "103"}), ("", {}), (None, {}), (True, {}), ("a\nb", {}), ([], {})],
)
def test_a_handle_is_what_can_be_asked_for(handle: Any, media: dict[str, str]) -> None:
    assert v1(message("image", image={"id": handle})).media == media


def test_media_too_large_has_no_object_and_an_error() -> None:
    error = {"code": 131052, "title": "Media download error", "error_data": {"details": "d"}}
    shown = v1(message("video", errors=[error]))
    assert shown.payload["errors"][0]["code"] == 400
    assert (shown.payload["type"], shown.media) == ("video", {})


@pytest.mark.parametrize(
    ("written", "hex"),
    [
        (DIGEST, HEX),
        (DIGEST.rstrip("="), HEX),
        (DIGEST.replace("+", "-").replace("/", "_"), HEX),
        (HEX, HEX),
        (HEX.upper(), HEX),
        ("", ""),
        (HEX[:-1], ""),
        (DIGEST[4:], ""),
        ("\N{SNOWMAN}", ""),
        ("!" * 44, ""),
        (None, ""),
        (5, ""),
    ],
)
def test_a_digest_is_hex_or_nothing(written: Any, hex: str) -> None:
    assert hex_of(written) == hex
    shown = v1(message("image", image={"id": "1", "sha256": written}))
    assert shown.payload["image"].get("sha256", "") == hex


def test_ids_of_ours_are_translated_and_others_stay() -> None:
    ids = {SENT_WAMID: V1_ID}
    reacted = v1(REACTION | {"context": {"id": "wamid.other", "forwarded": True}}, None, ANNS, ids)
    assert reacted.payload["reaction"] == {"message_id": V1_ID, "emoji": "\N{THUMBS UP SIGN}"}
    assert reacted.payload["context"] == {"id": "wamid.other", "forwarded": True}
    taken_back = REACTION | {"reaction": {"message_id": "wamid.other"}}
    assert v1(taken_back, None, ANNS, ids).payload["reaction"] == {"message_id": "wamid.other"}


def test_each_inbound_type_is_translated_or_named() -> None:
    both = REACTION | {"context": {"id": "wamid.C"}}
    assert mentioned(dumped(both)) == ["wamid.C", SENT_WAMID]
    assert mentioned(dumped(REACTION | {"context": {"id": SENT_WAMID}})) == [SENT_WAMID]
    assert mentioned(dumped(VOICE)) == [SENT_WAMID]
    for nothing in (TEXT, TEXT | {"context": {"forwarded": True}}, TEXT | {"context": None}):
        assert mentioned(dumped(nothing)) == []
    assert mentioned(b'"context"') == []


@pytest.mark.parametrize("bad", [None, 5, "x", []])
def test_a_context_that_is_none_is_dropped(bad: Any) -> None:
    shown = v1(TEXT | {"context": bad, "errors": bad})
    assert shown.payload == TEXT


def test_a_sender_without_a_number_has_an_alias() -> None:
    shown = v1(NUMBERLESS, ANN_WITHOUT_NUMBER, ALIAS)
    assert shown.payload["from"] == ALIAS
    assert shown.payload["from_user_id"] == "US.1122334455"
    assert shown.contact == ANN_WITHOUT_NUMBER | {"wa_id": ALIAS}


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ({"name": "Ann", "username": "ann.x"}, "Ann"),
        ({"username": "ann.x"}, "ann.x"),
        ({"name": ""}, ANNS),
        (None, ANNS),
        ("Ann", ANNS),
    ],
)
def test_a_contact_has_a_name_and_the_v1_number(profile: Any, name: str) -> None:
    contact = v1(TEXT, {"wa_id": "55119", "profile": profile}).contact
    assert (contact["wa_id"], contact["profile"]["name"]) == (ANNS, name)


def test_a_new_number_has_both_names() -> None:
    shown = v1(NEW_NUMBER)
    assert shown.payload["system"] == NEW_NUMBER["system"] | {"new_wa_id": "15550003333"}
    assert (shown.payload["from"], shown.contact, shown.kind) == (ANNS, {}, INBOUND)


def test_old_webhooks_name_the_change_of_a_number_otherwise() -> None:
    system = {"type": "customer_changed_number", "new_wa_id": "15550003333", "customer": ANNS}
    assert v1(message("system", system=system)).payload["system"] == {
        "body": "",
        "type": "user_changed_number",
        "wa_id": "15550003333",
        "new_wa_id": "15550003333",
        "customer": ANNS,
    }


@pytest.mark.parametrize("kind", ["customer_identity_changed", "user_identity_changed"])
def test_a_new_identity_is_not_acknowledged(kind: str) -> None:
    shown = v1(message("system", system={"type": kind, "body": "new", "identity": "Ab/c="}))
    assert shown.payload["system"]["type"] == "user_identity_changed"
    assert shown.payload["identity"] == {
        "acknowledged": False,
        "created_timestamp": 1764000003,
        "hash": "Ab/c=",
    }


def test_a_new_user_id_is_nothing_that_v1_knows() -> None:
    system = {"type": "user_changed_user_id", "user_id": "US.2", "previous_user_id": "US.1"}
    assert to_v1(dumped(message("system", system=system)), b"", ANNS) is None


def test_unsupported_types_become_unknown() -> None:
    shown = v1(UNSUPPORTED, ANN)
    assert shown.payload["type"] == "unknown"
    (error,) = shown.payload["errors"]
    said = "Message type is currently not supported. (Meta's code 131051)"
    assert (error["code"], error["details"]) == (501, said)


def test_meta_s_own_code_says_why_there_is_nothing_to_be_seen() -> None:
    given = {"code": 131060, "title": "This message is currently unavailable."}
    shown = v1(message("unsupported", errors=[given, {"title": "odd"}, {}]), ANN)
    assert [error["code"] for error in shown.payload["errors"]] == [501, 501, 501]
    assert [error["details"] for error in shown.payload["errors"]] == [
        "This message is currently unavailable. (Meta's code 131060)",
        "odd",
        UNKNOWN["details"],
    ]


@pytest.mark.parametrize(
    "found",
    [
        message("unsupported", unsupported={"type": "poll"}),
        message("edit", edit={"original_message_id": "wamid.T", "message": {"type": "text"}}),
        message("request_welcome"),
        message("of_next_year", of_next_year={}),
        message("revoke"),
        message("revoke", revoke={"original_message_id": ""}),
        message("revoke", revoke={"original_message_id": "a:b"}),
        message("revoke", revoke={"original_message_id": "a\nb"}),
        message("revoke", revoke={"original_message_id": "a" * 500}),
        message("") | {"type": None},
        message("") | {"type": ["text"]},
    ],
)
def test_types_v1_lacks_become_unknown(found: dict[str, Any]) -> None:
    shown = v1(found, ANN)
    assert (shown.payload["type"], shown.payload["errors"]) == ("unknown", [UNKNOWN])
    assert shown.kind == INBOUND


def test_an_ephemeral_message_is_one() -> None:
    assert v1(message("ephemeral")).payload == message("ephemeral")


def test_a_revoked_message_becomes_a_status() -> None:
    shown = v1(REVOKE, ANN)
    assert shown == Shown(
        {
            "id": "wamid.HBgText",
            "recipient_id": ANNS,
            "message": {"recipient_id": ANNS},
            "type": "message",
            "status": "deleted",
            "timestamp": "1764000007",
        },
        {},
        {},
        STATUS,
        "wamid.HBgText:deleted:1764000007",
    )


def test_an_error_of_nobody_is_a_v1_error() -> None:
    shown = v1(WEBHOOK_LOST, None, "")
    assert shown.payload["details"] == "It was tried for an hour."
    assert isinstance(shown.payload["code"], int)
    assert shown.payload.keys() == {"code", "title", "details", "href"}
    assert v1({}, None, "").payload["code"]


@pytest.mark.parametrize("timestamp", [None, "soon", -1, 10**30, "1764000000000"])
def test_an_unknown_time_is_none(timestamp: Any) -> None:
    assert v1(TEXT | {"timestamp": timestamp}).payload["timestamp"] == "0"


def test_a_message_of_nobody_is_no_error() -> None:
    """Of a user without a number, say, where such are dropped."""
    assert to_v1(dumped(NUMBERLESS), b"", "") is None


def test_a_message_of_standby_says_so() -> None:
    assert v1(TEXT | {"standby": True}).payload == TEXT | {"standby": True}


@pytest.mark.parametrize(("echo", "mark"), [(True, {"echo": True}), (False, {})])
def test_an_echo_is_from_the_business_to_the_customer(echo: bool, mark: dict[str, bool]) -> None:
    said = TEXT | {"from": "15557770000", "to": ANNS, "echo": echo}
    assert v1(said).payload == TEXT | {"from": "15557770000", "to": ANNS} | mark
    assert v1(said | {"to": None}, wa_id=ALIAS).payload["to"] == ALIAS
