"""Media over HTTP: C25, C27 to C30, limits, and what a broken or lying upload leaves behind."""

from __future__ import annotations

import asyncio
import errno
import resource
from collections.abc import AsyncIterator, Iterable
from io import BytesIO
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiohttp import ClientPayloadError

from tests.harness.api import MEDIA_DIR, Api, Webapp, key_of
from tests.harness.wait import soon
from warouter.kinds import MEDIA
from warouter.lab.simulator.server import Simulator
from warouter.media import directory
from warouter.media.received import wanted
from warouter.media.types import LIMITS, STILL_STICKER

MIB = 1 << 20
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
PDF = b"%PDF-1.7\n" + b"x" * 100
STILL = b"RIFF\x10\x00\x00\x00WEBPVP8 " + b"\0" * 40
ANIMATED = b"RIFF\x10\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02" + b"\0" * 40


async def upload(api: Api, data: Any, mime: str | None, **headers: str) -> Any:
    sent = dict(headers) if mime is None else {"Content-Type": mime, **headers}
    return await api.call("POST", "/v1/media", data=data, headers=sent, token=api.user)


async def uploaded(api: Api, data: Any = JPEG, mime: str = "image/jpeg") -> str:
    answer = await upload(api, data, mime)
    assert answer.status == 201, answer.body
    media_id: str = answer.json["media"][0]["id"]
    return media_id


async def refused(api: Api, status: int, code: int, data: Any, mime: str | None) -> str:
    """The details of a refusal that leaves neither file nor row."""
    before = files()
    answer = await upload(api, data, mime)
    answer.refused(status, code)
    await soon(lambda: files() == before)
    details: str = answer.error["details"]
    return details


def files() -> set[str]:
    """All files of the media directory, unfinished ones too."""
    return {str(path) for path in MEDIA_DIR.rglob("*") if path.is_file()}


async def parts(of: Iterable[bytes]) -> AsyncIterator[bytes]:
    """A body whose length is not announced."""
    for part in of:
        yield part


async def test_c25_c28_a_document_in_an_interactive_header(api: Api) -> None:
    media = await uploaded(api, PDF, "application/pdf")
    interactive = {
        "type": "button",
        "header": {"type": "document", "document": {"id": media, "filename": "a.pdf"}},
        "body": {"text": "b"},
        "footer": {"text": "f"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "0", "title": "ok"}}]},
    }
    answer = await api.send({"to": "4915112345", "type": "interactive", "interactive": interactive})
    assert answer.status == 201
    assert api.recorder.submitted[0].kind == MEDIA


async def test_a_number_neither_sees_nor_sends_nor_removes_media_of_another(
    api: Api, pool: asyncpg.Pool
) -> None:
    other = await key_of(pool, 2)
    tokens, media = (api.user, other), []
    for token in tokens:
        sent = {"Content-Type": "image/jpeg"}
        answer = await api.call("POST", "/v1/media", data=JPEG, headers=sent, token=token)
        media.append(answer.json["media"][0]["id"])
    for token, mine, foreign in ((api.user, *media), (other, *reversed(media))):
        for method in ("GET", "DELETE"):
            answer = await api.call(method, f"/v1/media/{foreign}", token=token)
            answer.refused(404, 1006)
        for image, status in ((mine, 201), (foreign, 404)):
            message = {"to": "4915112345", "type": "image", "image": {"id": image}}
            answer = await api.call("POST", "/v1/messages", message, token=token)
            assert answer.status == status
        assert answer.error["details"] == f"there is no media {foreign}"  # as of an unknown one
    assert [sent.number for sent in api.recorder.submitted] == [1, 2]
    for token, mine in zip(tokens, media, strict=True):
        assert (await api.call("GET", f"/v1/media/{mine}", token=token)).body == JPEG
        (await api.call("DELETE", f"/v1/media/{mine}", token=token)).done()


TEXT = [b"line %d\n" % n for n in range(50)]


@pytest.mark.parametrize(
    ("data", "mime"),
    [(JPEG * 100, "image/jpeg"), (TEXT, "text/plain; charset=utf-8")],
    ids=["several chunks", "without a length"],
)
async def test_c27_c29_c30_download_gives_the_same_bytes_with_type_and_length(
    api: Api, data: bytes | list[bytes], mime: str
) -> None:
    content = b"".join(data) if isinstance(data, list) else data
    media = await uploaded(api, parts(data) if isinstance(data, list) else data, mime)
    assert str(UUID(media)) == media
    for path in (f"/v1/media/{media}", f"/v1/media/{media}/"):
        answer = await api.call("GET", path, token=api.user)
        assert (answer.status, answer.body) == (200, content)
        assert answer.headers["Content-Type"] == mime
        assert answer.headers["Content-Length"] == str(len(content))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Server"].startswith("warouter/")
        assert "Transfer-Encoding" not in answer.headers


