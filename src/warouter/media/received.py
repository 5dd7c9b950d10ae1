"""Media of customers by the upstream's handle: an id at once, and content when that can be had.

The id is made of the number and the handle, so whoever fetches it, owner or webapp, stores it under
the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from warouter.cloud_number import FIRST
from warouter.errors import MediaAway, MediaRefused
from warouter.media import types
from warouter.media.library import Library
from warouter.store.media import RECEIVED, MediaFile, WantedMedia
from warouter.upstream.media_service import ServiceRefused, UpstreamMedia

# Of the ids that are made of handles; frozen, as they are in callbacks.
NAMESPACE = UUID("5b7c1d1e-6e0a-5d0b-9a55-2f0d4f6a7c31")
REFUSED = (MediaRefused, ServiceRefused, ValueError)  # media cannot be had, now or later
MOST_AT_ONCE = 8
LATE_SECONDS = 60.0  # a client waits for it


def wanted(number: int, handle: str, media: Mapping[str, Any] | None) -> WantedMedia:
    """Read the words of a message to the number on its media; ValueError without any, or without a
    digest.
    """
    if media is None:
        raise ValueError("the message has no object for its media")
    return WantedMedia(
        uuid5(NAMESPACE, handle if number == FIRST else f"{number}\0{handle}"),
        handle,
        types.safe(str(media.get("mime_type") or "")),
        bytes.fromhex(str(media.get("sha256", ""))) or None,
        number,
    )


class Received:
    """Fetches from ``service`` into the ``library``, some at once; the others wait for a place."""

    def __init__(self, library: Library, service: UpstreamMedia) -> None:
        self.library = library
        self._service = service
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def fetch(self, wanted: WantedMedia) -> MediaFile:
        """The media, from what is stored or from the upstream.

        One of REFUSED if it cannot be had; any other error may pass.
        """
        async with self._places:
            found = await self.library.rows.find_handle(wanted.number, wanted.handle)
            if found is not None:
                return found
            async with self._service.download(wanted.number, wanted.handle) as chunks:
                return await self.library.receive(
                    wanted.number,
                    chunks,
                    wanted.mime,
                    kind=RECEIVED,
                    handle=wanted.handle,
                    sha256=wanted.sha256,
                    media_id=wanted.id,
                )

    async def late(self, number: int, media_id: UUID) -> MediaFile | None:
        """The number's media of this id, if it was to be fetched later, by now; None if there is
        none, or the upstream refuses it. MediaAway if it cannot be had yet.
        """
        wanted = await self.library.rows.find_wanted(number, media_id)
        if wanted is None:
            return None
        try:
            async with asyncio.timeout(LATE_SECONDS):
                return await self.fetch(wanted)
        except REFUSED:
            return None
        except Exception as error:
            why = str(error) or type(error).__name__
            raise MediaAway(f"the customer's media could not be fetched yet: {why}") from error
