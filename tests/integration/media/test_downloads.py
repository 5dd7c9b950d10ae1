"""Inbound media: fetched before its message goes on, and who waits meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from tests.harness.wait import soon
from tests.integration.media.conftest import CONTENT, TASKS, chunks
from warouter.app_settings import ApplicationSettings
from warouter.cluster.role import Happened
from warouter.media.library import Library
from warouter.owner.media.downloads import Downloads
from warouter.owner.media.failures import Failures
from warouter.owner.media.uploads import MOST_AT_ONCE
from warouter.owner.slot import OwnedSlot
from warouter.simulator.server import Simulator
from warouter.upstream.media import MediaService
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


class Inbox:
    """Downloads for one slot, and what they passed on."""

    def __init__(self, library: Library, simulator: Any, **more: Any) -> None:
        self.service = MediaService(simulator.url)
        self.passed: list[Event] = []
        self.slot = OwnedSlot(5, 1)
        receipts: Any = SimpleNamespace(on_events=self._pass)
        self.failures = Failures()
        self.downloads = Downloads(
            *(library, self.service, ApplicationSettings, "https://api.test/", receipts, TASKS),
            failures=self.failures,
            **more,
        )

    async def close(self) -> None:
        await self.service.close()

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
        (error,) = message["errors"]
        assert (error["code"], error["title"]) == (400, "Media download error")
        assert "404" not in error["details"]  # as would be answered in the end
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
    assert "SHA-256" in inbox.message(2)["errors"][0]["details"]
    noted = {each.message: each for each in inbox.failures.shown()}
    assert set(noted) == {"1", "2"}
    assert (noted["2"].direction, noted["2"].type) == ("inbound", "image")
    assert "SHA-256" in noted["2"].reason


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
