"""What is stored: rows and files that come and go together, within the quota."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from tests.harness.wait import PATIENCE, soon
from tests.integration.media.conftest import CONTENT, TASKS, chunks, in_directory
from tests.integration.media.shelves import DirectoryShelf, Shelf
from warouter.app_settings import ApplicationSettings, GarbageCollector
from warouter.config import Settings
from warouter.errors import MediaAway, MediaFull
from warouter.media import staging
from warouter.media.cleaning import expire, sweep
from warouter.media.directory import MediaDirectory
from warouter.media.library import Library
from warouter.media.received import wanted
from warouter.owner.media.work import MediaWork
from warouter.store.media import RECEIVED, MediaFile, through_pool
from warouter.upstream.media_service import MediaService

Libraries = Callable[[int], Library]


async def test_old_media_goes_with_row_and_file(
    library: Library, pool: asyncpg.Pool, shelf: Shelf
) -> None:
    old = [await library.receive(1, chunks(CONTENT), "image/jpeg") for _ in range(3)]
    new = await library.receive(1, chunks(CONTENT), "image/jpeg")
    await pool.execute(
        "update media set created_at = now() - interval '31 days' where id = any ($1)",
        [media.id for media in old],
    )
    assert await expire(library, 1, 30) == 3
    assert shelf.whole() == {str(new.id)}
    assert await library.rows.total() == len(CONTENT)
    assert await expire(library, 1, 30) == 0


async def test_leftovers_go_and_what_is_in_use_stays(library: Library, shelf: Shelf) -> None:
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    orphan, young, foreign = str(uuid4()), str(uuid4()), "somebody-elses.txt"
    for name in (orphan, foreign):
        shelf.put(name, b"x", 7200)
    shelf.put(young, b"x", 0)  # its row may be on its way
    shelf.age(media.id, 7200)
    left = 1
    if isinstance(shelf, DirectoryShelf):
        unfinished = shelf.path / "partial" / "half"
        unfinished.write_bytes(b"x")
        age(unfinished, 7200)
        left = 2
    assert await sweep(library) == left
    assert shelf.whole() == {str(media.id), young, foreign}


async def test_a_crash_between_file_and_row_leaves_an_orphan_that_is_swept(
    library: Library, pool: asyncpg.Pool, shelf: Shelf
) -> None:
    await pool.execute("alter table media add constraint none check (false) not valid")
    with pytest.raises(asyncpg.CheckViolationError):
        await library.receive(1, chunks(CONTENT), "image/jpeg")
    (name,) = shelf.whole()
    shelf.age(name, 7200)
    assert await sweep(library) == 1
    assert shelf.whole() == set()
    assert await library.rows.total() == 0


async def test_a_directory_that_cannot_be_used(pool: asyncpg.Pool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    directory = MediaDirectory(
        tmp_path / "file"
    )  # not a folder: nobody may write there, root neither
    with pytest.raises(MediaAway):
        await Library(through_pool(pool), directory, 0).receive(1, chunks(CONTENT), "image/jpeg")
    with pytest.raises(MediaAway, match="is not a directory"):
        await directory.check()
    await directory.close()


async def test_one_handle_is_one_media(library: Library, shelf: Shelf) -> None:
    """Two owners, one after the other, may download the same."""
    found = await asyncio.gather(
        *(
            library.receive(1, chunks(CONTENT), "image/jpeg", kind=RECEIVED, handle="h")
            for _ in range(4)
        )
    )
    assert len({media.id for media in found}) == 1
    assert shelf.whole() == {str(found[0].id)}
    assert await library.rows.total() == len(CONTENT)


async def test_another_digest_is_refused(library: Library, shelf: Shelf) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        await library.receive(1, chunks(CONTENT), "image/jpeg", sha256=bytes(32))
    assert shelf.whole() == set()


# ---------------------------------------------------------------- two numbers


async def test_media_of_another_number_is_as_if_there_were_none(
    library: Library, shelf: Shelf
) -> None:
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    assert await library.known(1, media.id)
    assert not await library.known(2, media.id)
    assert await library.find(2, media.id) is None
    assert not await library.remove(2, media.id)
    assert await library.find(1, media.id) == media
    assert shelf.whole() == {str(media.id)}


async def test_one_handle_of_two_numbers_is_two_media(
    library: Library, pool: asyncpg.Pool, shelf: Shelf
) -> None:
    """A file that a customer sends to both has one name at the upstream."""
    both = [
        await library.receive(n, chunks(CONTENT), "image/jpeg", kind=RECEIVED, handle="h")
        for n in (1, 2, 2)
    ]
    assert both[0].id != both[1].id == both[2].id
    assert shelf.whole() == {str(media.id) for media in both}
    totals = {1: len(CONTENT), 2: len(CONTENT)}
    assert await totals_of(pool) == totals
    assert await library.rows.total() == 2 * len(CONTENT)
    assert await library.remove(1, both[0].id)
    assert await library.rows.find_handle(1, "h") is None
    assert await library.rows.find_handle(2, "h") == both[1]
    assert await totals_of(pool) == totals | {1: 0}


async def test_one_handle_that_two_numbers_want_is_two(library: Library) -> None:
    rows = library.rows
    both = [wanted(n, "h", {"mime_type": "image/jpeg"}) for n in (1, 2)]
    assert both[0].id != both[1].id
    for each in both:
        await rows.want(each, 5)
    assert await rows.find_wanted(2, both[0].id) is None
    assert [each for each, _ in await rows.take_wanted([5], 9)] == both
    assert not await rows.remove(2, both[0].id)
    assert await rows.forget_wanted(2, "h")
    assert await rows.find_wanted(1, both[0].id) == both[0]
    await library.receive(2, chunks(CONTENT), "image/jpeg", kind=RECEIVED, handle="h")
    assert await rows.find_wanted(1, both[0].id) == both[0]  # it is another one that is there


async def test_old_media_goes_by_its_number_and_orphans_whosever_they_are(
    library: Library, pool: asyncpg.Pool, shelf: Shelf
) -> None:
    old = [await library.receive(n, chunks(CONTENT), "image/jpeg") for n in (1, 2, 3, 2)]
    await pool.execute("update media set created_at = now() - interval '31 days'")
    new = await library.receive(2, chunks(CONTENT), "image/jpeg")
    shelf.age(new.id, 7200)
    assert await sweep(library) == 0
    assert await library.rows.numbers() == [1, 2, 3]
    assert await expire(library, 2, 30) == 2
    assert await totals_of(pool) == dict.fromkeys((1, 2, 3), len(CONTENT))
    assert shelf.whole() == {str(media.id) for media in (old[0], old[2], new)}
    await pool.execute("delete from media")
    for media in (old[0], old[2]):
        shelf.age(media.id, 7200)
    assert await sweep(library) == 3
    assert shelf.whole() == set()


async def totals_of(pool: asyncpg.Pool) -> dict[int, int]:
    return {row["number"]: row["bytes"] for row in await pool.fetch("select * from media_total")}


# ---------------------------------------------------------------- the quota


KIB, MIB = 1 << 10, 1 << 20


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def on_disk(folder: Path) -> int:
    """Bytes that all files hold, unfinished ones too."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


