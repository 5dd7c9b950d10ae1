"""The cases of real clients, by id: media, stats, profiles, garbage collection, identity, tiers."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.harness.documented import rows
from tests.harness.form import judge_courier, judge_vumi
from tests.harness.integration import API_KEY, TEXT, Integration
from warouter.api.app import ROUTES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]

TO = "250788123123"
SENDER = "250788123124"
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////"
    "////////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQAB"
    "PxA="
)
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


async def test_every_endpoint_of_the_docs_is_served() -> None:
    promised = {route for route, row in rows().items() if row.kind != "not there"}
    assert promised - {(r.method, r.path) for r in ROUTES} == set()


# ---------------------------------------------------------------- settings of a fresh install


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/v1/settings/application", ("settings", "application")),
        ("/v1/settings/profile/about", ("settings", "profile")),
        ("/v1/settings/business/profile", ("settings", "business")),
    ],
)
async def test_c11_settings_of_a_fresh_install(
    site: Integration, path: str, keys: tuple[str, str]
) -> None:
    reply = await site.call("GET", path)
    assert reply.status == 200
    assert isinstance(reply.json[keys[0]][keys[1]], dict)


async def test_c12_garbage_collection(site: Integration) -> None:
    for data in (None, b""):
        reply = await site.call("PUT", "/v1/services/message/gc", data=data)
        assert 200 <= reply.status < 300
        assert isinstance(reply.json, dict)


# ---------------------------------------------------------------- stats and metrics


@pytest.mark.parametrize("name", ["app", "db"])
async def test_c13_stats(site: Integration, name: str) -> None:
    for headers in (None, {"Authorization": f"Apikey {API_KEY}"}):
        reply = await site.call("GET", f"/v1/stats/{name}", headers=headers)
        assert reply.status == 200
        metrics = reply.json["stats"][name]
        assert metrics
        for metric in metrics.values():
            assert metric["type"] in ("gauge", "counter")
            assert metric["help"]
            for sample in metric["data"]:
                assert isinstance(sample["value"], int | float)
                assert isinstance(sample.get("labels", {}), dict)


@pytest.mark.parametrize("name", ["app", "db"])
async def test_c14_stats_as_text(site: Integration, name: str) -> None:
    reply = await site.call("GET", f"/v1/stats/{name}?format=prometheus")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert re.search(rb"^[a-z_]+(\{.*\})? [0-9.e+-]+", reply.body, re.MULTILINE)


@pytest.mark.parametrize("path", ["/metrics", "/v1/metrics"])
async def test_c15_metrics(site: Integration, path: str) -> None:
    assert (await site.send()).status == 201
    reply = await site.call("GET", f"{path}?format=prometheus")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    text = reply.body.decode()
    for name in ("web_uptime", "web_requests", "callback_queue_size"):
        assert re.search(rf"^{name}(\{{.*\}})? \d", text, re.MULTILINE), name
    line = re.search(
        r'^api_requests_duration_ms_sum\{(.*method="POST_v1_messages".*)\}', text, re.M
    )
    assert line is not None
    assert "node=" in line[1]
    assert "result=" in line[1]


async def test_c15_the_callback_queue_is_where_coreapps_are_seen(site: Integration) -> None:
    reply = await site.call("GET", "/v1/stats/app")
    assert "callback_queue_size" in reply.json["stats"]["app"]


# ---------------------------------------------------------------- media


async def upload(site: Integration, data: Any, content_type: str) -> str:
    """The id of an upload that was answered exactly 201."""
    reply = await site.call(
        "POST",
        "/v1/media",
        data=data,
        headers={"Authorization": f"Bearer {site.token}", "Content-Type": content_type},
    )
    assert reply.status == 201, reply.body
    media_id: str = reply.json["media"][0]["id"]
    return media_id


async def sent(site: Integration, body: object, path: str = "/v1/messages") -> str:
    reply = await site.call("POST", path, body)
    assert reply.status == 201, reply.body
    message_id: str = reply.json["messages"][0]["id"]
    return message_id


def template(image: dict[str, Any]) -> dict[str, Any]:
    components = [
        {"type": "header", "parameters": [{"type": "image", "image": image}]},
        {"type": "body", "parameters": [{"type": "text", "text": "x"}]},
    ]
    content = {
        "namespace": "ns",
        "name": "hello",
        "language": {"policy": "deterministic", "code": "en_US"},
        "components": components,
    }
    return {"to": TO, "type": "template", "template": content}


async def test_c21_a_template_with_an_image_to_the_path_with_a_slash(site: Integration) -> None:
    media_id = await upload(site, JPEG, "image/jpeg")
    message_id = await sent(site, template({"id": media_id}), "/v1/messages/")
    await site.receiver.status(message_id, "delivered")


async def test_c25_buttons_under_a_document(site: Integration) -> None:
    media_id = await upload(site, PDF, "application/pdf")
    interactive = {
        "type": "button",
        "header": {"type": "document", "document": {"id": media_id, "filename": "a.pdf"}},
        "body": {"text": "Choose"},
        "footer": {"text": "or not"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "0", "title": "BUTTON1"}}]},
    }
    await sent(site, {"to": TO, "type": "interactive", "interactive": interactive})


LINK = {"link": "https://foo.invalid/file"}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("image", {**LINK, "caption": "c"}),
        ("video", {**LINK, "caption": "c"}),
        ("audio", LINK),
        ("document", {**LINK, "filename": "a.pdf", "caption": "c"}),
    ],
)
async def test_c26_a_link_that_is_dead_fails_later(
    site: Integration, kind: str, content: dict[str, Any]
) -> None:
    message_id = await sent(site, {"to": TO, "type": kind, kind: content})
    # Temporary trouble, as an unknown name may be, is tried again first.
    status = await site.receiver.status(message_id, "failed", 90)
    assert status["errors"][0]["code"]


async def test_c27_an_upload_of_raw_bytes(site: Integration) -> None:
    for data, content_type in ((JPEG, "image/jpeg"), (PDF, "application/pdf")):
        media_id = await upload(site, data, content_type)
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", media_id)


async def test_c28_an_uploaded_image_in_a_header(site: Integration) -> None:
    media_id = await upload(site, JPEG, "image/jpeg")
    await sent(site, template({"id": media_id}))
    await sent(site, {"to": TO, "type": "image", "image": {"id": media_id, "caption": None}})


async def test_c29_a_chunked_upload_with_a_charset(site: Integration) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for n in range(50):
            yield b"line %d\n" % n

    media_id = await upload(site, chunks(), "text/plain; charset=utf-8")
    reply = await site.call("GET", f"/v1/media/{media_id}")
    assert reply.body == b"".join(b"line %d\n" % n for n in range(50))


async def test_c30_a_download(site: Integration) -> None:
    media_id = await upload(site, JPEG, "image/jpeg")
    for path in (f"/v1/media/{media_id}", f"/v1/media/{media_id}/"):
        reply = await site.call("GET", path)
        assert reply.status == 200
        assert reply.body == JPEG
        assert reply.headers["Content-Type"] == "image/jpeg"
        assert int(reply.headers["Content-Length"]) == len(JPEG)


async def test_rule_6_media_comes_back_with_length_and_type(site: Integration) -> None:
    media_id = await upload(site, b"hello", "text/plain; charset=utf-8")
    reply = await site.call("GET", f"/v1/media/{media_id}")
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert int(reply.headers["Content-Length"]) == 5
    assert (await site.call("DELETE", f"/v1/media/{media_id}")).status == 200
    gone = await site.call("GET", f"/v1/media/{media_id}")
    assert gone.status == 404


async def test_c31_an_upload_with_a_dead_token(site: Integration) -> None:
    headers = {"Authorization": "Bearer " + "x" * 43, "Content-Type": "image/jpeg"}
    reply = await site.call("POST", "/v1/media", data=JPEG, headers=headers)
    assert reply.refused(401, 1005)["title"] == "Access denied"


INBOUND: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "image": (JPEG, "image/jpeg", {"body": "a caption"}),
    "document": (PDF, "application/pdf", {"body": "a caption"}),
    "audio": (b"ID3\x03" + b"\0" * 60, "audio/mpeg", {}),
    "voice": (b"OggS" + b"\0" * 60, "audio/ogg; codecs=opus", {}),
    "video": (b"\0\0\0\x18ftypmp42" + b"\0" * 60, "video/mp4", {"body": "a caption"}),
}


@pytest.mark.parametrize("kind", INBOUND)
async def test_c41_inbound_media(site: Integration, kind: str) -> None:
    data, mime, more = INBOUND[kind]
    message = {
        "from": SENDER,
        "name": "Jerry",
        "type": kind,
        "data": base64.b64encode(data).decode(),
        "mime": mime,
        **more,
    }
    message_id = await site.inject(message)
    post = await site.receiver.message(message_id)
    judge_courier(post.json)
    judge_vumi(post.json)
    shown = next(m for m in post.json["messages"] if m["id"] == message_id)[kind]
    assert shown["mime_type"] == mime
    assert shown["sha256"] in (
        hashlib.sha256(data).hexdigest(),
        base64.b64encode(hashlib.sha256(data).digest()).decode(),
    )
    assert shown["file"]
    if more:
        assert shown["caption"] == more["body"]
    reply = await site.call("GET", f"/v1/media/{shown['id']}")
    assert reply.status == 200
    assert reply.body == data
    assert reply.headers["Content-Type"] == mime


# ---------------------------------------------------------------- tiers and identity


async def test_c38_over_the_tier(site: Integration) -> None:
    await site.faults(tier=1)
    try:
        ids = [await sent(site, {**TEXT, "to": f"25078855500{n}"}) for n in range(3)]
        failed = [await site.receiver.status(i, "failed") for i in ids[1:]]
    finally:
        await site.faults()
    for status in failed:
        assert status["errors"][0]["code"] == 471


async def test_c45_identity(site: Integration) -> None:
    path = f"/v1/contacts/{SENDER}/identity"
    shown = await site.call("GET", path)
    if shown.status == 404:
        shown.refused(404, 1006)
        (await site.call("PUT", path, {"hash": "x"})).refused(404, 1006)
        await site.inject({"from": SENDER, "type": "text", "body": "hello"})
        shown = await site.call("GET", path)
    assert shown.status == 200
    identity = shown.json["identity"]
    assert isinstance(identity["hash"], str)
    assert isinstance(identity["created_timestamp"], int)
    reply = await site.call("PUT", path, {"hash": identity["hash"]})
    assert reply.status == 200
    assert isinstance(reply.json, dict)
    (await site.call("GET", "/v1/contacts/15550000000/identity")).refused(404, 1006)
