"""Media as a whole: its content in the storage and its row in the database.

The content comes first and the row after it, so what has a row has its content. What fails in
between is an orphan, which ``media.cleaning`` removes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

from warouter.errors import BodyTooLarge, MediaFull
from warouter.media import types
from warouter.media.storage import Staged, Storage
from warouter.store.media import UPLOADED, MediaFile, MediaRows

log = logging.getLogger(__name__)

KNOWN_SECONDS = 10.0
KNOWN_MOST = 10_000


class Library:
    """Media of each number; that of another one is as if there were none.

    ``quota`` limits the bytes of all numbers, unfinished files included; 0 is no limit.
    """

    def __init__(self, rows: MediaRows, storage: Storage, quota: int) -> None:
        self.rows = rows
        self.storage = storage
        self._quota = quota
        self._without_row = 0  # bytes of what is in its place here and has no row yet
        # Until when an id is taken to be there.
        self._known: dict[tuple[int, UUID], float] = {}

    async def receive(
        self,
        number: int,
        chunks: AsyncIterator[bytes],
        mime: str,
        *,
        length: int | None = None,
        kind: int = UPLOADED,
        handle: str | None = None,
        sha256: bytes | None = None,
        media_id: UUID | None = None,
    ) -> MediaFile:
        """Store content of a number under a new id, or the one that it has; nothing stays behind on
        an error.

        ``length`` is what the sender announces, ``handle`` the upstream's name of received media,
        ``sha256`` what it must be. BodyTooLarge, MediaFull, MediaRefused, ParameterMissing (empty),
        MediaAway (the storage), ValueError (another digest), and what ``chunks`` raises.
        """
        # What customers send is kept as it is; what clients upload has to be fit for sending.
        most = types.limit_of(mime) if kind == UPLOADED else types.LARGEST
        if length is not None:
            await self._expect(length, most, mime)
        staged = await self.storage.stage(chunks, most, self._admit if self._quota else None)
        try:
            if kind == UPLOADED:
                types.check(mime, staged.head, staged.size)
            if sha256 is not None and staged.sha256 != sha256:
                raise ValueError("the content does not match the announced SHA-256")
            media = MediaFile(media_id or uuid4(), kind, mime, staged.size, staged.sha256, number)
            return await self._add(staged, media, handle)
        finally:
            await staged.drop()

    async def find(self, number: int, media_id: UUID) -> MediaFile | None:
        return await self.rows.find(number, media_id)

    async def known(self, number: int, media_id: UUID) -> bool:
        """True if the media exists; a positive answer is cached for a short time."""
        now = time.monotonic()
        if self._known.get((number, media_id), now) > now:
            return True
        if await self.rows.find(number, media_id) is None:
            return False
        if len(self._known) >= KNOWN_MOST:
            self._known.clear()
        self._known[number, media_id] = now + KNOWN_SECONDS
        return True

    def content(self, media: MediaFile) -> AsyncIterator[bytes]:
        """The content in chunks; raises FileNotFoundError, or Damaged before the last chunk."""
        return self.storage.content(media.id, media.size, media.sha256)

    async def remove(self, number: int, media_id: UUID) -> bool:
        """Remove row and content; True if they existed."""
        self._known.pop((number, media_id), None)
        found = await self.rows.remove(number, media_id)
        if found:
            await self.storage.remove(media_id)
        return found

    async def _expect(self, length: int, most: int, mime: str) -> None:
        """Refuse by the announced type and size before anything is read."""
        if length > most:
            kind = types.kind_of(mime)
            raise BodyTooLarge(f"{kind} of {length} bytes: at most {most} are allowed")
        if self._quota and await self.rows.total() + length > self._quota:
            raise _full()

    async def _admit(self) -> None:
        """Raises MediaFull if stored and unfinished media exceed the quota."""
        before = -1
        while True:
            # In this order what is finished in between counts twice and never not at all; then the
            # total has changed, and a second look tells.
            unfinished = self._without_row + await self.storage.unfinished()
            total = await self.rows.total()
            if total + unfinished <= self._quota:
                return
            if total == before:
                raise _full()
            before = total

    async def _add(self, staged: Staged, media: MediaFile, handle: str | None) -> MediaFile:
        known: UUID | None = None
        self._without_row += media.size
        try:
            await staged.keep(media.id)
            known = await self.rows.add(media, handle, self._quota)
        except Exception:
            # It may have a row all the same: then content without one is the lesser evil.
            log.warning("media registration failed", extra={"media": str(media.id)})
            raise
        finally:
            self._without_row -= media.size
        if known == media.id:
            return media
        if (
            await self.rows.find(media.number, media.id) is None
        ):  # no other process has stored the same meanwhile
            await self.storage.remove(media.id)
        if known is None:
            raise _full()
        earlier = await self.rows.find(media.number, known)
        if earlier is None:  # removed this very moment
            raise MediaFull("the media was deleted during its upload")
        return earlier


def _full() -> MediaFull:
    return MediaFull("the media quota is used up (WAROUTER_MEDIA_QUOTA)")
