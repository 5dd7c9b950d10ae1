"""Media of inbound messages: downloaded before their event is stored, each sender in order.

An event without media passes at once, unless one of its sender still waits. Nothing is acknowledged
before it is stored, so a slot that is lost costs a second download at most: a handle that was
stored is found again.

Whatever goes wrong, an event waits a minute at most. What the upstream refuses is an error in it;
what may pass costs nothing but time: the media has its id, its handle is kept, and it is fetched
later (``late``), or when a client asks for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from warouter.app_settings import ApplicationSettings
from warouter.cloud_number import FIRST
from warouter.media.inbound_media import InboundMedia, completed, described, unasked
from warouter.media.received import REFUSED, Received, wanted
from warouter.owner.listener import SlotListener
from warouter.owner.media.failures import Failures
from warouter.owner.receipts import Receipts
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.store.media import MediaFile, WantedMedia
from warouter.upstream.protocol import Event

log = logging.getLogger(__name__)

MOST_HELD = 32 * 1024 * 1024  # bytes of events that wait: then no more are read
MOST_SECONDS = 60.0  # from its arrival to its going on, whatever became of its media
PAUSES = (0.3, 1.0, 3.0)  # seconds between the tries
KEEP_PAUSES = (0.3, 1.0, 3.0, 10.0, 30.0)  # between the tries to keep what is fetched later


class Downloads(SlotListener):
    """Stands before the receipts, which store an event and acknowledge it."""

    def __init__(
        self,
        received: Received,
        settings: Callable[[int], ApplicationSettings],
        public_url: str,
        receipts: Receipts,
        tasks: SlotTasks,
        most_seconds: float = MOST_SECONDS,
        failures: Failures | None = None,
    ) -> None:
        self._received = received
        self._library = received.library
        self._settings = settings
        self._public_url = public_url.rstrip("/")
        self._receipts = receipts
        self._tasks = tasks
        self._most_seconds = most_seconds
        self._failures = failures or Failures()
        self._lanes: dict[OwnedSlot, dict[str, deque[_Waiting]]] = {}
        self._held = 0

    @property
    def full(self) -> bool:
        """True while so much waits for media that the upstream is not listened to."""
        return self._held > MOST_HELD

    def on_inbound(self, slot: OwnedSlot, event: Event) -> None:
        """Take an inbound message from the upstream, in the order of its slot."""
        lane = self._lanes.get(slot, {}).get(event.lane)
        places = self._wanted(event)
        if lane is None and not places:
            self._receipts.on_events([(slot, event)])
            return
        if lane is None:
            lane = self._lanes.setdefault(slot, {}).setdefault(event.lane, deque())
        if any(waiting.event.number == event.number for waiting in lane):
            return  # delivered again on a new connection
        waiting = _Waiting(event)
        lane.append(waiting)
        self._held += waiting.size
        if places:
            waiting.task = self._tasks.begin_task(slot, self._complete(slot, waiting, places))
        else:
            waiting.ready = True

    def closed(self, slot: OwnedSlot) -> None:
        """The upstream gives what is not acknowledged to the next owner."""
        for lane in self._lanes.pop(slot, {}).values():
            for waiting in lane:
                self._held -= waiting.size
                if waiting.task is not None:
                    waiting.task.cancel()

    def _wanted(self, event: Event) -> list[str]:
        if not event.media:
            return []
        settings = self._settings(event.of_number)
        auto: tuple[str, ...] = settings.media.auto_download
        return unasked(event.media, auto, settings.skip_referral_media_download)

    async def _complete(self, slot: OwnedSlot, waiting: _Waiting, places: list[str]) -> None:
        event = waiting.event
        stored: dict[str, InboundMedia] = {}
        failed: dict[str, str] = {}
        until = asyncio.get_running_loop().time() + self._most_seconds
        try:
            message: dict[str, Any] = msgspec.json.decode(event.payload)
            for place in places:
                failed[place] = "the media could not be downloaded"
                try:
                    media = wanted(event.of_number, event.media[place], described(message, place))
                    stored[place] = await self._stored(slot, media, until)
                    del failed[place]
                except REFUSED as error:
                    failed[place] = str(error)
        except Exception as error:
            log.warning("inbound media download failed", extra={"error": repr(error)[:200]})
        for place, why in failed.items():
            self._failures.note("inbound", event.key, place, why)
        with suppress(Exception):  # on failure it goes on as it came: whoever stores it looks at it
            payload = completed(event.payload, stored, failed)
            waiting.event = msgspec.structs.replace(event, payload=payload)
        waiting.ready = True
        self._go_on(slot, event.lane)

    def _go_on(self, slot: OwnedSlot, key: str) -> None:
        lanes = self._lanes.get(slot, {})
        lane = lanes.get(key)
        while lane and lane[0].ready and slot.open:
            waiting = lane.popleft()
            self._held -= waiting.size
            self._receipts.on_events([(slot, waiting.event)])
        if not lane:
            lanes.pop(key, None)

    async def _stored(self, slot: OwnedSlot, media: WantedMedia, until: float) -> InboundMedia:
        """Where the media is, or will be; one of REFUSED if the upstream refuses it."""
        try:
            async with asyncio.timeout_at(until):
                return await self._where(await self._fetched(media))
        except REFUSED:
            raise
        except Exception as error:
            await self._keep(slot, media)
            told = {"media": str(media.id), "error": str(error)[:200] or type(error).__name__}
            log.warning("inbound media postponed", extra=told)
            return InboundMedia(str(media.id), "", await self._link(media))

    async def _fetched(self, media: WantedMedia) -> MediaFile:
        """The media, after some tries."""
        for pause in PAUSES:
            try:
                return await self._received.fetch(media)
            except REFUSED:
                raise
            except Exception:
                await asyncio.sleep(pause)
        return await self._received.fetch(media)

    async def _keep(self, slot: OwnedSlot, media: WantedMedia) -> None:
        """Note that it is to be fetched later, after some tries."""
        for pause in KEEP_PAUSES:
            try:
                return await self._library.rows.want(media, slot.slot)
            except Exception:
                await asyncio.sleep(pause)
        return await self._library.rows.want(media, slot.slot)

    async def _where(self, media: MediaFile) -> InboundMedia:
        file, link = self._library.storage.where(media.id), await self._link(media)
        return InboundMedia(str(media.id), file, link)

    async def _link(self, media: MediaFile | WantedMedia) -> str:
        if not self._public_url:
            return ""
        prefix = ""
        if media.number != FIRST:  # by its name of the moment
            prefix = f"/n/{await self._library.rows.name(media.number)}"
        return f"{self._public_url}{prefix}/v1/media/{media.id}"


class _Waiting:
    """An event of a sender that waits for its media, or for what came before it."""

    __slots__ = ("event", "ready", "size", "task")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.size = len(event.payload) + len(event.contact)
        self.ready = False
        self.task: asyncio.Task[None] | None = None
