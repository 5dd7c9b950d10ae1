"""Media between real files, a real database and the simulator's real services."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from warouter.media.directory import Directory
from warouter.media.fetch import Fetcher
from warouter.media.library import Library
from warouter.owner.media.uploads import Uploads
from warouter.owner.tasks import SlotTasks
from warouter.simulator.server import Simulator
from warouter.store.media import through_pool
from warouter.upstream.media import MediaService

TASKS = SlotTasks(lambda epochs, why: pytest.fail(f"{epochs} in doubt: {why}"))
USER = b"us"
CONTENT = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
def libraries(pool: asyncpg.Pool, tmp_path: Path) -> Iterator[Callable[[int], Library]]:
    """Each with this quota, over one and the same folder."""
    made: list[Library] = []

    def library(quota: int) -> Library:
        made.append(Library(through_pool(pool), Directory(tmp_path), quota))
        return made[-1]

    yield library
    for one in made:
        one.directory.close()


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


def whole(tmp_path: Path) -> set[str]:
    return {path.name for path in tmp_path.rglob("*") if path.is_file()}


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))
