"""Inbound media: fetched before its message goes on, and who waits meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.wait import soon
from tests.integration.media.conftest import CONTENT, TASKS, chunks
from warouter.app_settings import ApplicationSettings, MediaSettings
from warouter.cluster.role import SlotEvent
from warouter.errors import MediaAway
from warouter.lab.simulator.server import Simulator
from warouter.media.library import Library
from warouter.media.received import Received, wanted
from warouter.owner.media import downloads
from warouter.owner.media.downloads import Downloads
from warouter.owner.media.failures import Failures
from warouter.owner.media.late import Late
from warouter.owner.media.uploads import MOST_AT_ONCE
from warouter.owner.slot import OwnedSlot
from warouter.store.media import MediaFile
from warouter.upstream.media_service import MediaService, ServiceAway
from warouter.upstream.protocol import Event


def inbound(number: int, sender: str, handle: str = "") -> Event:
    message: dict[str, Any] = {"from": sender, "id": str(number), "type": "text"}
    if handle:
        digest = hashlib.sha256(CONTENT).hexdigest()
        media = {"mime_type": "image/jpeg", "sha256": digest, "status": "undownloaded"}
        message |= {"type": "image", "image": media}
    media_of = {"image": handle} if handle else {}
    payload = msgspec.json.encode(message)
    return Event(5, number, "inbound", str(number), sender, payload, b"", media_of)


class Troubled(MediaService):
    """A service that may be away."""

    away = False

    @asynccontextmanager
    async def download(self, number: int, handle: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if self.away:
            raise ServiceAway("the token is dead")
        async with super().download(number, handle) as chunks:
            yield chunks


class Inbox:
    """Downloads for one slot, and what they passed on."""

    def __init__(self, library: Library, simulator: Any, **more: Any) -> None:
        self.service = Troubled(simulator.url)
        self.received = Received(library, self.service)
        self.passed: list[Event] = []
        self.slot = OwnedSlot(5, 1)
        receipts: Any = SimpleNamespace(on_events=self._pass)
        self.failures = Failures()
        self.late = Late(self.received, lambda: [5], self.failures)
        self.settings: dict[int, ApplicationSettings] = {}
        self.downloads = Downloads(
            *(self.received, self._settings_of, "https://api.test/", receipts, TASKS),
            failures=self.failures,
            **more,
        )

    async def close(self) -> None:
        await self.service.close()

    def _settings_of(self, number: int) -> ApplicationSettings:
        return self.settings.get(number, ApplicationSettings())

    def _pass(self, heard: Iterable[tuple[OwnedSlot, Event]]) -> None:
        self.passed += (event for _, event in heard)

    def come(self, *events: Event) -> None:
        for event in events:
            self.downloads.on_inbound(self.slot, event)

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
    inbox.come(inbound(1, "a", handle), inbound(2, "a"), inbound(3, "b"))
    inbox.come(inbound(1, "a", handle))  # again, on a new connection: not twice
    assert inbox.numbers == [3]
    await soon(lambda: len(inbox.passed) == 3)
    assert inbox.numbers == [3, 1, 2]
    media = inbox.message(1)["image"]
    assert media["link"] == f"https://api.test/v1/media/{media['id']}"
    inbox.come(inbound(5, "a"))
    assert inbox.numbers[-1] == 5  # nothing waits any more


async def test_each_number_says_what_is_downloaded(inbox: Inbox, simulator: Simulator) -> None:
    handle, _, _ = await simulator.media.put(chunks(CONTENT), "image/jpeg")
    inbox.settings[2] = ApplicationSettings(media=MediaSettings(auto_download=()))
    inbox.come(of_second(inbound(1, "a", handle)), inbound(2, "a", handle))
    assert inbox.numbers == [1]  # it waits for nothing
    await soon(lambda: len(inbox.passed) == 2)
    assert "link" not in inbox.message(1)["image"]
    assert "link" in inbox.message(2)["image"]


async def test_one_media_to_two_numbers_is_stored_for_each(
    library: Library, simulator: Simulator, inbox: Inbox, pool: asyncpg.Pool
) -> None:
    await pool.execute("insert into number (id, name) values (2, 'two')")
    handle, _, _ = await simulator.media.put(chunks(CONTENT), "image/jpeg")
    inbox.come(inbound(1, "a", handle), of_second(inbound(2, "a", handle)))
    await soon(lambda: len(inbox.passed) == 2)
    first, second = (inbox.message(n)["image"] for n in (1, 2))
    assert first["link"] == f"https://api.test/v1/media/{first['id']}"
    assert second["link"] == f"https://api.test/n/two/v1/media/{second['id']}"
    for number, mine, other in ((1, first, second), (2, second, first)):
        assert await library.find(number, UUID(mine["id"])) is not None
        assert await library.find(number, UUID(other["id"])) is None


async def test_media_that_comes_late_is_of_the_number_that_it_came_to(
    library: Library,
    simulator: Simulator,
    inbox: Inbox,
    pool: asyncpg.Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(downloads, "PAUSES", ())
    await pool.execute("insert into number (id, name) values (2, 'two')")
    handle, _, _ = await simulator.media.put(chunks(CONTENT), "image/jpeg")
    inbox.service.away = True
    inbox.come(of_second(inbound(1, "a", handle)))
    await soon(lambda: bool(inbox.passed))
    image = inbox.message(1)["image"]
    assert image["link"] == f"https://api.test/n/two/v1/media/{image['id']}"
    inbox.service.away = False
    assert await inbox.received.late(1, UUID(image["id"])) is None
    assert await inbox.late.look() == 1
    assert await library.find(1, UUID(image["id"])) is None
    assert await library.find(2, UUID(image["id"])) is not None


def of_second(event: Event) -> Event:
    return msgspec.structs.replace(event, of_number=2)


async def test_a_download_that_hangs_is_given_up_in_time(
    library: Library, simulator: Simulator
) -> None:
    simulator.use(simulator.faults.changed({"media_ms": 2000}))
    inbox = Inbox(library, simulator, most_seconds=0.3)
    # More than move at a time: those that wait for a place are bounded as well.
    inbox.come(*(inbound(n, f"s{n}", "h") for n in range(3 * MOST_AT_ONCE)))
    await soon(lambda: len(inbox.passed) == 3 * MOST_AT_ONCE)
    for number in range(3 * MOST_AT_ONCE):
        message = inbox.message(number)
        assert message["image"]["status"] == "undownloaded"
        assert message["image"]["id"]
        assert "errors" not in message
    await inbox.close()


async def test_a_passing_error_costs_no_media(
    library: Library, simulator: Simulator, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its id at once, and its content once the trouble is over."""
    monkeypatch.setattr(downloads, "PAUSES", (0.01,))
    handle, _, _ = await simulator.media.put(chunks(CONTENT), "image/jpeg")
    inbox.service.away = True
    inbox.come(inbound(1, "a", handle), inbound(2, "a"))
    await soon(lambda: inbox.numbers == [1, 2])
    image = inbox.message(1)["image"]
    assert (image["status"], "file" in image) == ("undownloaded", False)
    assert image["link"] == f"https://api.test/v1/media/{image['id']}"
    assert await library.find(1, UUID(image["id"])) is None
    assert await inbox.late.look() == 1  # in vain, and not due again at once
    assert await inbox.late.look() == 0
    inbox.service.away = False
    await due(library)
    assert await inbox.late.look() == 1
    stored = await library.find(1, UUID(image["id"]))
    assert stored is not None
    assert b"".join([chunk async for chunk in library.content(stored)]) == CONTENT
    await due(library)
    assert await inbox.late.look() == 0  # it is not wanted any more
    assert inbox.failures.shown() == []


