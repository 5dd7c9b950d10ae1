"""Inbound messages in Meta's form: what changes on the way from the v1 form, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.lab.simulator.cloud.cloud_world import TO, WALL, Meta
from warouter.lab.simulator.cloud.inbound import CLOUD_TYPES, GraphMedia
from warouter.lab.simulator.cloud.people import user_id
from warouter.lab.simulator.inbound import TYPES, build
from warouter.message_id import text_of
from warouter.upstream.cloud.reference import reference

ID = bytes((1, 3)) + bytes(18)


def told(**asked: Any) -> dict[str, Any]:
    meta = Meta()
    meta.write(**asked)
    (value,) = meta.told()
    return value


def test_a_text_with_its_contact() -> None:
    value = told(body="hi", name="Ann", timestamp=5, id="wamid.1")
    assert value["contacts"] == [{"profile": {"name": "Ann"}, "wa_id": TO, "user_id": user_id(TO)}]
    assert value["messages"] == [
        {
            "from": TO,
            "from_user_id": user_id(TO),
            "id": "wamid.1",
            "timestamp": "5",
            "type": "text",
            "text": {"body": "hi"},
        }
    ]


@pytest.mark.parametrize("kind", ["image", "audio", "voice", "video", "document", "sticker"])
def test_media_have_ids_hashes_in_base64_and_urls(kind: str) -> None:
    meta = Meta()
    message = build({"from": TO, "type": kind, "data": "YWJj", "body": "c"}, "wamid.1", 5)
    kept = {kind: GraphMedia("77", "base64=", "https://media")}
    meta.world.inject(message, kept, meta.now, WALL)
    (found,) = meta.messages()
    cloud_kind = "audio" if kind == "voice" else kind
    assert found["type"] == cloud_kind
    media = found[cloud_kind]
    assert (media["id"], media["sha256"], media["url"]) == ("77", "base64=", "https://media")
    assert not {"status", "file", "link"} & media.keys()
    assert media.get("voice") == {"voice": True, "audio": False}.get(kind)
    assert media.get("caption") == ("c" if kind in ("image", "video", "document") else None)


def test_system_messages_and_errors_have_no_contact() -> None:
    new = "491511234999"
    value = told(type="system", system={"body": "b", "type": "user_changed_number", "wa_id": new})
    assert "contacts" not in value
    system = value["messages"][0]["system"]
    assert (system["wa_id"], system["user_id"]) == (new, user_id(new))
    assert system["previous_user_id"] == user_id(TO)
    error = {"code": 131035, "title": "t", "details": "d"}
    value = told(type="error", error=error)
    assert not {"contacts", "messages"} & value.keys()
    assert value["errors"] == [
        {"code": 131035, "title": "t", "message": "t", "error_data": {"details": "d"}}
    ]


def test_a_changed_identity_names_the_new_hash() -> None:
    meta = Meta()
    meta.write(type="system", system={"body": "b", "type": "user_identity_changed"})
    (found,) = meta.messages()
    identity = meta.world.intake.identities.of(TO)
    assert identity is not None
    assert found["system"]["type"] == "customer_identity_changed"
    assert found["system"]["identity"] == identity.hash


def test_unsupported_inbound_types() -> None:
    (found,) = told(type="unknown")["messages"]
    assert (found["type"], found["errors"][0]["code"]) == ("unsupported", 131051)


@pytest.mark.parametrize("kind", sorted(set(TYPES) - {"error"}))
def test_every_type_of_the_v1_api_is_told(kind: str) -> None:
    objects: dict[str, Any] = {
        "location": {"latitude": 1, "longitude": 2},
        "contacts": [{"name": {"formatted_name": "Ann"}}],
        "interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": "t"}},
        "order": {"catalog_id": "1", "product_items": []},
        "system": {"body": "b", "type": "user_changed_number"},
    }
    asked: dict[str, Any] = {"body": "b"}
    if kind in objects:
        asked = {kind: objects[kind]}
    elif kind not in ("text", "button", "ephemeral", "unknown"):
        asked["data"] = "YWJj"
    (found,) = told(type=kind, **asked)["messages"]
    assert found["id"] == "wamid.in"


def test_an_ad_has_the_url_of_its_image() -> None:
    meta = Meta()
    referral = {"source_url": "https://ad", "image": {"data": "YWJj"}}
    message = build({"from": TO, "body": "x", "referral": referral}, "wamid.1", 5)
    kept = {"referral": GraphMedia("7", "b64", "https://media")}
    meta.world.inject(message, kept, meta.now, WALL)
    assert meta.messages()[0]["referral"] == {
        "source_url": "https://ad",
        "media_type": "image",
        "image_url": "https://media",
    }


def test_a_withheld_sender_has_a_user_id_alone() -> None:
    meta = Meta(withheld=(TO,))
    meta.write(body="hi", name="Ann")
    (value,) = meta.told()
    assert "from" not in value["messages"][0]
    assert value["messages"][0]["from_user_id"] == user_id(TO)
    assert set(value["contacts"][0]) == {"profile", "user_id"}
    assert set(value["contacts"][0]["profile"]) == {"name", "username"}


def test_ids_of_ours_become_wamids() -> None:
    meta = Meta()
    wamid = meta.answer(biz_opaque_callback_data=reference(ID, 1))["messages"][0]["id"]
    meta.write(body="re", context={"from": "1", "id": text_of(ID)})
    reaction = {"message_id": text_of(ID), "emoji": "x"}
    own(meta, {"from": TO, "type": "reaction", "reaction": reaction})
    quote, reaction = meta.messages()
    assert quote["context"] == {"from": "1", "id": wamid}
    assert reaction["reaction"]["message_id"] == wamid
    meta.write(body="re", context={"id": "wamid.other"})
    assert meta.messages()[0]["context"] == {"id": "wamid.other"}


def own(meta: Meta, asked: dict[str, Any]) -> str:
    assert meta.world.is_own(asked)
    return meta.world.inject_own(asked, meta.now, WALL)


@pytest.mark.parametrize("kind", CLOUD_TYPES)
def test_types_of_the_cloud_api_alone(kind: str) -> None:
    meta = Meta()
    id = own(meta, {"from": f"+{TO}", "type": kind, kind: {"a": 1}, "name": "Ann"})
    (value,) = meta.told()
    (found,) = value["messages"]
    assert (found["id"], found["type"], found["from"]) == (id, kind, TO)
    assert value["contacts"][0]["profile"]["name"] == "Ann"
    assert id.startswith("wamid.")


def test_anything_can_be_told_as_it_is() -> None:
    meta = Meta()
    raw = {"id": "wamid.7", "odd": [1, {}]}
    assert own(meta, {"raw": raw}) == "wamid.7"
    assert meta.told()[0]["messages"] == [raw]
    own(meta, {"raw": raw, "kind": "statuses", "contact": {"wa_id": "1"}})
    (value,) = meta.told()
    assert (value["statuses"], value["contacts"]) == ([raw], [{"wa_id": "1"}])
    own(meta, {"value": {"event": "DISABLED_UPDATE"}, "field": "account_update"})
    assert meta.told() == [{"event": "DISABLED_UPDATE"}]


@pytest.mark.parametrize(
    "asked", [{"raw": 1}, {"value": []}, {"raw": {}, "contact": 1}, {"from": "x", "type": "edit"}]
)
def test_malformed_inbound_requests_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Meta().world.is_own(asked)


def test_the_rest_is_no_business_of_the_cloud_forms() -> None:
    assert not Meta().world.is_own({"from": TO, "body": "x"})
