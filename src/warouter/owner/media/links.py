"""The links of outgoing messages: each fetched into the media directory, in fair turns.

Where a link leads is its sender's choice, so the places are shared by users and origins
(``media.fetch_queue``), and a link that is too slow loses its place (``media.fetch``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from warouter.app_settings import MEDIA_PROVIDERS
from warouter.errors import MediaRefused
from warouter.log import of_number
from warouter.media import types
from warouter.media.fetch import Fetcher, LinkFailed
from warouter.media.fetch_queue import FetchQueue, FetchTurn, LinkSource
from warouter.media.library import Library
from warouter.media.providers import Credentials, credentials, listed, origin_of
from warouter.media.references import Reference
from warouter.media.storage import Staged

log = logging.getLogger(__name__)

PAUSES = (0.5, 2.0, 6.0)  # seconds between the tries of a link


class LinkFetches:
    """Fetches links, a few at a time."""

    def __init__(self, library: Library, fetcher: Fetcher) -> None:
        self._library = library
        self._fetcher = fetcher
        self._turns = FetchQueue()
        self._granted: dict[FetchTurn, asyncio.Future[None]] = {}
        self._providers: dict[int, list[Any]] = {}  # by number
        self.fetched = 0

    async def fetch(self, reference: Reference, user: bytes, number: int) -> tuple[Staged, str]:
        """Fetch the link of a user of the number, with its type; the caller drops what was staged.

        An ApiError below 500 is final: LinkFailed that lasts becomes one after four tries.
        """
        for pause in PAUSES:
            try:
                return await self._try(reference, user, number)
            except LinkFailed:
                await asyncio.sleep(pause)
        try:
            return await self._try(reference, user, number)
        except LinkFailed as error:
            raise MediaRefused(str(error)) from error

    async def _try(self, reference: Reference, user: bytes, number: int) -> tuple[Staged, str]:
        async with self._place(LinkSource(user, origin_of(reference.link))):
            shown = None
            if reference.provider:
                shown = await self._credentials(reference.provider, number)
            return await self._once(reference, shown, user)

    async def _credentials(self, provider: str, number: int) -> Credentials:
        stored = await self._library.rows.providers(number)
        try:
            self._providers[number] = listed(stored)
        except ValueError as error:
            extra = {"setting": MEDIA_PROVIDERS, "reason": str(error), **of_number(number)}
            log.error("stored setting rejected", extra=extra)  # the last good ones stay
        return credentials(self._providers.get(number, ()), provider)

    async def _once(
        self, reference: Reference, shown: Credentials | None, user: bytes
    ) -> tuple[Staged, str]:
        limit = types.LIMITS[reference.type]
        async with self._fetcher.open(reference.link, shown, user) as answer:
            staged = await self._library.storage.stage(answer.chunks, limit)
            try:
                if not staged.size:
                    raise MediaRefused("the link's response is empty")
                mime = types.of_link(reference.type, answer.mime, staged.head, answer.name)
                types.check(mime, staged.head, staged.size, limit)
            except BaseException:
                await staged.drop()
                raise
        self.fetched += 1
        return staged, mime

    @asynccontextmanager
    async def _place(self, source: LinkSource) -> AsyncIterator[None]:
        turn = self._turns.ask(source)
        granted = self._granted[turn] = asyncio.get_running_loop().create_future()
        self._grant()
        try:
            await granted
            yield
        finally:
            self._granted.pop(turn, None)
            self._turns.end(turn, time.monotonic())
            self._grant()

    def _grant(self) -> None:
        while (turn := self._turns.next(time.monotonic())) is not None:
            granted = self._granted[turn]
            if not granted.done():  # else it was cancelled and ends its turn in a moment
                granted.set_result(None)
