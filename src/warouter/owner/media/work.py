"""A coreapp's media: preparing what goes out, downloading what comes in, cleaning up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from warouter.app_settings import ApplicationSettings
from warouter.background import wait_for
from warouter.config import MEDIA_NETWORKS, Settings, networks
from warouter.media import cleaning
from warouter.media.choice import storage_of, try_out
from warouter.media.fetch import Fetcher
from warouter.media.library import Library
from warouter.media.received import Received
from warouter.owner.media.attachments import Attachments
from warouter.owner.media.downloads import Downloads
from warouter.owner.media.failures import Failures
from warouter.owner.media.late import Late
from warouter.owner.media.uploads import Uploads
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.store.media import through_session
from warouter.upstream.media_service import UpstreamMedia

log = logging.getLogger(__name__)

CLEAN_SECONDS = 600.0


def link_fetcher(settings: Settings) -> Fetcher:
    """Fetches media links, which every user writes: what is open to the webhook is not to them."""
    return Fetcher(
        allow_http=settings.media_allow_http,
        allow_private=networks(settings.media_allow_private, MEDIA_NETWORKS),
    )


class MediaWork:
    """``attachments`` stand between lanes and upstream, ``downloads`` between it and receipts."""

    def __init__(
        self,
        settings: Settings,
        application: str,
        app_settings: Callable[[int], ApplicationSettings],
        ownership: Ownership,
        receipts: Receipts,
        service: UpstreamMedia,
    ) -> None:
        self._ownership = ownership
        self._app_settings = app_settings
        self._days = settings.retention_days
        rows, self._session = through_session(settings, application)
        self._storage = storage_of(settings)
        self._library = Library(rows, self._storage, settings.media_quota)
        received = Received(self._library, service)
        self._uploads = Uploads(self._library, service, link_fetcher(settings))
        self.failures = Failures()
        self._collect = asyncio.Event()
        self.attachments = Attachments(self._uploads, ownership.tasks, self.failures)
        self.downloads = Downloads(
            received,
            app_settings,
            settings.public_url,
            receipts,
            ownership.tasks,
            failures=self.failures,
        )
        self.late = Late(received, self._slots, self.failures)

    def _slots(self) -> list[int]:
        return [slot.slot for slot in self._ownership.slots.values() if slot.open]

    async def try_out(self) -> None:
        """ConfigError if the storage of media cannot be used as it is set."""
        await try_out(self._storage)

    def collect(self) -> None:
        """Clean up now: somebody asked for it."""
        self._collect.set()

    async def run(self) -> None:
        """Clean up now and then, if this coreapp is the one to do it: the owner of slot 0."""
        while True:
            await wait_for(self._collect, CLEAN_SECONDS)
            self._collect.clear()
            if 0 in self._ownership.slots:
                await self._clean()

    async def close(self) -> None:
        await self._uploads.close()
        await self._session.close()
        await self._storage.close()

    async def _clean(self) -> None:
        try:
            old = 0
            for number in await self._library.rows.numbers():
                if self._app_settings(number).garbagecollector_enable.media:
                    old += await cleaning.expire(self._library, number, self._days)
            leftovers = await cleaning.sweep(self._library)
        except Exception as error:
            # The volume or the database is away: there is a next time.
            log.warning("media cleanup failed", extra={"error": repr(error)})
            return
        if old or leftovers:
            log.info("media cleaned up", extra={"expired": old, "leftovers": leftovers})
