"""The cases of real clients, by id: media, with each upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.harness.integration import JPEG, Integration

pytestmark = pytest.mark.asyncio(loop_scope="session")

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