async def test_media_stored_by_one_webapp_is_served_by_another(api: Api, webapp: Webapp) -> None:
    media, other = await uploaded(api), await webapp()
    assert (await other.call("GET", f"/v1/media/{media}", token=api.user)).body == JPEG


async def test_delete(api: Api, pool: asyncpg.Pool) -> None:
    media = await uploaded(api)
    assert await pool.fetchval("select sum(bytes) from media_total") == len(JPEG)
    before = files()
    (await api.call("DELETE", f"/v1/media/{media}", token=api.user)).done()
    assert len(before - files()) == 1
    assert await pool.fetchval("select sum(bytes) from media_total") == 0
    for method in ("GET", "DELETE"):
        (await api.call(method, f"/v1/media/{media}", token=api.user)).refused(404, 1006)
    message = {"to": "4915112345", "type": "image", "image": {"id": media}}
    assert (await api.send(message)).code == 1006


@pytest.mark.parametrize(
    "media", ["5e3b1a14-92ef-43cd-a388-50d91a723db3", "nonsense", "..%2f..%2fetc%2fpasswd", "%00"]
)
async def test_unknown_ids_are_404_json(api: Api, media: str) -> None:
    for method in ("GET", "DELETE"):
        (await api.call(method, f"/v1/media/{media}", token=api.user)).refused(404, 1006)
    message = {"to": "4915112345", "type": "image", "image": {"id": media}}
    (await api.send(message)).refused(404, 1006)
    assert api.recorder.submitted == []


async def test_a_refused_upload_leaves_no_file(api: Api, pool: asyncpg.Pool) -> None:
    assert "empty" in await refused(api, 400, 1008, b"", "image/jpeg")
    assert "but image/png" in await refused(api, 400, 1014, PNG, "image/jpeg")
    assert "but application/pdf" in await refused(api, 400, 1014, PDF, "video/mp4")
    assert "but image/jpeg" in await refused(api, 400, 1014, JPEG, "application/pdf")
    assert "form" in await refused(api, 400, 1009, JPEG, "multipart/form-data; boundary=x")
    assert "type/subtype" in await refused(api, 400, 1009, JPEG, "image")
    assert "of" in await refused(api, 413, 1009, STILL + bytes(STILL_STICKER), "image/webp")
    assert await pool.fetchval("select count(*) from media") == 0
    assert await pool.fetchval("select sum(bytes) from media_total") == 0


