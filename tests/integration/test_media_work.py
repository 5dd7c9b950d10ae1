"""Media between real files, a real database and the simulator's real services."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from tests.harness.wait import PATIENCE, soon
from warouter.app_settings import ApplicationSettings, GarbageCollector
from warouter.cluster.role import Happened
from warouter.config import Settings
from warouter.errors import MediaAway, MediaFull, MediaRefused, NotFound
from warouter.flow.lanes import Entry
from warouter.kinds import MEDIA
from warouter.media import directory as directory_file
from warouter.media.cleaning import expire, sweep
from warouter.media.directory import Directory
from warouter.media.fetch import Fetcher
from warouter.media.library import Library
from warouter.media.references import Reference
from warouter.message_id import mint
from warouter.owner.media import uploads as uploads_file
from warouter.owner.media.attachments import Attachments
from warouter.owner.media.downloads import Downloads
from warouter.owner.media.uploads import MOST_AT_ONCE, Uploads
from warouter.owner.media.work import MediaWork
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.simulator.server import Simulator
from warouter.store.media import RECEIVED, Media, through_pool
from warouter.upstream.media import MediaService
from warouter.upstream.protocol import Answer, Event

TASKS = SlotTasks(lambda epochs, why: pytest.fail(f"{epochs} in doubt: {why}"))
USER = b"us"
CONTENT = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
def library(pool: asyncpg.Pool, tmp_path: Path) -> Any:
    directory = Directory(tmp_path)
    yield Library(through_pool(pool), directory, 0)
    directory.close()


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


# ---------------------------------------------------------------- clean-up


async def test_old_media_goes_with_row_and_file(
    library: Library, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    old = [await library.receive(chunks(CONTENT), "image/jpeg") for _ in range(3)]
    new = await library.receive(chunks(CONTENT), "image/jpeg")
    await pool.execute(
        "update media set created_at = now() - interval '31 days' where id = any ($1)",
        [media.id for media in old],
    )
    assert await expire(library, 30) == 3
    assert whole(tmp_path) == {str(new.id)}
    assert await library.rows.total() == len(CONTENT)
    assert await expire(library, 30) == 0


async def test_leftovers_go_and_what_is_in_use_stays(library: Library, tmp_path: Path) -> None:
    media = await library.receive(chunks(CONTENT), "image/jpeg")
    orphan, young, unfinished = uuid4(), uuid4(), tmp_path / "partial" / "half"
    foreign = tmp_path / "shared" / "somebody-elses.txt"
    for path in (library.directory.path_of(orphan), unfinished, foreign):
        path.write_bytes(b"x")
        age(path, 7200)
    library.directory.path_of(young).write_bytes(b"x")  # its row may be on its way
    age(library.directory.path_of(media.id), 7200)
    assert await sweep(library) == 2
    assert whole(tmp_path) == {str(media.id), str(young), foreign.name}


async def test_a_crash_between_file_and_row_leaves_an_orphan_that_is_swept(
    library: Library, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await pool.execute("alter table media add constraint none check (false) not valid")
    with pytest.raises(asyncpg.CheckViolationError):
        await library.receive(chunks(CONTENT), "image/jpeg")
    (path,) = (tmp_path / "shared").iterdir()
    age(path, 7200)
    assert await sweep(library) == 1
    assert whole(tmp_path) == set()
    assert await library.rows.total() == 0


async def test_a_directory_that_cannot_be_used(pool: asyncpg.Pool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    directory = Directory(tmp_path / "file")  # not a folder: nobody may write there, root neither
    with pytest.raises(MediaAway):
        await Library(through_pool(pool), directory, 0).receive(chunks(CONTENT), "image/jpeg")
    directory.close()


async def test_one_handle_is_one_media(library: Library, tmp_path: Path) -> None:
    """Two owners, one after the other, may download the same."""
    found = await asyncio.gather(
        *(
            library.receive(chunks(CONTENT), "image/jpeg", kind=RECEIVED, handle="h")
            for _ in range(4)
        )
    )
    assert len({media.id for media in found}) == 1
    assert whole(tmp_path) == {str(found[0].id)}
    assert await library.rows.total() == len(CONTENT)


async def test_another_digest_is_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="digest"):
        await library.receive(chunks(CONTENT), "image/jpeg", sha256=bytes(32))
    assert whole(tmp_path) == set()


# ---------------------------------------------------------------- the quota


KIB, MIB = 1 << 10, 1 << 20


def on_disk(folder: Path) -> int:
    """Bytes that all files hold, unfinished ones too."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


