"""Media of outgoing messages to the upstream: fetched or read, uploaded once, known by its handle.

One flight a reference, whatever many messages wait for it; at most eight links are fetched and
eight media uploaded at a time. What came of a flight is remembered for a while, failures too. A
flight whose slots are all lost ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import NamedTuple
from uuid import UUID

from warouter.errors import ApiError, MediaRefused, NotFound
from warouter.media import types
from warouter.media.directory import Damaged, Staged
from warouter.media.fetch import Fetcher, LinkFailed
from warouter.media.library import Library
from warouter.media.providers import Credentials, CredentialsRefused, credentials
from warouter.media.references import Reference
from warouter.upstream.media import MediaService, ServiceRefused

log = logging.getLogger(__name__)

MOST_AT_ONCE = 8
STORED_SECONDS = 3600.0  # the content under an id never changes
LINK_SECONDS = 600.0  # as long as the Cloud API keeps a link
FAILED_SECONDS = 60.0
MOST_KNOWN = 10_000
LINK_PAUSES = (0.5, 2.0, 6.0)  # seconds between the tries of a link
FILE_PAUSES = (0.2, 1.0)  # a file that another host has just written may show up late


class _Outcome(NamedTuple):
    until: float
    handle: str
    error: ApiError | None


class _Flight(NamedTuple):
    task: asyncio.Task[str]
    slots: set[int]


class Uploads:
    """Handles for references."""

    def __init__(self, library: Library, service: MediaService, fetcher: Fetcher) -> None:
        self._library = library
        self._service = service
        self._fetcher = fetcher
        # Two, so that links which hang do not stand in the way of what is here already.
        self._fetching = asyncio.Semaphore(MOST_AT_ONCE)
        self._uploading = asyncio.Semaphore(MOST_AT_ONCE)
        self._flights: dict[Reference, _Flight] = {}
        self._known: dict[Reference, _Outcome] = {}
        self.uploaded = 0
        self.fetched = 0

    def known(self, reference: Reference) -> str | None:
        """The handle, if it is known; None if it is not, the ApiError if it cannot be had."""
        outcome = self._known.get(reference)
        if outcome is None:
            return None
        if outcome.until < time.monotonic():
            del self._known[reference]
            return None
        if outcome.error is not None:
            raise outcome.error
        return outcome.handle

    async def handle(self, reference: Reference, slot: int) -> str:
        """The handle, after a flight if need be; a caller that goes away leaves the flight on.

        An ApiError below 500 is final; anything else is to be tried again.
        """
        known = self.known(reference)
        if known is not None:
            return known
        flight = self._flights.get(reference)
        if flight is None:
            task = asyncio.ensure_future(self._fly(reference))
            flight = self._flights[reference] = _Flight(task, set())
            task.add_done_callback(partial(self._landed, reference))
        flight.slots.add(slot)
        return await asyncio.shield(flight.task)

    def forget(self, slot: int) -> None:
        """The slot is lost: what only it waits for ends."""
        for reference, flight in list(self._flights.items()):
            flight.slots.discard(slot)
            if not flight.slots:
                del self._flights[reference]  # who comes now gets one of his own
                flight.task.cancel()

    async def close(self) -> None:
        for flight in self._flights.values():
            flight.task.cancel()
        await self._service.close()

    def _landed(self, reference: Reference, task: asyncio.Task[str]) -> None:
        if task.cancelled():
            return
        self._flights.pop(reference, None)
        error = task.exception()
        now = time.monotonic()
        if error is None:
            lasts = STORED_SECONDS if reference.id else LINK_SECONDS
            self._remember(reference, _Outcome(now + lasts, task.result(), None))
        elif isinstance(error, CredentialsRefused):
            pass  # an administrator may change it any moment
        elif isinstance(error, ApiError) and error.status < 500:
            self._remember(reference, _Outcome(now + FAILED_SECONDS, "", error))

    def _remember(self, reference: Reference, outcome: _Outcome) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[reference] = outcome

    async def _fly(self, reference: Reference) -> str:
        if reference.id:
            return await _again(lambda: self._stored(reference), FileNotFoundError, FILE_PAUSES)
        return await _again(lambda: self._linked(reference), LinkFailed, LINK_PAUSES)

    async def _stored(self, reference: Reference) -> str:
        media = await self._library.find(UUID(reference.id))
        if media is None:
            raise NotFound(f"media {reference.id} is no longer there")
        return await self._upload(self._library.content(media), media.mime)

    async def _linked(self, reference: Reference) -> str:
        shown: Credentials | None = None
        if reference.provider:
            shown = credentials(await self._library.rows.providers(), reference.provider)
        async with self._fetching:
            staged, mime = await self._fetch(reference, shown)
        directory = self._library.directory
        try:
            content = directory.read(staged.path, staged.size, staged.sha256)
            return await self._upload(content, mime)
        finally:
            await directory.drop(staged)

    async def _fetch(self, reference: Reference, shown: Credentials | None) -> tuple[Staged, str]:
        limit = types.LIMITS[reference.type]
        directory = self._library.directory
        async with self._fetcher.open(reference.link, shown) as answer:
            staged = await directory.stage(answer.chunks, limit)
            try:
                if not staged.size:
                    raise MediaRefused("the link gives nothing")
                mime = types.of_link(reference.type, answer.mime, staged.head, answer.name)
                types.check(mime, staged.head, staged.size, limit)
            except BaseException:
                await directory.drop(staged)
                raise
        self.fetched += 1
        return staged, mime

    async def _upload(self, content: AsyncIterator[bytes], mime: str) -> str:
        try:
            async with self._uploading:
                handle = await self._service.upload(content, mime)
        except Damaged as error:
            log.error("media is damaged", extra={"reason": str(error)})
            raise MediaRefused("the stored media is damaged") from error
        except ServiceRefused as error:
            raise MediaRefused(str(error)) from error
        self.uploaded += 1
        return handle


async def _again(
    work: Callable[[], Awaitable[str]], trouble: type[Exception], pauses: tuple[float, ...]
) -> str:
    """Try again after each of these pauses; trouble that lasts is final."""
    for pause in pauses:
        try:
            return await work()
        except trouble:
            await asyncio.sleep(pause)
    try:
        return await work()
    except trouble as error:
        raise MediaRefused(str(error)) from error
