"""A bucket of media: what its server may do wrong, and what nobody may notice of it."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import pytest
import pytest_asyncio
import trustme
from aiohttp import web

from tests.harness.bucket import ACCESS_KEY, BUCKET, SECRET_KEY, BucketServer
from tests.harness.served import serving
from tests.harness.wait import soon
from tests.integration.media.conftest import CONTENT, chunks, in_bucket
from tests.integration.media.shelves import BucketShelf, storage
from warouter.config import load
from warouter.errors import ConfigError, MediaAway, MediaFull
from warouter.media import objects
from warouter.media.bucket import Bucket, SpooledFile
from warouter.media.choice import storage_of, try_out
from warouter.media.library import Library
from warouter.media.storage import Damaged, Storage

MIB = 1 << 20
LARGE = CONTENT * 1000

pytestmark = in_bucket


@pytest.fixture
def server(shelf: BucketShelf) -> BucketServer:
    return shelf.server


@pytest_asyncio.fixture
async def bucket(shelf: BucketShelf) -> AsyncIterator[Bucket]:
    bucket = storage(shelf)
    assert isinstance(bucket, Bucket)
    yield bucket
    await bucket.close()


async def stored(bucket: Storage, content: bytes = LARGE) -> Any:
    """Put content and read it; returns its id."""
    media_id = uuid4()
    staged = await bucket.stage(chunks(content), len(content))
    await staged.keep(media_id)
    await staged.drop()
    return media_id


async def read(bucket: Storage, media_id: Any, content: bytes = LARGE) -> bytes:
    found = bucket.content(media_id, len(content), hashlib.sha256(content).digest())
    return b"".join([chunk async for chunk in found])


# ---------------------------------------------------------------- at the start


def deny(right: str) -> Callable[[BucketServer], None]:
    return lambda server: server.faults.refuse.update({right: (403, "AccessDenied")})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda server: setattr(server, "name", "another"), "there is no such bucket: create it"),
        (deny("LIST"), "the right s3:ListBucket is missing"),
        (deny("PUT"), "the right s3:PutObject is missing"),
        (deny("GET"), "the right s3:GetObject is missing"),
        (deny("DELETE"), "the right s3:DeleteObject is missing"),
        (lambda server: setattr(server, "region", "us-east-1"), "set WAROUTER_MEDIA_S3_REGION"),
        (lambda server: setattr(server, "secret", "changed"), "the credentials are refused"),
        (
            lambda server: server.faults.refuse.update({"PUT": (501, "NotImplemented")}),
            "cannot create objects conditionally",
        ),
        (
            lambda server: server.faults.refuse.update({"PUT": (403, "RequestTimeTooSkewed")}),
            "the clock of this host",
        ),
    ],
    ids=["missing", "list", "put", "get", "delete", "region", "key", "conditions", "clock"],
)
async def test_a_permanent_bucket_error_ends_the_start_with_one_sentence(
    server: BucketServer, bucket: Storage, spoil: Callable[[BucketServer], None], said: str
) -> None:
    await try_out(bucket)
    assert not server.objects
    spoil(server)
    with pytest.raises(ConfigError) as caught:
        await try_out(bucket)
    sentence = str(caught.value)
    assert sentence.startswith(f"The media bucket {BUCKET} cannot be used: ")
    assert said in sentence
    assert "\n" not in sentence
    assert SECRET_KEY not in sentence
    assert "Signature=" not in sentence


@contextmanager
def kept(port: int) -> Iterator[None]:
    """Nobody else gets the port of a server that has stopped: other tests start some."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # it still listens
            taken.bind(("127.0.0.1", port))
        yield


