"""Media between real files, a real database and the simulator's real services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.bucket import BucketServer
from tests.integration.media.shelves import BucketShelf, DirectoryShelf, Shelf, storage
from warouter.lab.simulator.server import Simulator
from warouter.media.fetch import Fetcher
from warouter.media.library import Library
from warouter.owner.media.uploads import Uploads
from warouter.owner.tasks import SlotTasks
from warouter.store.media import through_pool
from warouter.upstream.media_service import MediaService

TASKS = SlotTasks(lambda epochs, why: pytest.fail(f"{epochs} in doubt: {why}"))
USER = b"us"
CONTENT = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest_asyncio.fixture(params=["directory", "bucket"])
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelf]:
    """What media is kept in, from behind."""
    if request.param == "directory":
        yield DirectoryShelf(tmp_path)
        return
    server = BucketServer()
    await server.start()
    yield BucketShelf(server)
    await server.stop()


in_directory = pytest.mark.parametrize("shelf", ["directory"], indirect=True)
in_bucket = pytest.mark.parametrize("shelf", ["bucket"], indirect=True)


@pytest_asyncio.fixture
async def libraries(pool: asyncpg.Pool, shelf: Shelf) -> AsyncIterator[Callable[[int], Library]]:
    """Each with this quota, as several processes have it, over one and the same storage."""
    made: list[Library] = []

    def library(quota: int) -> Library:
        made.append(Library(through_pool(pool), storage(shelf), quota))
        return made[-1]

    yield library
    for one in made:
        await one.storage.close()


@pytest.fixture
def library(libraries: Callable[[int], Library]) -> Library:
    return libraries(0)


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    simulator = Simulator()
    addresses = await simulator.start()
    simulator.url = f"http://127.0.0.1:{addresses.services_port}"  # type: ignore[attr-defined]
    yield simulator
    await simulator.stop()


@pytest_asyncio.fixture
async def uploads(library: Library, simulator: Any) -> AsyncIterator[Uploads]:
    uploads = Uploads(library, MediaService(simulator.url), Fetcher())
    yield uploads
    await uploads.close()