@pytest.mark.parametrize(("mime", "kind"), [("image/jpeg", "image"), ("audio/aac", "audio")])
async def test_the_limit_of_a_type_to_the_byte(api: Api, mime: str, kind: str) -> None:
    limit = LIMITS[kind]
    before = files()
    assert (await upload(api, BytesIO(b"\0" * limit), mime)).status == 201
    kept = files()
    assert len(kept - before) == 1
    # By the length that is announced, and without one, where only counting helps.
    for over in (BytesIO(b"\0" * (limit + 1)), parts([b"\0", *[bytes(MIB)] * (limit // MIB)])):
        (await upload(api, over, mime)).refused(413, 1009)
        await soon(lambda: files() == kept)


async def test_a_body_of_1_gib_without_a_length_is_cut_at_the_limit(api: Api) -> None:
    pulled = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(1024):
            pulled += 1
            yield b"\0" * MIB

    before, high = files(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        answer = await upload(api, endless(), "image/jpeg")
    except ConnectionError:
        pass  # the answer came, and the connection was closed, while it was still sending
    else:
        assert answer.status == 413
    assert pulled < 64
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - high < 32 * 1024  # KiB
    await soon(lambda: files() == before)


async def test_an_upload_that_is_broken_off_leaves_nothing(api: Api, pool: asyncpg.Pool) -> None:
    before = files()
    server = api.client.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = (
        f"POST /v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.user}\r\n"
        "Content-Type: video/mp4\r\nContent-Length: 5000000\r\n\r\n"
    )
    writer.write(head.encode() + b"\0" * MIB)
    await soon(lambda: files() != before)  # it is being written
    writer.transport.abort()
    await soon(lambda: files() == before)
    assert await pool.fetchval("select count(*) from media") == 0
    assert reader is not None


async def test_the_quota(webapp: Webapp, pool: asyncpg.Pool) -> None:
    api = await webapp(media_quota=3 * len(JPEG))
    media = await uploaded(api)
    assert (await upload(api, JPEG * 3, "image/jpeg")).code == 1014
    answers = await asyncio.gather(
        *(upload(api, parts([JPEG[:-8], bytes(8)]), "image/jpeg") for _ in range(6))
    )
    assert sorted(answer.status for answer in answers) == [201, 201, 507, 507, 507, 507]
    assert await pool.fetchval("select sum(bytes) from media_total") == 3 * len(JPEG)
    await api.call("DELETE", f"/v1/media/{media}", token=api.user)
    await uploaded(api)


async def test_a_volume_that_fails_amid_a_download_adds_nothing_to_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in JSON would be taken for the rest of the media."""
    content = JPEG * 100
    media = await uploaded(api, content)
    read, turns = directory._read, []

    def failing(file: Any, digest: Any) -> bytes:
        turns.append(1)
        if len(turns) > 2:
            raise OSError(errno.EIO, "Input/output error")
        chunk: bytes = read(file, digest)
        return chunk

    monkeypatch.setattr(directory, "_read", failing)
    headers = {"Authorization": f"Bearer {api.user}"}
    async with api.client.get(f"/v1/media/{media}", headers=headers) as response:
        assert response.status == 200
        got = await response.content.readany()
        with pytest.raises(ClientPayloadError):
            got += await response.content.read()
    assert len(turns) == 3
    assert got == content[: len(got)]
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["media read failed"]
    assert (await api.call("GET", "/")).status == 200


async def test_a_damaged_file_is_never_served_as_whole(api: Api) -> None:
    media = await uploaded(api, JPEG * 100)
    path = MEDIA_DIR / "shared" / media
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Exception, match=r"payload|Payload|disconnect|reset|closed"):
        await api.call("GET", f"/v1/media/{media}", token=api.user)
    path.write_bytes(content[:-1])
    (await api.call("GET", f"/v1/media/{media}", token=api.user)).refused(404, 1006)


@pytest.mark.parametrize("mime", ["image/jpeg\r\nSet-Cookie: a=b", "image/\u0001", "é", ""])
async def test_a_type_that_nobody_checked_is_served_as_bytes(
    api: Api, pool: asyncpg.Pool, mime: str
) -> None:
    """Rows of before: what the upstream called a customer's media was stored as it came."""
    media = await uploaded(api)
    await pool.execute("update media set mime = $2 where id = $1", UUID(media), mime)
    answer = await api.call("GET", f"/v1/media/{media}", token=api.user)
    assert (answer.status, answer.body) == (200, JPEG)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "Set-Cookie" not in answer.headers


async def test_an_unmounted_directory_is_no_unknown_id(api: Api) -> None:
    media = await uploaded(api)
    away = (MEDIA_DIR / "shared").rename(MEDIA_DIR / "away")
    try:
        (await api.call("GET", f"/v1/media/{media}", token=api.user)).refused(503, 1005)
    finally:
        away.rename(MEDIA_DIR / "shared")
    assert (await api.call("GET", f"/v1/media/{media}", token=api.user)).status == 200


async def test_an_id_tells_owners_apart_by_user(api: Api) -> None:
    """Their links share the places of an owner; nobody else is to read anything out of an id."""
    for token in (api.user, api.user, api.admin):
        message = {"to": "4915112345", "type": "image", "image": {"link": "https://a.test/x"}}
        assert (await api.call("POST", "/v1/messages", message, token=token)).status == 201
    await api.send({"to": "4915112345", "text": {"body": "no media"}})
    one, two, other, _chance = [sent.id[8:10] for sent in api.recorder.submitted]
    assert one == two != other
    assert len({sent.id for sent in api.recorder.submitted}) == 4


async def test_inbound_media_that_was_not_fetched_yet_is_fetched_for_who_asks(
    webapp: Webapp, services_url: str, simulator: Simulator, pool: asyncpg.Pool
) -> None:
    api = await webapp(services_url=services_url)
    handle, _, _ = await simulator.media.put(parts([JPEG]), "image/jpeg")
    known = wanted(1, handle, {"mime_type": "image/jpeg"})
    unknown = wanted(1, "nobody-s", {"mime_type": "image/jpeg"})
    rows = api.context.media.rows
    for media in (known, unknown):
        await rows.want(media, 5)
    other = await key_of(pool, 2)
    (await api.call("GET", f"/v1/media/{known.id}", token=other)).refused(404, 1006)
    answer = await api.call("GET", f"/v1/media/{known.id}", token=api.user)
    assert (answer.status, answer.body) == (200, JPEG)
    assert await rows.find_wanted(1, known.id) is None
    (await api.call("GET", f"/v1/media/{unknown.id}", token=api.user)).refused(404, 1006)
    (await api.call("DELETE", f"/v1/media/{unknown.id}", token=api.user)).done()
    assert await rows.find_wanted(1, unknown.id) is None


async def test_inbound_media_that_cannot_be_fetched_yet_is_503(webapp: Webapp) -> None:
    api = await webapp(services_url="http://127.0.0.1:9")
    media = wanted(1, "a-handle", {"mime_type": "image/jpeg"})
    await api.context.media.rows.want(media, 5)
    answer = await api.call("GET", f"/v1/media/{media.id}", token=api.user)
    answer.refused(503, 1005)
    assert int(answer.headers["Retry-After"]) > 0
    assert await api.context.media.rows.find_wanted(1, media.id) is not None
