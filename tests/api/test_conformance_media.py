"""The cases of real clients, by id: media that is uploaded, downloaded and received."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import form
from tests.harness.integration import JPEG, PDF, Integration

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]


SENDER = "250788123124"


async def test_c27_an_upload_of_raw_bytes(site: Integration) -> None:
    for data, content_type in ((JPEG, "image/jpeg"), (PDF, "application/pdf")):
        media_id = await site.uploaded(data, content_type)
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", media_id)


async def test_c29_a_chunked_upload_with_a_charset(site: Integration) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for n in range(50):
            yield b"line %d\n" % n

    media_id = await site.uploaded(chunks(), "text/plain; charset=utf-8")
    reply = await site.call("GET", f"/v1/media/{media_id}")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.body == b"".join(b"line %d\n" % n for n in range(50))


async def test_c30_a_download(site: Integration) -> None:
    media_id = await site.uploaded(JPEG, "image/jpeg")
    for path in (f"/v1/media/{media_id}", f"/v1/media/{media_id}/"):
        reply = await site.call("GET", path)
        assert reply.status == 200
        assert reply.body == JPEG
        assert reply.headers["Content-Type"] == "image/jpeg"
        assert int(reply.headers["Content-Length"]) == len(JPEG)


async def test_rule_6_media_comes_back_with_length_and_type(site: Integration) -> None:
    media_id = await site.uploaded(b"hello", "text/plain; charset=utf-8")
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
    "sticker": (b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 60, "image/webp", {}),
}


@pytest.mark.parametrize("kind", INBOUND)
async def test_c41_inbound_media(site: Integration, kind: str) -> None:
    data, mime, more = INBOUND[kind]
    sent = {
        "from": SENDER,
        "name": "Jerry",
        "type": kind,
        "data": base64.b64encode(data).decode(),
        "mime": mime,
        **more,
    }
    message_id = await site.inject(sent)
    post = await site.receiver.message(message_id)
    form.check(post.json)
    message = next(m for m in post.json["messages"] if m["id"] == message_id)
    assert "errors" not in message
    shown = message[kind]
    assert "status" not in shown
    assert (shown["mime_type"], shown["sha256"]) == (mime, hashlib.sha256(data).hexdigest())
    assert shown["link"] == f"{site.cluster.url}/v1/media/{shown['id']}"
    stored = await asyncio.to_thread(Path(shown["file"]).read_bytes)
    assert stored == data  # a path on the shared volume, as the product has it
    if more:
        assert shown["caption"] == more["body"]
    reply = await site.call("GET", f"/v1/media/{shown['id']}")
    assert reply.status == 200
    assert reply.body == data
    assert reply.headers["Content-Type"] == mime
    assert reply.headers["Content-Length"] == str(len(data))