@pytest.mark.parametrize("trouble", ["busy", "away", "stopped"])
async def test_a_passing_bucket_error_is_logged_and_the_process_starts(
    server: BucketServer, bucket: Storage, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    if trouble == "busy":
        server.faults.busy = 1000
    elif trouble == "away":
        server.faults.away = True
    else:
        await server.stop()
    with kept(server.port):
        await try_out(bucket)
    (record,) = [r for r in caplog.records if r.message == "media storage unavailable"]
    assert BUCKET in record.error  # type: ignore[attr-defined]


def test_without_the_extra_it_says_how_to_install_it(
    server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError, match=r"pip install 'warouter\[s3\]'"):
        storage_of(load(server.environment()))


async def test_a_server_of_a_private_authority(shelf: BucketShelf, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = BucketServer()
    await server.start(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    trusting = storage_of(load({**server.environment(), "WAROUTER_MEDIA_S3_CA": str(file)}))
    await trusting.check()
    await read(trusting, await stored(trusting))
    strange = storage_of(load(server.environment()))
    with pytest.raises(ConfigError, match="set WAROUTER_MEDIA_S3_CA"):
        await strange.check()
    for one in (trusting, strange):
        await one.close()
    await server.stop()
    with pytest.raises(ConfigError, match="WAROUTER_MEDIA_S3_CA cannot be used"):
        storage_of(load({**server.environment(), "WAROUTER_MEDIA_S3_CA": str(tmp_path / "none")}))


@pytest.mark.parametrize("status", [200, 404])
async def test_a_server_that_is_no_s3_is_found_out(status: int, server: BucketServer) -> None:
    """A web server that answers 200 to all would seem to have taken an upload."""

    async def answer(request: web.Request) -> web.Response:
        found = status if request.method == "GET" and "list-type" not in request.query else 200
        return web.Response(status=found, text="<html>Welcome</html>")

    async with serving(answer) as url:
        bucket = storage_of(load({**server.environment(), "WAROUTER_MEDIA_S3_ENDPOINT": url}))
        with pytest.raises(
            ConfigError, match="no server of S3: correct WAROUTER_MEDIA_S3_ENDPOINT"
        ):
            await try_out(bucket)
        await bucket.close()


# ---------------------------------------------------------------- credentials


async def test_a_secret_that_is_replaced_in_its_file_is_used(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_KEY_SECONDS", 0)
    file = tmp_path / "secret"
    file.write_text(f"{SECRET_KEY}\n")
    file.chmod(0o600)
    given = server.environment()
    del given["WAROUTER_MEDIA_S3_SECRET_KEY"]
    bucket = storage_of(load({**given, "WAROUTER_MEDIA_S3_SECRET_KEY_FILE": str(file)}))
    await bucket.check()
    server.secret = "the/second+one"
    file.write_text(f"{server.secret}\n")
    await bucket.check()
    await bucket.close()


async def test_the_role_of_an_instance(
    server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By IMDSv2 alone: nothing is told without a token of its own."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        if request.method == "PUT" and "X-aws-ec2-metadata-token-ttl-seconds" in request.headers:
            return web.Response(text="token")
        if request.headers.get("X-aws-ec2-metadata-token") != "token":
            return web.Response(status=401)
        if request.path.endswith("/security-credentials/"):
            return web.Response(text="media")
        until = datetime.now(UTC) + timedelta(hours=1)
        return web.json_response(
            {
                "AccessKeyId": ACCESS_KEY,
                "SecretAccessKey": SECRET_KEY,
                "Token": "session",
                "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    given = {k: v for k, v in server.environment().items() if not k.endswith(("_KEY", "_KEY_ID"))}
    async with serving(answer) as url:
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", url)
        bucket = storage_of(load(given))
        await bucket.check()
        assert await read(bucket, await stored(bucket)) == LARGE
        await bucket.close()
    assert asked == [
        "PUT /latest/api/token",
        "GET /latest/meta-data/iam/security-credentials/",
        "GET /latest/meta-data/iam/security-credentials/media",
    ]


# ---------------------------------------------------------------- whole or not at all


@pytest.mark.parametrize("fault", ["busy", "lose", "swallow"])
async def test_a_put_that_fails_twice_is_done_once(
    server: BucketServer, bucket: Storage, fault: str
) -> None:
    """An answer that gets lost is one of a put that was done."""
    setattr(server.faults, fault, 2 if fault != "lose" else 1)
    media_id = await stored(bucket)
    assert len(server.objects) == 1
    assert await read(bucket, media_id) == LARGE
    assert getattr(server.faults, fault) == 0


async def test_an_upload_that_fails_leaves_nothing_and_succeeds_later(
    server: BucketServer, library: Library
) -> None:
    server.faults.swallow = 3
    with pytest.raises(MediaAway, match="connection"):
        await library.receive(1, chunks(LARGE), "application/x")
    assert not server.objects
    assert await library.rows.total() == await library.storage.unfinished() == 0
    media = await library.receive(1, chunks(LARGE), "application/x")
    assert await read(library.storage, media.id) == LARGE


async def test_objects_never_change(server: BucketServer, bucket: Storage) -> None:
    media_id = await stored(bucket)
    staged = await bucket.stage(chunks(CONTENT), MIB)
    with pytest.raises(MediaAway, match="412"):
        await staged.keep(media_id)
    await staged.drop()
    assert await read(bucket, media_id) == LARGE


async def test_an_upload_that_is_cancelled_leaves_nothing(
    server: BucketServer, library: Library
) -> None:
    server.faults.hang = asyncio.Event()
    call = asyncio.ensure_future(library.receive(1, chunks(LARGE), "application/x"))
    await soon(lambda: server.asked["PUT"] == 1)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    server.faults.hang.set()
    server.faults.hang = None
    await soon(lambda: server.writing == 0)
    assert not server.objects
    assert await library.storage.unfinished() == 0


async def test_a_server_that_does_not_answer_is_given_up(
    server: BucketServer, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a bound, and the loop goes on meanwhile."""
    monkeypatch.setattr(objects, "CALL_SECONDS", 0.3)
    monkeypatch.setattr(objects, "PAUSES", (0.01,))
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    server.faults.hang = asyncio.Event()
    turns = 0

    async def ticking() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    ticker = asyncio.ensure_future(ticking())
    with pytest.raises(MediaAway, match="in time"):
        await library.receive(1, chunks(CONTENT), "image/jpeg")
    with pytest.raises(MediaAway, match="in time"):
        await read(library.storage, media.id, CONTENT)
    with pytest.raises(MediaAway, match="in time"):
        await library.remove(1, media.id)
    ticker.cancel()
    assert turns > 30


# ---------------------------------------------------------------- reading


async def test_a_read_that_breaks_off_goes_on_where_it_was(
    server: BucketServer, bucket: Storage
) -> None:
    media_id = await stored(bucket)
    server.faults.cut = 2
    assert await read(bucket, media_id) == LARGE
    assert server.faults.cut == 0


async def test_content_that_differs_from_what_was_written_is_never_whole(
    server: BucketServer, bucket: Storage
) -> None:
    media_id = await stored(bucket)
    ((key, _),) = server.objects.items()
    got = bytearray()

    async def gather() -> None:
        async for chunk in bucket.content(media_id, len(LARGE), hashlib.sha256(LARGE).digest()):
            got.extend(chunk)

    server.put(key, LARGE[:-1] + b"?")
    with pytest.raises(Damaged, match="not what was written"):
        await gather()
    assert 0 < len(got) < len(LARGE)
    server.put(key, LARGE[:-1])
    with pytest.raises(Damaged, match="does not have"):
        await read(bucket, media_id)
    del server.objects[key]
    with pytest.raises(FileNotFoundError):
        await read(bucket, media_id)


# ---------------------------------------------------------------- the quota


async def test_uploads_of_a_process_stay_below_the_quota(
    server: BucketServer, libraries: Callable[[int], Library]
) -> None:
    library, another = libraries(4 * MIB), libraries(4 * MIB)
    calls = [
        one.receive(1, chunks(*[bytes(MIB // 4)] * 4), "application/x")
        for one in (library, another)
        for _ in range(6)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [result for result in results if isinstance(result, MediaFull)]
    kept = len(results) - len(refused)
    assert kept <= 4
    assert await library.rows.total() == kept * MIB
    assert len(server.objects) == kept

    async def closed() -> bool:
        return [await one.storage.unfinished() for one in (library, another)] == [0, 0]

    await soon(closed)  # threads close what was refused


async def test_an_upload_under_way_counts_once(
    server: BucketServer, libraries: Callable[[int], Library]
) -> None:
    library = libraries(8 * MIB)
    server.faults.hang = asyncio.Event()
    puts = []
    for size in (6 * MIB, MIB):
        puts.append(asyncio.ensure_future(library.receive(1, chunks(bytes(size)), "application/x")))
        await soon(lambda: server.asked["PUT"] == len(puts) or puts[-1].done())
    server.faults.hang.set()
    assert [media.size for media in await asyncio.gather(*puts)] == [6 * MIB, MIB]


async def test_an_upload_that_ends_while_its_file_is_opened_leaves_none(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptor would be lost to the process, and a part of the quota."""
    open_file, begun, go = bucket.nameless, threading.Event(), threading.Event()
    opened = []

    def slowly() -> IO[bytes]:
        begun.set()
        assert go.wait(10)
        opened.append(open_file())
        return opened[0]

    monkeypatch.setattr(bucket, "nameless", slowly)
    call = asyncio.ensure_future(bucket.stage(chunks(CONTENT), MIB))
    await soon(begun.is_set)
    call.cancel()
    await asyncio.wait([call])
    go.set()
    await soon(lambda: bool(opened) and opened[0].closed)
    assert not bucket.open_files


async def test_files_are_counted_while_threads_open_others(bucket: Bucket) -> None:
    others = []

    class Counted(SpooledFile):
        def __getattribute__(self, name: str) -> Any:
            if name == "claimed":  # as a thread may, between two of them
                others.append(SpooledFile(bucket))
            return super().__getattribute__(name)

    files = [Counted(bucket) for _ in range(3)]
    for file in files:
        file.claim(MIB)
    assert await bucket.unfinished() == 3 * MIB
    for opened in (*files, *others):
        opened.discard()
    assert await bucket.unfinished() == 0


async def test_many_are_listed_in_pages(server: BucketServer, bucket: Storage) -> None:
    ids = {uuid4() for _ in range(25)}
    for media_id in ids:
        server.put(f"wa/media/shared/{media_id}", b"x", 100)
    server.put("wa/media/sharedsomething", b"x", 100)
    server.put(f"wa/media/shared/{uuid4()}", b"x", 10)
    found = [batch async for batch in bucket.names(50, 10)]
    assert sorted(map(len, found))[-1] <= 10
    assert {media_id for batch in found for media_id in batch} == ids
