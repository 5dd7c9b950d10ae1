"""The disk of media is full, read-only, or somebody else's: clear errors, a sentence at start."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.harness import disk
from tests.harness.prepared import reachable_folder
from tests.harness.wait import soon
from tests.integration.media.conftest import CONTENT, chunks
from tests.integration.media.shelves import DirectoryShelf
from warouter.errors import MediaAway, MediaFull
from warouter.media.directory import MediaDirectory
from warouter.media.library import Library
from warouter.media.usable import trouble
from warouter.store.media import through_pool

NOBODY = 65_534


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with disk.small(tmp_path / "media", 1):
        yield tmp_path / "media"


@pytest_asyncio.fixture
async def library(pool: asyncpg.Pool, folder: Path) -> AsyncIterator[Library]:
    directory = MediaDirectory(folder)
    yield Library(through_pool(pool), directory, 0)
    await directory.close()


@disk.needs_mounts
async def test_a_full_disk_refuses_uploads_and_serves_what_is_there(
    library: Library, folder: Path
) -> None:
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    with disk.full(folder):
        with pytest.raises(MediaFull, match="no space left"):
            await library.receive(1, chunks(CONTENT), "image/jpeg")
        assert trouble(folder).startswith(
            f"WAROUTER_MEDIA_DIR is {folder}, and {folder}/partial has no space left: make room,"
        )
        assert b"".join([part async for part in library.content(media)]) == CONTENT
    shelf = DirectoryShelf(folder)
    await soon(lambda: shelf.whole() == {str(media.id)})  # nothing unfinished stays
    await library.receive(1, chunks(CONTENT), "image/jpeg")
    assert trouble(folder) == ""


@disk.needs_mounts
async def test_a_read_only_disk_refuses_uploads_and_serves_what_is_there(
    library: Library, folder: Path
) -> None:
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    with disk.read_only(folder):
        with pytest.raises(MediaAway, match="cannot be used: Read-only file system"):
            await library.receive(1, chunks(CONTENT), "image/jpeg")
        assert "is read-only: mount it writable" in trouble(folder)
        assert b"".join([part async for part in library.content(media)]) == CONTENT
    await library.receive(1, chunks(CONTENT), "image/jpeg")


@pytest.mark.skipif(os.geteuid() != 0, reason="not run (needs root, to be another account)")
def test_a_directory_of_another_account() -> None:
    around = reachable_folder()
    folder = around / "media"
    folder.mkdir(mode=0o750)
    os.seteuid(NOBODY)
    try:
        said = trouble(folder)
    finally:
        os.seteuid(0)
        shutil.rmtree(around)
    assert said == (
        f"WAROUTER_MEDIA_DIR is {folder}, and {folder} belongs to uid 0, and this process is uid"
        f" {NOBODY}, which may not write there: run `chown -R {NOBODY} {folder}`, or set another"
        " directory; until then uploads are refused, inbound media is not stored, and everything"
        " else works."
    )


def test_a_directory_that_will_be_made_is_no_trouble_and_is_not_made(tmp_path: Path) -> None:
    assert trouble(tmp_path / "some" / "where") == ""
    assert list(tmp_path.iterdir()) == []
