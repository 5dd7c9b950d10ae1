"""What the upstream is brought: each media once, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from tests.harness.served import serving
from tests.harness.wait import PATIENCE
from tests.integration.media.conftest import CONTENT, USER, chunks
from tests.integration.media.shelves import Shelf
from warouter.errors import MediaRefused, NotFound
from warouter.lab.simulator.server import Simulator
from warouter.media.fetch import Fetcher
from warouter.media.library import Library
from warouter.media.providers import CredentialsRefused
from warouter.media.references import Reference
from warouter.owner.media import uploads as uploads_file
from warouter.owner.media.uploads import MOST_AT_ONCE, Uploads
from warouter.store.account.accounts import Accounts
from warouter.store.media import MediaFile
from warouter.upstream.media_service import MediaService


def reference(media: MediaFile) -> Reference:
    return Reference("image", id=str(media.id))


async def test_many_messages_bring_one_media_once(
    library: Library, uploads: Uploads, simulator: Simulator
) -> None:
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    handles = await asyncio.gather(
        *(uploads.handle(reference(media), n, USER, 1) for n in range(20))
    )
    assert len(set(handles)) == 1
    assert uploads.known(reference(media), 1) == handles[0]
    counters = simulator.exchange.record.counters
    assert (counters.media_uploads, counters.media_bytes) == (1, len(CONTENT))
    path, mime = simulator.media.find(handles[0]) or (Path(), "")
    content = await asyncio.to_thread(path.read_bytes)
    assert (content, mime) == (CONTENT, "image/jpeg")


async def test_the_credentials_of_a_link_are_those_of_its_number(
    library: Library, uploads: Uploads, pool: asyncpg.Pool
) -> None:
    await pool.execute("insert into number (id, name) values (2, 'two') on conflict do nothing")
    providers = {"providers": [{"name": "shop", "config": {"bearer": "x"}, "origins": []}]}
    await Accounts(pool).change_setting(2, "media_providers", lambda _: providers)
    link = Reference("image", link="https://example.com/a", provider="shop")
    for number, said in ((2, "has no origins"), (1, "shop"), (2, "has no origins")):
        with pytest.raises(CredentialsRefused) as caught:
            await uploads.handle(link, 1, USER, number)
        assert said in str(caught.value.details)
        assert ("has no origins" in str(caught.value.details)) is (number == 2)


async def test_a_number_sends_no_media_of_another(library: Library, uploads: Uploads) -> None:
    """It fails as for media that does not exist, and the other one's goes on."""
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    handle = await uploads.handle(reference(media), 1, USER, 1)
    assert uploads.known(reference(media), 2) is None
    with pytest.raises(NotFound, match="no longer there"):
        await uploads.handle(reference(media), 1, USER, 2)
    uploads.drop(reference(media), 2)
    assert uploads.known(reference(media), 1) == handle


async def test_a_link_is_uploaded_for_each_number_that_sends_it(
    library: Library, simulator: Any
) -> None:
    """The upstream's handles belong to the number that uploaded; both are of one mark here."""

    async def says(_request: web.Request) -> web.Response:
        return web.Response(body=CONTENT, content_type="image/jpeg")

    fetcher = Fetcher(allow_http=True, allow_private=[ip_network("127.0.0.0/8")])
    uploads = Uploads(library, MediaService(simulator.url), fetcher)
    async with serving(says) as url:
        link = Reference("image", link=f"{url}/a")
        both = await asyncio.gather(*(uploads.handle(link, 1, USER, n) for n in (1, 2, 1)))
        assert both[0] == both[2] != both[1]
        assert [uploads.known(link, n) for n in (1, 2)] == both[:2]
        uploads.drop(link, 2)
        assert [uploads.known(link, n) for n in (1, 2)] == [both[0], None]
    await uploads.close()
    assert simulator.exchange.record.counters.media_uploads == 2


