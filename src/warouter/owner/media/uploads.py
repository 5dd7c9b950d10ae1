"""Media of outgoing messages to the upstream: fetched or read, uploaded once, known by its handle.

One flight a reference and user, whatever many messages wait for it; at most eight links are fetched
(``owner.media.links``) and eight media uploaded at a time. What came of a flight is kept for a
while, failures too. A flight whose slots are all lost ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import NamedTuple
from uuid import UUID

from warouter.errors import ApiError, MediaAway, MediaRefused, NotFound, WarouterError
from warouter.media import types
from warouter.media.fetch import Fetcher
from warouter.media.library import Library
from warouter.media.providers import CredentialsRefused
from warouter.media.references import Reference
from warouter.media.storage import Damaged
from warouter.owner.media.links import LinkFetches
from warouter.upstream.media_service import ServiceRefused, UpstreamMedia

log = logging.getLogger(__name__)

MOST_AT_ONCE = 8
STORED_SECONDS = 3600.0  # the content under an id never changes
LINK_SECONDS = 600.0  # as long as the Cloud API keeps a link
FAILED_SECONDS = 60.0
MOST_KNOWN = 10_000
MOST_FLIGHTS, MOST_OF_USER = 2_000, 500  # beyond them messages wait without one
FILE_PAUSES = (0.2, 1.0)  # a file that another host has just written may show up late


class Busy(WarouterError):
    """Too much is being prepared: this has to come again."""


class _Outcome(NamedTuple):
    until: float
    handle: str
    error: ApiError | None


class _Wanted(NamedTuple):
    """Each user's flights are his own: nobody waits behind the slow links of another."""

    reference: Reference
    user: bytes
    number: int


class _Flight(NamedTuple):
    task: asyncio.Task[str]
    slots: set[int]


class Uploads:
    """Handles for references."""

    def __init__(self, library: Library, service: UpstreamMedia, fetcher: Fetcher) -> None:
        self._library = library
        self._service = service
        # Links which hang do not stand in the way of what is here already.
        self._links = LinkFetches(library, fetcher)
        self._uploading = asyncio.Semaphore(MOST_AT_ONCE)
        self._flights: dict[_Wanted, _Flight] = {}
        self._users: Counter[bytes] = Counter()  # flights by user
        # An upstream's handles belong to the number that uploaded.
        self._known: dict[tuple[int, Reference], _Outcome] = {}
        self.uploaded = 0

    def known(self, reference: Reference, number: int) -> str | None:
        """The number's handle, None if it is not known; the ApiError if it cannot be had."""
        outcome = self._known.get((number, reference))
        if outcome is None:
            return None
        if outcome.until < time.monotonic():
            del self._known[number, reference]
            return None
        if outcome.error is not None:
            raise outcome.error
        return outcome.handle

    async def handle(self, reference: Reference, slot: int, user: bytes, number: int) -> str:
        """The handle, after a flight if need be; a caller that goes away leaves the flight on.

        An ApiError below 500 is final; Busy and anything else is to be tried again.
        """
        known = self.known(reference, number)
        if known is not None:
            return known
        wanted = _Wanted(reference, user, number)
        flight = self._flights.get(wanted)
        if flight is None:
            flight = self._take_off(wanted)
        flight.slots.add(slot)
        return await asyncio.shield(flight.task)

    def _take_off(self, wanted: _Wanted) -> _Flight:
        if len(self._flights) >= MOST_FLIGHTS or self._users[wanted.user] >= MOST_OF_USER:
            raise Busy("too much media is being prepared")
        task = asyncio.ensure_future(self._fly(*wanted))
        flight = self._flights[wanted] = _Flight(task, set())
        self._users[wanted.user] += 1
        task.add_done_callback(partial(self._landed, wanted))
        return flight

    def forget(self, slot: int) -> None:
        """The slot is lost: what only it waits for ends."""
        for wanted, flight in list(self._flights.items()):
            flight.slots.discard(slot)
            if not flight.slots:
                del self._flights[wanted]  # whoever asks from now on starts a new upload
                flight.task.cancel()

    def drop(self, reference: Reference, number: int) -> None:
        """The upstream does not know its handle any more: it is uploaded anew."""
        self._known.pop((number, reference), None)

    async def close(self) -> None:
        for flight in self._flights.values():
            flight.task.cancel()
        await self._service.close()

    def _landed(self, wanted: _Wanted, task: asyncio.Task[str]) -> None:
        reference, user, number = wanted
        self._users[user] -= 1
        if not self._users[user]:
            del self._users[user]
        if task.cancelled():
            return
        self._flights.pop(wanted, None)
        error = task.exception()
        now = time.monotonic()
        if error is None:
            lasts = STORED_SECONDS if reference.id else LINK_SECONDS
            self._remember(number, reference, _Outcome(now + lasts, task.result(), None))
        elif isinstance(error, CredentialsRefused):
            pass  # an administrator may change it any moment
        elif isinstance(error, ApiError) and error.status < 500:
            self._remember(number, reference, _Outcome(now + FAILED_SECONDS, "", error))

    def _remember(self, number: int, reference: Reference, outcome: _Outcome) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[number, reference] = outcome

    async def _fly(self, reference: Reference, user: bytes, number: int) -> str:
        if reference.id:
            return await self._stored(reference, number)
        return await self._linked(reference, user, number)

    async def _stored(self, reference: Reference, number: int) -> str:
        """Upload the file of stored media.

        As long as its row is there the file may come: NotFound is final, MediaAway is not.
        """
        for pause in (*FILE_PAUSES, None):
            media = await self._library.find(number, UUID(reference.id))
            if media is None:
                raise NotFound(f"media {reference.id} is no longer there")
            try:
                content = self._library.content(media)
                return await self._upload(number, content, types.safe(media.mime), media.size)
            except FileNotFoundError:
                if pause is not None:
                    await asyncio.sleep(pause)
        raise MediaAway(f"the file of media {reference.id} is not in the media storage")

    async def _linked(self, reference: Reference, user: bytes, number: int) -> str:
        staged, mime = await self._links.fetch(reference, user, number)
        try:
            return await self._upload(number, staged.content(), mime, staged.size)
        finally:
            await staged.drop()

    async def _upload(
        self, number: int, content: AsyncIterator[bytes], mime: str, size: int
    ) -> str:
        try:
            async with self._uploading:
                handle = await self._service.upload(number, content, mime, size)
        except Damaged as error:
            log.error("media verification failed", extra={"error": str(error)})
            raise MediaRefused("the stored media is damaged") from error
        except ServiceRefused as error:
            raise MediaRefused(str(error)) from error
        self.uploaded += 1
        return handle