async def _anything(_library: Library) -> None:
    """The mutant: nobody counts what is being written."""


@pytest.mark.parametrize("mutant", [False, True], ids=["", "no_count_while_written"])
async def test_an_upload_without_a_length_stays_below_the_quota_while_it_is_written(
    pool: asyncpg.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: bool
) -> None:
    if mutant:
        monkeypatch.setattr(Library, "_admit", _anything)
    directory = Directory(tmp_path)
    most = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal most
        for _ in range(24):
            yield bytes(MIB)
            most = max(most, on_disk(tmp_path))

    with pytest.raises(MediaFull):
        await Library(through_pool(pool), directory, MIB).receive(endless(), "application/x")
    assert (most > 2 * MIB) == mutant
    await soon(lambda: whole(tmp_path) == set())
    directory.close()


async def test_uploads_of_several_webapps_stay_below_the_quota_together(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    """They share the directory, and each counts what the others are writing."""
    directories = [Directory(tmp_path) for _ in range(3)]
    libraries = [Library(through_pool(pool), each, 4 * MIB) for each in directories]
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

    calls = [libraries[n % 3].receive(content(), "application/x") for n in range(12)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    stored = [result for result in results if isinstance(result, Media)]
    assert len(stored) <= 4
    assert all(isinstance(r, Media | MediaFull) for r in results), results
    # What another webapp has finished and not yet given its row is seen by its own alone: such a
    # row is refused if it does not fit. All that is being written is within the quota.
    assert most < 2 * 4 * MIB
    assert await libraries[0].rows.total() == len(stored) * MIB
    await soon(lambda: whole(tmp_path) == {str(media.id) for media in stored})
    for directory in directories:
        directory.close()


async def test_uploads_end_together_while_the_database_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a deadline of its own from its asking on, and nothing is left of any."""
    monkeypatch.setattr(directory_file, "_ADMIT_SECONDS", 0.2)
    directory = Directory(tmp_path)
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
    await soon(lambda: whole(tmp_path) == set())
    directory.close()


async def test_what_a_dead_process_left_counts_until_it_is_cleaned_up(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    directory = Directory(tmp_path)
    library = Library(through_pool(pool), directory, MIB)
    left = tmp_path / "partial" / "left"
    left.parent.mkdir()
    left.write_bytes(bytes(MIB))
    assert await sweep(library) == 0  # it may still be written
    with pytest.raises(MediaFull):
        await library.receive(chunks(CONTENT), "image/jpeg")
    age(left, 1000)
    assert await sweep(library) == 1
    assert await library.receive(chunks(CONTENT), "image/jpeg")
    directory.close()


# ---------------------------------------------------------------- to the upstream


def reference(media: Media) -> Reference:
    return Reference("image", id=str(media.id))


async def test_many_messages_bring_one_media_once(
    library: Library, uploads: Uploads, simulator: Simulator
) -> None:
    media = await library.receive(chunks(CONTENT), "image/jpeg")
    handles = await asyncio.gather(*(uploads.handle(reference(media), n, USER) for n in range(20)))
    assert len(set(handles)) == 1
    assert uploads.known(reference(media)) == handles[0]
    counters = simulator.exchange.record.counters
    assert (counters.media_uploads, counters.media_bytes) == (1, len(CONTENT))
    path, mime = simulator.media.find(handles[0]) or (Path(), "")
    content = await asyncio.to_thread(path.read_bytes)
    assert (content, mime) == (CONTENT, "image/jpeg")


async def test_no_more_than_eight_move_bytes_at_a_time(
    library: Library, uploads: Uploads, simulator: Any
) -> None:
    media = [await library.receive(chunks(CONTENT), "image/jpeg") for _ in range(20)]
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
    await asyncio.gather(*(uploads.handle(reference(one), 1, USER) for one in media))
    assert peak == MOST_AT_ONCE


async def test_a_damaged_file_is_not_brought(library: Library, uploads: Uploads) -> None:
    media = await library.receive(chunks(CONTENT), "image/jpeg")
    path = library.directory.path_of(media.id)
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(MediaRefused, match="damaged"):
        await uploads.handle(reference(media), 1, USER)
    with pytest.raises(MediaRefused, match="damaged"):  # remembered for a while
        uploads.known(reference(media))


async def test_media_that_was_deleted_meanwhile(uploads: Uploads) -> None:
    with pytest.raises(NotFound):
        await uploads.handle(Reference("image", id=str(uuid4())), 1, USER)


async def test_a_file_that_shows_up_late_is_waited_for(
    library: Library, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads_file, "FILE_PAUSES", (0.2,) * 20)
    media = await library.receive(chunks(CONTENT), "image/jpeg")
    path = library.directory.path_of(media.id)
    hidden = path.rename(path.with_suffix(".hidden"))
    call = asyncio.ensure_future(uploads.handle(reference(media), 1, USER))
    await asyncio.sleep(0.1)
    hidden.rename(path)
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
    call = asyncio.ensure_future(service.upload(endless(), "image/jpeg"))
    await asyncio.wait_for(begun.wait(), 10)
    call.cancel()
    await asyncio.wait_for(ended.wait(), 10)
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
    media = await library.receive(chunks(CONTENT), "image/jpeg")
    calls = [asyncio.ensure_future(uploads.handle(reference(media), slot, USER)) for slot in (1, 2)]
    await asyncio.wait_for(begun.wait(), 10)
    uploads.forget(1)
    assert not calls[1].done()
    uploads.forget(2)
    # Who comes at this very moment gets a flight of his own.
    simulator.media.put = put
    assert await asyncio.wait_for(uploads.handle(reference(media), 3, USER), 10)
    released.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert all(call.cancelled() for call in calls)


# ---------------------------------------------------------------- between lanes and upstream


class Slot:
    """An open slot with Attachments at work, and what came of them."""

    def __init__(self, uploads: Any) -> None:
        self.slot = OwnedSlot(5, 1)
        self.slot.happened(Happened.OPENED)
        self.sent: list[tuple[bytes, tuple[str, ...]]] = []
        self.answers: list[Answer] = []
        self.attachments = Attachments(uploads, TASKS)
        self.seq = 0

    def push(self, to: str, media: str = "", *, link: str = "", user: str = "us") -> bytes:
        self.seq += 1
        mark = hashlib.blake2b(user.encode(), digest_size=2).digest()
        message_id = mint(5, self.seq, mark + os.urandom(10))
        image = {"link": link} if link else {"id": media}
        body = msgspec.json.encode({"type": "image", "image": image})
        kind = MEDIA if media or link else 0
        assert self.slot.lanes.push(Entry(self.seq, message_id, to, kind, body))
        return message_id

    def pump(self, _slot: OwnedSlot | None = None) -> None:
        taken = self.slot.lanes.take()
        for entry, handles in self.attachments.prepared(self.slot, taken, self):
            self.sent.append((entry.id, handles))

    def lose(self) -> None:
        self.slot.happened(Happened.FENCED)
        self.attachments.closed(self.slot)

    def on_answer(self, _slot: OwnedSlot, _message_id: bytes, answer: Answer) -> None:
        self.answers.append(answer)


class Gate:
    """Uploads whose handles come when the test says so."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.forgotten: list[int] = []

    async def handle(self, reference: Reference, _slot: int, _user: bytes) -> str:
        await self.open.wait()
        return f"handle of {reference.id}"

    def forget(self, slot: int) -> None:
        self.forgotten.append(slot)


async def test_only_the_recipient_waits_for_media() -> None:
    gate = Gate()
    at = Slot(gate)
    first, behind, aside = at.push("1", "m"), at.push("1"), at.push("2")
    at.pump()
    assert at.sent == [(aside, ())]
    gate.open.set()
    await soon(lambda: len(at.sent) == 2)
    assert at.sent[1] == (first, ("handle of m",))
    assert at.slot.lanes.answered(first) is not None
    at.pump()
    assert at.sent[2] == (behind, ())


async def test_a_new_connection_does_not_send_it_twice() -> None:
    gate = Gate()
    at = Slot(gate)
    first = at.push("1", "m")
    at.pump()
    at.slot.lanes.requeue()  # claimed anew on a new connection, while it is being prepared
    at.pump()
    gate.open.set()
    await soon(lambda: bool(at.sent))
    await asyncio.sleep(0.05)
    assert at.sent == [(first, ("handle of m",))]


async def test_what_became_ready_while_it_was_not_out_goes_with_the_next_turn() -> None:
    gate = Gate()
    at = Slot(gate)
    first = at.push("1", "m")
    at.pump()
    at.slot.lanes.requeue()
    gate.open.set()
    vars(at)["pump"] = lambda _slot: None  # as without a lease
    await asyncio.sleep(0.05)
    assert at.sent == []
    del vars(at)["pump"]
    at.pump()
    assert at.sent == [(first, ("handle of m",))]


async def test_a_slot_that_is_lost_sends_and_answers_nothing() -> None:
    gate = Gate()
    at = Slot(gate)
    at.push("1", "m")
    at.pump()
    at.lose()
    gate.open.set()
    await asyncio.sleep(0.05)
    assert (at.sent, at.answers, gate.forgotten) == ([], [], [5])


async def test_what_takes_long_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warouter.owner.media.attachments.PATIENCE_SECONDS", 0.05)
    at = Slot(Gate())
    at.push("1", "m")
    at.pump()
    await soon(lambda: bool(at.answers))
    assert at.answers[0].retry_ms > 1000  # which parks it
    assert at.sent == []


async def test_final_refusals_and_passing_trouble(library: Library, uploads: Uploads) -> None:
    at = Slot(uploads)
    at.push("1", str(uuid4()))
    at.pump()
    await soon(lambda: bool(at.answers))
    assert (at.answers[0].code, at.answers[0].retry_ms) == (1006, -1)
    media = await library.receive(chunks(CONTENT), "image/jpeg")
    away = Slot(Uploads(library, MediaService("http://127.0.0.1:1"), Fetcher()))
    away.push("1", str(media.id))
    away.pump()
    await soon(lambda: bool(away.answers))
    assert away.answers[0].retry_ms > 0
    await away.attachments._uploads.close()


async def test_media_whose_file_is_away_is_tried_again_while_its_row_is_there(
    library: Library, uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unmounted volume fails no message; media that was deleted does."""
    monkeypatch.setattr(uploads_file, "FILE_PAUSES", (0.01, 0.01))
    media = await library.receive(chunks(CONTENT), "image/jpeg")
    at = Slot(uploads)
    path = library.directory.path_of(media.id)
    one_file = path.with_suffix(".away")
    for hide, show in (
        (lambda: path.rename(one_file), lambda: one_file.rename(path)),
        (
            lambda: (tmp_path / "shared").rename(tmp_path / "unmounted"),
            lambda: (tmp_path / "unmounted").rename(tmp_path / "shared"),
        ),
    ):
        hide()
        message = at.push("1", str(media.id))
        at.pump()
        await soon(lambda: bool(at.answers))
        answer = at.answers.pop()
        assert answer.retry_ms > 0, answer
        assert at.slot.lanes.answered(message) is not None
        show()
    at.push("1", str(media.id))
    at.pump()
    await soon(lambda: bool(at.sent))  # and it was not remembered
    assert at.slot.lanes.answered(at.sent[0][0]) is not None
    other = await library.receive(chunks(CONTENT), "image/jpeg")
    await library.remove(other.id)
    at.push("1", str(other.id))
    at.pump()
    await soon(lambda: bool(at.answers))
    assert (at.answers[0].code, at.answers[0].retry_ms) == (1006, -1)


class Site:
    """A server of links: /slow says nothing until it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = asyncio.Event()
        self.server = web.Server(self._handle, access_log=None)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.path)
        if request.path.startswith("/slow"):
            await self.let_go.wait()
        return web.Response(body=CONTENT, content_type="image/jpeg")


@pytest_asyncio.fixture
async def site() -> AsyncIterator[tuple[Site, str]]:
    site = Site()
    server = await asyncio.get_running_loop().create_server(site.server, "127.0.0.1", 0)
    yield site, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    site.let_go.set()
    server.close()
    await site.server.shutdown(0.1)


@pytest_asyncio.fixture
async def linking(library: Library, simulator: Any) -> AsyncIterator[Uploads]:
    fetcher = Fetcher(allow_http=True, allow_private=[ip_network("127.0.0.0/8")])
    uploads = Uploads(library, MediaService(simulator.url), fetcher)
    yield uploads
    await uploads.close()


async def test_slow_links_of_one_user_hold_nobody_else_up(
    linking: Uploads, site: tuple[Site, str]
) -> None:
    """24 of them, and another user's link waited until each had been given up once."""
    server, url = site
    at = Slot(linking)
    for n in range(24):
        at.push(f"4915{n}", link=f"{url}/slow{n}", user="slow")
    at.pump()
    await soon(lambda: len(server.asked) >= 2)
    quick = at.push("4916", link=f"{url}/quick", user="quick")
    at.pump()
    await soon(lambda: bool(at.sent), 50)
    assert at.sent[0][0] == quick
    assert len([path for path in server.asked if path.startswith("/slow")]) <= 8
    at.lose()


async def test_a_user_waits_behind_no_flight_of_another(
    linking: Uploads, site: tuple[Site, str]
) -> None:
    """Not even for a link that the other has named before, at the end of his queue."""
    server, url = site
    at = Slot(linking)
    for n in range(6):
        at.push(f"4915{n}", link=f"{url}/slow{n}", user="slow")
    at.push("49159", link=f"{url}/quick", user="slow")
    at.pump()
    await soon(lambda: len(server.asked) == 2)
    mine = at.push("4916", link=f"{url}/quick", user="quick")
    at.pump()
    await soon(lambda: bool(at.sent))
    assert at.sent[0][0] == mine
    at.lose()


async def test_flights_are_bounded_for_all_and_for_each_user(
    linking: Uploads, site: tuple[Site, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads_file, "MOST_OF_USER", 3)
    monkeypatch.setattr(uploads_file, "MOST_FLIGHTS", 5)
    server, url = site
    at = Slot(linking)
    for n in range(10):
        at.push(f"4915{n}", link=f"{url}/slow{n}", user="a")
    at.pump()
    await soon(lambda: len(at.answers) == 7)
    for n in range(10):
        at.push(f"4916{n}", link=f"{url}/slow{n}", user="b")
    at.pump()
    await soon(lambda: len(at.answers) == 15)
    assert all(answer.retry_ms > 0 for answer in at.answers)  # they come again
    server.let_go.set()
    await soon(lambda: len(at.sent) == 5)
    at.push("4917", link=f"{url}/quick", user="a")
    at.pump()
    await soon(lambda: len(at.sent) == 6)  # and there is room again


# ---------------------------------------------------------------- from the upstream


def inbound(number: int, sender: str, handle: str = "") -> Event:
    message: dict[str, Any] = {"from": sender, "id": str(number), "type": "text"}
    if handle:
        digest = hashlib.sha256(CONTENT).hexdigest()
        media = {"mime_type": "image/jpeg", "sha256": digest, "status": "undownloaded"}
        message |= {"type": "image", "image": media}
    media_of = {"image": handle} if handle else {}
    payload = msgspec.json.encode(message)
    return Event(5, number, "inbound", str(number), sender, payload, b"", media_of)


class Inbox:
    """Downloads for one slot, and what they passed on."""

    def __init__(self, library: Library, simulator: Any, **more: Any) -> None:
        self.service = MediaService(simulator.url)
        self.passed: list[Event] = []
        self.slot = OwnedSlot(5, 1)
        receipts: Any = SimpleNamespace(on_event=lambda _slot, event: self.passed.append(event))
        self.downloads = Downloads(
            library,
            self.service,
            ApplicationSettings,
            "https://api.test/",
            receipts,
            TASKS,
            **more,
        )

    async def close(self) -> None:
        await self.service.close()

    def come(self, *events: Event) -> None:
        for event in events:
            self.downloads.on_event(self.slot, event)

    @property
    def numbers(self) -> list[int]:
        return [event.number for event in self.passed]

    def message(self, number: int) -> Any:
        (event,) = [event for event in self.passed if event.number == number]
        return msgspec.json.decode(event.payload)


@pytest_asyncio.fixture
async def inbox(library: Library, simulator: Simulator) -> AsyncIterator[Inbox]:
    inbox = Inbox(library, simulator)
    yield inbox
    await inbox.close()


async def test_events_of_a_sender_wait_for_its_media_and_nobody_else(
    inbox: Inbox, simulator: Simulator
) -> None:
    handle, _, _ = await simulator.media.put(chunks(CONTENT), "image/jpeg")
    status = Event(5, 4, "status", "m:sent:1", "a", b"{}")
    inbox.come(inbound(1, "a", handle), inbound(2, "a"), inbound(3, "b"), status)
    inbox.come(inbound(1, "a", handle))  # again, on a new connection: not twice
    assert inbox.numbers == [3, 4]
    await soon(lambda: len(inbox.passed) == 4)
    assert inbox.numbers == [3, 4, 1, 2]
    media = inbox.message(1)["image"]
    assert media["link"] == f"https://api.test/v1/media/{media['id']}"
    inbox.come(inbound(5, "a"))
    assert inbox.numbers[-1] == 5  # nothing waits any more


async def test_a_download_that_hangs_is_given_up_in_time(
    library: Library, simulator: Simulator
) -> None:
    simulator.use(simulator.faults.changed({"media_ms": 2000}))
    inbox = Inbox(library, simulator, most_seconds=0.3)
    # More than move at a time: those that wait for a place are bounded as well.
    inbox.come(*(inbound(n, f"s{n}", "h") for n in range(3 * MOST_AT_ONCE)))
    began = time.monotonic()
    await soon(lambda: len(inbox.passed) == 3 * MOST_AT_ONCE)
    assert time.monotonic() - began < 1.9
    for number in range(3 * MOST_AT_ONCE):
        message = inbox.message(number)
        assert message["image"]["status"] == "undownloaded"
        assert [error["code"] for error in message["errors"]] == [400]
    await inbox.close()


@pytest.mark.parametrize("mime", ["image/jpeg\r\nSet-Cookie: a=b", "é", "", None, 5, {}])
async def test_an_inbound_type_that_is_none_is_stored_as_bytes(
    library: Library, simulator: Simulator, inbox: Inbox, mime: Any
) -> None:
    handle, _, _ = await simulator.media.put(chunks(CONTENT), "image/jpeg")
    event = inbound(1, "a", handle)
    message = msgspec.json.decode(event.payload)
    message["image"]["mime_type"] = mime
    inbox.come(msgspec.structs.replace(event, payload=msgspec.json.encode(message)))
    await soon(lambda: bool(inbox.passed))
    stored = await library.find(UUID(inbox.message(1)["image"]["id"]))
    assert stored is not None
    assert stored.mime == "application/octet-stream"


async def test_a_handle_that_is_unknown_or_content_that_is_another(
    inbox: Inbox, simulator: Simulator
) -> None:
    handle, _, _ = await simulator.media.put(chunks(CONTENT[:-1]), "image/jpeg")
    inbox.come(inbound(1, "a", "unknown"), inbound(2, "b", handle))
    await soon(lambda: len(inbox.passed) == 2)
    assert "404" in inbox.message(1)["errors"][0]["details"]
    assert "digest" in inbox.message(2)["errors"][0]["details"]


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"image":{},"errors":null}', b"\xff"])
async def test_what_cannot_be_completed_goes_on_as_it_came(inbox: Inbox, payload: bytes) -> None:
    """Whoever stores it looks at it; its sender does not wait for ever."""
    broken = msgspec.structs.replace(inbound(1, "a", "unknown"), payload=payload)
    inbox.come(broken, inbound(2, "a"))
    await soon(lambda: len(inbox.passed) == 2)
    assert inbox.passed == [broken, inbound(2, "a")]


async def test_what_waits_for_media_is_bounded_in_bytes(
    inbox: Inbox, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warouter.owner.media.downloads.MOST_HELD", 1000)
    simulator.use(simulator.faults.changed({"media_ms": 100}))
    behind = msgspec.structs.replace(inbound(2, "a"), payload=bytes(1000))
    inbox.come(inbound(1, "a", "unknown"), behind)
    assert inbox.downloads.full
    await soon(lambda: len(inbox.passed) == 2)
    assert not inbox.downloads.full
    inbox.come(inbound(3, "a", "unknown"), behind)
    assert inbox.downloads.full
    inbox.downloads.closed(inbox.slot)
    assert not inbox.downloads.full


async def test_a_lost_slot_passes_nothing_on(inbox: Inbox, simulator: Simulator) -> None:
    handle, _, _ = await simulator.media.put(chunks(CONTENT), "image/jpeg")
    simulator.use(simulator.faults.changed({"media_ms": 100}))
    inbox.come(inbound(1, "a", handle), inbound(2, "a"))
    inbox.slot.happened(Happened.FENCED)
    inbox.downloads.closed(inbox.slot)
    await asyncio.sleep(0.3)
    assert inbox.passed == []


@pytest.mark.parametrize("switched_on", [False, True])
async def test_the_owner_of_slot_0_cleans_up_as_the_settings_say(
    settings: Settings, pool: asyncpg.Pool, tmp_path: Path, switched_on: bool
) -> None:
    """What stands for owner and receipts is not called."""
    settings = msgspec.structs.replace(settings, media_dir=str(tmp_path))
    app_settings = ApplicationSettings(garbagecollector_enable=GarbageCollector(media=switched_on))
    ownership: Any = SimpleNamespace(slots={0: None}, tasks=TASKS)
    receipts: Any = None
    work = MediaWork(settings, "test", lambda: app_settings, ownership, receipts)
    directory = Directory(tmp_path)
    library = Library(through_pool(pool), directory, 0)
    media = await library.receive(chunks(CONTENT), "image/jpeg")
    await pool.execute("update media set created_at = now() - interval '31 days'")
    orphan = directory.path_of(uuid4())
    orphan.write_bytes(b"x")
    age(orphan, 7200)
    await work._clean()
    assert whole(tmp_path) == (set() if switched_on else {str(media.id)})
    assert (await library.find(media.id) is None) == switched_on
    await work.close()
    directory.close()