async def _anything(_library: Library) -> None:
    """The mutant: nobody counts what is being written."""


@in_directory
@pytest.mark.parametrize("mutant", [False, True], ids=["", "no_count_while_written"])
async def test_an_upload_without_a_length_stays_below_the_quota_while_it_is_written(
    libraries: Libraries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: bool
) -> None:
    if mutant:
        monkeypatch.setattr(Library, "_admit", _anything)
    most = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal most
        for _ in range(24):
            yield bytes(MIB)
            most = max(most, on_disk(tmp_path))

    with pytest.raises(MediaFull):
        await libraries(MIB).receive(1, endless(), "application/x")
    assert (most > 2 * MIB) == mutant
    await soon(lambda: DirectoryShelf(tmp_path).whole() == set())


@in_directory
async def test_uploads_of_several_webapps_stay_below_the_quota_together(
    libraries: Libraries, tmp_path: Path
) -> None:
    """They share the directory, and each counts what the others are writing."""
    webapps = [libraries(4 * MIB) for _ in range(3)]
    begun, go_on = 0, asyncio.Event()
    most = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal begun, most
        begun += 1
        if begun == 12:
            go_on.set()
        await go_on.wait()
        for _ in range(4):
            yield bytes(256 * KIB)
            most = max(most, on_disk(tmp_path))

    calls = [webapps[n % 3].receive(1, content(), "application/x") for n in range(12)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    stored = [result for result in results if isinstance(result, MediaFile)]
    assert len(stored) <= 4
    assert all(isinstance(r, MediaFile | MediaFull) for r in results), results
    # What another webapp has finished and not yet given its row is seen by its own alone: such a
    # row is refused if it does not fit. All that is being written is within the quota.
    assert most < 2 * 4 * MIB
    assert await webapps[0].rows.total() == len(stored) * MIB
    await soon(lambda: DirectoryShelf(tmp_path).whole() == {str(media.id) for media in stored})


async def test_uploads_end_together_while_the_database_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a deadline of its own from its asking on, and nothing is left of any."""
    monkeypatch.setattr(staging, "_ADMIT_SECONDS", 0.2)
    directory = MediaDirectory(tmp_path)
    asked = 0

    async def hang() -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    calls = [directory.stage(chunks(CONTENT), MIB, hang) for _ in range(10)]
    async with asyncio.timeout(PATIENCE):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {TimeoutError}
    assert asked < 10  # most have ended while they waited for the others
    await soon(lambda: DirectoryShelf(tmp_path).whole() == set())
    await directory.close()


async def test_the_quota_is_that_of_all_numbers(libraries: Libraries) -> None:
    library = libraries(2 * len(CONTENT))
    first = await library.receive(1, chunks(CONTENT), "image/jpeg")
    await library.receive(2, chunks(CONTENT), "image/jpeg")
    for number in (1, 2, 3):
        with pytest.raises(MediaFull):
            await library.receive(number, chunks(CONTENT), "image/jpeg")
    await library.remove(1, first.id)
    await library.receive(3, chunks(CONTENT), "image/jpeg")


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1), (2, 3), (2, 2), (1, 1)])
async def test_two_numbers_cannot_both_take_the_last_of_the_quota(
    pool: asyncpg.Pool, first: int, second: int
) -> None:
    add = "select add_media($1, 0::smallint, 'image/png', 6, 'x', null, 10, $2)"
    async with pool.acquire() as one, pool.acquire() as other:
        beginning = one.transaction()
        await beginning.start()
        assert await one.fetchval(add, uuid4(), first) is not None
        behind = asyncio.create_task(other.fetchval(add, uuid4(), second))
        await soon(lambda: waits_for_a_lock(pool))
        await beginning.commit()
        assert await behind is None
    assert sum((await totals_of(pool)).values()) == 6


async def waits_for_a_lock(pool: asyncpg.Pool) -> bool:
    waiting = "select exists (select from pg_locks where not granted)"
    return bool(await pool.fetchval(waiting))


@in_directory
async def test_files_of_a_dead_process_count_until_they_are_removed(
    libraries: Libraries, tmp_path: Path
) -> None:
    library = libraries(MIB)
    left = tmp_path / "partial" / "left"
    left.parent.mkdir()
    left.write_bytes(bytes(MIB))
    assert await sweep(library) == 0  # it may still be written
    with pytest.raises(MediaFull):
        await library.receive(1, chunks(CONTENT), "image/jpeg")
    age(left, 1000)
    assert await sweep(library) == 1
    assert await library.receive(1, chunks(CONTENT), "image/jpeg")


@pytest.mark.parametrize("switched_on", [False, True])
async def test_the_owner_of_slot_0_cleans_up_when_asked_and_as_the_settings_say(
    settings: Settings, pool: asyncpg.Pool, library: Library, shelf: Shelf, switched_on: bool
) -> None:
    """What stands for owner and receipts is not called."""
    fields = {field.encode_name: field.name for field in msgspec.structs.fields(Settings)}
    chosen = {fields[name]: value for name, value in shelf.environment.items()}
    settings = msgspec.structs.replace(settings, **chosen)
    app_settings = ApplicationSettings(garbagecollector_enable=GarbageCollector(media=switched_on))
    ownership: Any = SimpleNamespace(slots={0: None}, tasks=TASKS)
    receipts: Any = None
    service = MediaService(settings.upstream_services_url)
    off = ApplicationSettings()
    work = MediaWork(
        *(settings, "test", lambda number: app_settings if number == 1 else off),
        *(ownership, receipts, service),
    )
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    other = await library.receive(2, chunks(CONTENT), "image/jpeg")
    await pool.execute("update media set created_at = now() - interval '31 days'")
    shelf.put(str(uuid4()), b"x", 7200)
    running = asyncio.create_task(work.run())
    work.collect()
    left = {str(other.id)} if switched_on else {str(media.id), str(other.id)}
    await soon(lambda: shelf.whole() == left)
    running.cancel()
    assert (await library.find(1, media.id) is None) == switched_on
    await work.close()