async def test_media_is_asked_for_while_the_upstream_may_have_it(
    library: Library, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PAUSES", ())
    inbox.service.away = True
    inbox.come(inbound(1, "a", "first"), inbound(2, "b", "second"))
    await soon(lambda: len(inbox.passed) == 2)
    await due(library, days=6.9)
    assert await inbox.late.look() == 2
    assert inbox.failures.shown() == []
    await due(library, days=0.2)
    assert await inbox.late.look() == 2
    assert {failure.reason for failure in inbox.failures.shown()} == {"the token is dead"}
    await due(library)
    assert await inbox.late.look() == 0


async def test_media_refused_by_the_upstream_is_not_fetched_again(
    library: Library, simulator: Simulator, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PAUSES", ())
    inbox.service.away = True
    inbox.come(inbound(1, "a", "unknown"))
    await soon(lambda: len(inbox.passed) == 1)
    inbox.service.away = False
    assert await inbox.late.look() == 1
    assert "404" in inbox.failures.shown()[0].reason
    await due(library)
    assert await inbox.late.look() == 0


async def test_two_that_fetch_the_same_at_once_store_it_once(
    library: Library, simulator: Simulator, inbox: Inbox
) -> None:
    handle, _, _ = await simulator.media.put(chunks(CONTENT), "image/jpeg")
    media = wanted(1, handle, {"mime_type": "image/jpeg"})
    both = [Received(library, inbox.service) for _ in range(2)]
    found = await asyncio.gather(*(one.fetch(media) for one in both), return_exceptions=True)
    # A bucket takes no second content of the same name: who comes second finds the first one's.
    assert {type(each) for each in found} <= {MediaFile, MediaAway}
    assert {(await one.fetch(media)).id for one in both} == {media.id}
    stored = await library.find(1, media.id)
    assert stored is not None
    assert b"".join([chunk async for chunk in library.content(stored)]) == CONTENT
    assert await library.rows.total() == len(CONTENT)


async def due(library: Library, days: float = 0.0) -> None:
    """As if so much time had passed."""
    await library.rows._fetch(
        "update media_wanted set due_at = now(), since = since - $1 * interval '1 day'", days
    )


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
    stored = await library.find(1, UUID(inbox.message(1)["image"]["id"]))
    assert stored is not None
    assert stored.mime == "application/octet-stream"


async def test_a_handle_that_is_unknown_or_content_that_is_another(
    inbox: Inbox, simulator: Simulator
) -> None:
    handle, _, _ = await simulator.media.put(chunks(CONTENT[:-1]), "image/jpeg")
    inbox.come(inbound(1, "a", "unknown"), inbound(2, "b", handle))
    await soon(lambda: len(inbox.passed) == 2)
    assert "404" in inbox.message(1)["errors"][0]["details"]
    assert "SHA-256" in inbox.message(2)["errors"][0]["details"]
    noted = {each.message: each for each in inbox.failures.shown()}
    assert set(noted) == {"1", "2"}
    assert (noted["2"].direction, noted["2"].type) == ("inbound", "image")
    assert "SHA-256" in noted["2"].reason


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"image":{},"errors":null}', b"\xff"])
async def test_a_message_without_its_media_goes_on_as_it_came(inbox: Inbox, payload: bytes) -> None:
    """Whoever stores it looks at it; its sender does not wait for ever."""
    broken = msgspec.structs.replace(inbound(1, "a", "unknown"), payload=payload)
    inbox.come(broken, inbound(2, "a"))
    await soon(lambda: len(inbox.passed) == 2)
    assert inbox.passed == [broken, inbound(2, "a")]


async def test_messages_waiting_for_media_are_bounded_in_bytes(
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
    inbox.slot.happened(SlotEvent.FENCED)
    inbox.downloads.closed(inbox.slot)
    await asyncio.sleep(0.3)
    assert inbox.passed == []
