"""Messages that wait for their media between the lanes and the upstream."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from tests.harness.wait import soon
from tests.integration.media.conftest import CONTENT, TASKS, chunks
from tests.integration.media.shelves import Shelf
from warouter.cluster.role import SlotEvent
from warouter.flow.lanes import LaneEntry
from warouter.kinds import FAIL, HOLD, MEDIA, MESSAGE, kind_with
from warouter.media.fetch import Fetcher
from warouter.media.library import Library
from warouter.media.references import Reference
from warouter.message_id import mint
from warouter.owner.media import uploads as uploads_file
from warouter.owner.media.attachments import Attachments
from warouter.owner.media.failures import Failures
from warouter.owner.media.uploads import Uploads
from warouter.owner.slot import OwnedSlot
from warouter.upstream.media_service import MediaService
from warouter.upstream.protocol import Answer


class Slot:
    """An open slot with Attachments at work, and what came of them."""

    def __init__(self, uploads: Any) -> None:
        self.slot = OwnedSlot(5, 1)
        self.slot.happened(SlotEvent.OPENED)
        self.sent: list[tuple[bytes, tuple[str, ...]]] = []
        self.answers: list[Answer] = []
        self.failures = Failures()
        self.attachments = Attachments(uploads, TASKS, self.failures)
        self.seq = 0

    def push(
        self, to: str, media: str = "", *, link: str = "", user: str = "us", **options: Any
    ) -> bytes:
        self.seq += 1
        mark = hashlib.blake2b(user.encode(), digest_size=2).digest()
        message_id = mint(5, self.seq, mark + os.urandom(10))
        image = {"link": link} if link else {"id": media}
        body = msgspec.json.encode({"type": "image", "image": image})
        kind = kind_with(MEDIA if media or link else MESSAGE, **options)
        assert self.slot.lanes.push(LaneEntry(self.seq, message_id, to, kind, body))
        return message_id

    def pump(self, _slot: OwnedSlot | None = None) -> None:
        taken = self.slot.lanes.take()
        for entry, handles in self.attachments.prepared(self.slot, taken, self):
            self.sent.append((entry.id, handles))

    def lose(self) -> None:
        self.slot.happened(SlotEvent.FENCED)
        self.attachments.closed(self.slot)

    def on_answer(self, _slot: OwnedSlot, _message_id: bytes, answer: Answer) -> None:
        self.answers.append(answer)


class Gate:
    """Uploads whose handles come when the test says so."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.forgotten: list[int] = []

    async def handle(self, reference: Reference, _slot: int, _user: bytes, _number: int) -> str:
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


async def test_media_is_uploaded_whatever_else_its_sender_asked_for() -> None:
    gate = Gate()
    at = Slot(gate)
    gate.open.set()
    text = at.push("1", policy=HOLD, priority=True)
    asked = [at.push("2", "a", policy=FAIL), at.push("3", "b", priority=True), at.push("4", "c")]
    at.pump()
    assert at.sent == [(text, ())]
    await soon(lambda: len(at.sent) == 4)
    handles = [("handle of a",), ("handle of b",), ("handle of c",)]
    assert sorted(at.sent[1:]) == sorted(zip(asked, handles, strict=True))


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


async def test_media_that_became_ready_goes_with_the_next_turn() -> None:
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


async def test_final_refusals_and_passing_trouble(library: Library, uploads: Uploads) -> None:
    at = Slot(uploads)
    at.push("1", str(uuid4()))
    at.pump()
    await soon(lambda: bool(at.answers))
    assert (at.answers[0].code, at.answers[0].retry_ms) == (1006, -1)
    [noted] = at.failures.shown()
    assert (noted.direction, noted.type, noted.message) == ("outgoing", "image", at.answers[0].id)
    assert noted.reason == at.answers[0].details
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    away = Slot(Uploads(library, MediaService("http://127.0.0.1:1"), Fetcher()))
    away.push("1", str(media.id))
    away.pump()
    await soon(lambda: bool(away.answers))
    assert away.answers[0].retry_ms > 0
    assert away.failures.shown() == []
    await away.attachments._uploads.close()


async def test_media_whose_file_is_away_is_tried_again_while_its_row_is_there(
    library: Library, uploads: Uploads, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unmounted volume fails no message; media that was deleted does."""
    monkeypatch.setattr(uploads_file, "FILE_PAUSES", (0.01, 0.01))
    media = await library.receive(1, chunks(CONTENT), "image/jpeg")
    at = Slot(uploads)
    for hide in (lambda: shelf.hide(media.id), shelf.take_away):
        show = hide()
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
    other = await library.receive(1, chunks(CONTENT), "image/jpeg")
    await library.remove(1, other.id)
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


async def test_a_slow_fetch_gives_its_place_back_and_goes_on(
    linking: Uploads, site: tuple[Site, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = "warouter.owner.media.attachments.PATIENCE_SECONDS"
    monkeypatch.setattr(patience, 0.05)
    server, url = site
    at = Slot(linking)
    at.push("1", link=f"{url}/slow")
    at.pump()
    await soon(lambda: bool(at.answers) and bool(server.asked))
    assert at.answers[0].retry_ms > 1000  # which parks it
    assert at.sent == []
    monkeypatch.setattr(patience, 60)
    again = at.push("2", link=f"{url}/slow")
    at.pump()
    server.let_go.set()
    await soon(lambda: bool(at.sent))
    assert at.sent[0][0] == again
    assert server.asked == ["/slow"]


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
