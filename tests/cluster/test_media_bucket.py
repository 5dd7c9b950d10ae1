"""Media in a bucket, through a cluster of real processes: in, out, large, and while S3 is away."""

from __future__ import annotations

import asyncio
import hashlib
import re
import signal
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.cluster.conftest import ONE, running
from tests.harness.bucket import BUCKET, BucketServer
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.wait import soon
from warouter.config import load
from warouter.errors import CommandError
from warouter.local.process import Process
from warouter.media.choice import storage_of
from warouter.media.cleaning import sweep
from warouter.media.library import Library
from warouter.store.media import MediaRows

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("media bucket")]

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 300
FIRST, TO, OTHER = "491700000001", "491700000002", "491700000003"
MIB = 1 << 20
MORE = 40 * MIB
SLOW = aiohttp.ClientTimeout(total=300)
WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
END_WAITING = WAITING.replace("count(*)", "pg_terminate_backend(pid)")
MEDIA = "select count(*) from media"
PARKED = "select count(*) from parked_message"


@asynccontextmanager
async def serving() -> AsyncIterator[BucketServer]:
    server = BucketServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[BucketServer]:
    async with serving() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business(server: BucketServer) -> AsyncIterator[Business]:
    async with running(**ONE, environment=server.environment()) as (_, business):
        yield business


def memory(process: Process, what: str = "VmRSS") -> int:
    """Bytes; ``VmHWM`` is the most since the last ``watched``."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) * 1024


def watched(process: Process) -> int:
    """Begin to note the peak anew; returns what is in use."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return memory(process)


async def test_100_mb_cross_each_process_within_40_mib(
    business: Business, server: BucketServer
) -> None:
    cluster = business.cluster
    webapp = cluster.processes["webapp-1"]
    coreapp = cluster.processes["coreapp-1"]
    part, digest = bytes(range(256)) * 4096, hashlib.sha256()

    async def content() -> AsyncIterator[bytes]:
        for _ in range(100):
            digest.update(part)
            yield part

    await business.uploaded(JPEG)
    before = watched(webapp)
    headers = {**business.headers, "Content-Type": "application/pdf"}
    url = f"{cluster.url}/v1/media"
    async with business.http.post(url, data=content(), headers=headers, timeout=SLOW) as answer:
        media = (await answer.json())["media"][0]["id"]
    up = memory(webapp, "VmHWM") - before
    assert len(server.objects[f"wa/media/shared/{media}"].content) == 100 * MIB
    before, got = watched(webapp), hashlib.sha256()
    async with business.http.get(
        f"{url}/{media}", headers=business.headers, timeout=SLOW
    ) as answer:
        async for chunk in answer.content.iter_chunked(MIB):
            got.update(chunk)
    down = memory(webapp, "VmHWM") - before
    assert got.digest() == digest.digest()
    before = watched(coreapp)
    sent = await business.message(FIRST, document={"id": media, "filename": "a.pdf"})
    await business.called_back("read", sent)
    out = memory(coreapp, "VmHWM") - before
    print(f"100 MiB: up {up / MIB:.1f}, down {down / MIB:.1f}, out {out / MIB:.1f} MiB more")
    assert max(up, down, out) < MORE


async def test_in_and_out_and_while_the_bucket_is_away(
    business: Business, server: BucketServer
) -> None:
    cluster, before = business.cluster, len(server.objects)
    image = {"from": FIRST, "type": "image", "data": b64encode(JPEG).decode()}
    (inbound,) = await business.come(image)
    await business.until(lambda: inbound in business.receiver.messages)
    picture = business.receiver.messages[inbound]["image"]
    assert picture["file"] == f"s3://{BUCKET}/wa/media/shared/{picture['id']}"
    assert server.objects[f"wa/media/shared/{picture['id']}"].content == JPEG
    assert not (cluster.folder / "media").exists()
    media = await business.uploaded(JPEG)
    server.faults.away = True
    late = await business.message(TO, image={"id": media})
    behind = await business.message(TO, text={"body": "behind"})
    other = await business.message(OTHER, text={"body": "t"})
    headers = {**business.headers, "Content-Type": "image/jpeg"}
    url = f"{cluster.url}/v1/media"
    async with business.http.post(url, data=JPEG, headers=headers) as answer:
        assert (answer.status, (await answer.json())["errors"][0]["code"]) == (503, 1005)
        assert "Retry-After" in answer.headers
    await business.called_back("read", other)
    async with Facts(cluster) as facts:
        await facts.until_some(PARKED)
        assert await facts.connection.fetchval(MEDIA) == before + 2
    server.faults.away = False
    await business.called_back("read", late, behind)
    assert (await business.record())["ids"][TO] == [late, behind]
    assert len(server.objects) == before + 2


def media_in(server: BucketServer) -> set[str]:
    """The objects that are media: processes try the bucket out beside them as they start."""
    return {key for key in server.objects if "/probe/" not in key}


async def test_a_webapp_is_killed_between_object_and_row(
    business: Business, server: BucketServer
) -> None:
    cluster = business.cluster
    await business.uploaded(JPEG)
    kept = media_in(server)
    webapp = cluster.processes["webapp-1"]
    async with Facts(cluster) as facts:
        async with facts.connection.transaction():
            await facts.connection.execute("lock table media in access exclusive mode")
            call = asyncio.ensure_future(business.uploaded(JPEG))
            await soon(lambda: len(media_in(server)) > len(kept))
            webapp.kill(signal.SIGKILL)
            with pytest.raises(Exception, match=r"(?i)disconnect|reset|refused|closed"):
                await call
            # The dead client's statement would still be done once it gets its lock.
            await facts.connection.execute(END_WAITING)
            await facts.until_none(WAITING)
        rows = MediaRows(facts.connection.fetch)
        library = Library(rows, storage_of(load(server.environment())), 0)
        assert await facts.connection.fetchval(MEDIA) == len(kept)
        assert await sweep(library) == 0  # it may be on its way to its row
        for key in server.objects:
            server.age(key, 7200)
        assert await sweep(library) == 1
        await library.storage.close()
    assert media_in(server) == kept


async def test_a_bucket_that_does_not_exist_ends_the_start() -> None:
    async with serving() as server:
        given = server.environment()
        server.name = "another"
        with pytest.raises(CommandError, match=r"The media bucket .*: there is no such bucket"):
            async with running(**ONE, environment=given):
                pass