async def test_an_upload_announces_its_length(library: Library) -> None:
    """So that nothing in between has to take a body in chunks."""
    lengths: list[int | None] = []

    async def says(request: web.Request) -> web.Response:
        await request.read()
        lengths.append(request.content_length)
        return web.json_response({"handle": "h"})

    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    async with serving(says) as url:
        uploads = Uploads(library, MediaService(url), Fetcher())
        try:
            assert await uploads.handle(reference(media), 1, USER, 1) == "h"
        finally:
            await uploads.close()
    assert lengths == [len(CONTENT)]


async def test_no_more_than_eight_move_bytes_at_a_time(
    library: Library, uploads: Uploads, simulator: Any
) -> None:
    media = [await library.receive(1, chunks(CONTENT), "image/jpeg") for _ in range(20)]
    busy = peak = 0
    full = asyncio.Event()
    put = simulator.media.put

    async def counted(content: AsyncIterator[bytes], mime: str) -> Any:
        nonlocal busy, peak
        busy += 1
        peak = max(peak, busy)
        if busy == MOST_AT_ONCE:  # time for a ninth, if there could be one
            asyncio.get_running_loop().call_later(0.1, full.set)
        await full.wait()
        try:
            return await put(content, mime)
        finally:
            busy -= 1

    simulator.media.put = counted
    await asyncio.gather(*(uploads.handle(reference(one), 1, USER, 1) for one in media))
    assert peak == MOST_AT_ONCE


async def test_a_damaged_file_is_not_brought(
    library: Library, uploads: Uploads, shelf: Shelf
) -> None:
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    shelf.put(str(media.id), CONTENT[:-1] + b"?", 0.0)
    with pytest.raises(MediaRefused, match="damaged"):
        await uploads.handle(reference(media), 1, USER, 1)
    with pytest.raises(MediaRefused, match="damaged"):  # remembered for a while
        uploads.known(reference(media), 1)


async def test_a_file_that_shows_up_late_is_waited_for(
    library: Library, uploads: Uploads, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads_file, "FILE_PAUSES", (0.2,) * 20)
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    bring_back = shelf.hide(media.id)
    call = asyncio.ensure_future(uploads.handle(reference(media), 1, USER, 1))
    await asyncio.sleep(0.1)
    bring_back()
    assert await call


async def test_an_upload_that_breaks_off_is_no_error_of_the_simulators(
    simulator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    put = simulator.media.put

    async def watched(content: AsyncIterator[bytes], mime: str) -> Any:
        begun.set()
        try:
            return await put(content, mime)
        finally:
            asyncio.get_running_loop().call_soon(ended.set)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1000)
            await asyncio.sleep(0.01)

    simulator.media.put = watched
    service = MediaService(simulator.url)
    call = asyncio.ensure_future(service.upload(1, endless(), "image/jpeg", 1 << 40))
    await asyncio.wait_for(begun.wait(), PATIENCE)
    call.cancel()
    await asyncio.wait_for(ended.wait(), PATIENCE)
    await service.close()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_flight_ends_with_the_last_slot_that_waits_for_it(
    library: Library, uploads: Uploads, simulator: Any
) -> None:
    begun, released = asyncio.Event(), asyncio.Event()

    async def hang(content: AsyncIterator[bytes], mime: str) -> Any:
        begun.set()
        await released.wait()
        raise ValueError("nobody waits any more")

    put, simulator.media.put = simulator.media.put, hang
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    calls = [
        asyncio.ensure_future(uploads.handle(reference(media), slot, USER, 1)) for slot in (1, 2)
    ]
    await asyncio.wait_for(begun.wait(), PATIENCE)
    uploads.forget(1)
    assert not calls[1].done()
    uploads.forget(2)
    # Who comes at this very moment gets a flight of his own.
    simulator.media.put = put
    assert await asyncio.wait_for(uploads.handle(reference(media), 3, USER, 1), PATIENCE)
    released.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert all(call.cancelled() for call in calls)
