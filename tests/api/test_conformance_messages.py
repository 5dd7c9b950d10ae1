"""The cases of real clients, by id: media, and what becomes of what is sent, with each upstream.

What is taken of a client, and how it is answered, is in the other tests of the API too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.test_messages import BUTTON, CASES, LINK
from tests.harness.integration import JPEG, PDF, TEXT, Integration

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_c17_to_c24_what_is_taken_is_delivered(site: Integration) -> None:
    taken = [await site.sent(body) for body in CASES.values() if LINK["link"] not in str(body)]
    assert len(taken) == len(set(taken)) >= 11
    for message_id in taken:
        await site.receiver.status(message_id, "read")


HEADED = ("/v1/messages", "/v1/messages/")  # neither is a redirect


@pytest.mark.parametrize("path", HEADED)
async def test_c21_c28_a_template_with_an_image_that_was_uploaded(
    site: Integration, path: str
) -> None:
    image = {"type": "image", "image": {"id": await site.uploaded(JPEG, "image/jpeg")}}
    components = [
        {"type": "header", "parameters": [image]},
        {"type": "body", "parameters": [{"type": "text", "text": "x"}]},
    ]
    language = {"policy": "deterministic", "code": "en"}
    template = {"namespace": "n", "name": "t", "language": language, "components": components}
    body = {"to": TEXT["to"], "type": "template", "template": template}
    reply = await site.call("POST", path, body)
    assert reply.status == 201, reply.body
    await site.receiver.status(reply.json["messages"][0]["id"], "read")


async def test_c25_buttons_under_a_document_that_was_uploaded(site: Integration) -> None:
    document = {"id": await site.uploaded(PDF, "application/pdf"), "filename": "a.pdf"}
    interactive = {
        "type": "button",
        "header": {"type": "document", "document": document},
        "body": {"text": "Choose"},
        "footer": {"text": "foot"},
        "action": BUTTON,
    }
    body = {"to": TEXT["to"], "type": "interactive", "interactive": interactive}
    await site.receiver.status(await site.sent(body), "read")


async def test_c26_a_link_that_is_dead_fails_later(site: Integration) -> None:
    link = {"link": "https://foo.invalid/file"}
    # To four recipients: those of one would be tried one after the other.
    ids = [
        await site.sent({"to": f"{TEXT['to']}{n}", "type": kind, kind: link})
        for n, kind in enumerate(("image", "video", "audio", "document"))
    ]
    # Temporary trouble, as an unknown name may be, is tried again first.
    for message_id in ids:
        status = await site.receiver.status(message_id, "failed", 90)
        assert status["errors"][0]["code"]


# Media


LINES = [b"line %d\n" % n for n in range(50)]


async def chunked() -> AsyncIterator[bytes]:
    """A body whose length is not announced."""
    for line in LINES:
        yield line


async def downloads(site: Integration, media_id: str, data: bytes, mime: str) -> None:
    reply = await site.call("GET", f"/v1/media/{media_id}")
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, data, mime)
    assert reply.headers["Content-Length"] == str(len(data))


async def test_c27_c30_raw_bytes(site: Integration) -> None:
    media_id = await site.uploaded(JPEG, "image/jpeg")
    await downloads(site, media_id, JPEG, "image/jpeg")


async def test_c29_c30_a_chunked_stream_with_a_charset(site: Integration) -> None:
    mime = "text/plain; charset=utf-8"
    media_id = await site.uploaded(chunked(), mime)
    await downloads(site, media_id, b"".join(LINES), mime)
