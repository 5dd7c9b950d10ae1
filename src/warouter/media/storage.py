"""The storage of media, as the rest of the program sees it: a directory or a bucket.

Both promise the same: content is visible as a whole or not at all, never changes, and is checked
against its row whenever it is read. What fails for a while is MediaAway, what is full MediaFull.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol
from uuid import UUID

Admit = Callable[[], Awaitable[None]]


class Damaged(Exception):
    """Stored content does not match its row."""


class Staged(Protocol):
    """Complete content that is not visible yet. ``head`` is its first bytes."""

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> bytes: ...

    @property
    def head(self) -> bytes: ...

    async def keep(self, media_id: UUID) -> None:
        """Make it visible under this id, durably."""

    async def drop(self) -> None:
        """Forget it, unless it is visible by now."""

    def content(self) -> AsyncIterator[bytes]:
        """The content in chunks; Damaged before the last one if it is not what was written."""


class Storage(Protocol):
    """Content by the id of its row."""

    async def stage(
        self, chunks: AsyncIterator[bytes], most: int, admit: Admit | None = None
    ) -> Staged:
        """Take content of at most ``most`` bytes; nothing stays behind on an error.

        ``admit`` is asked before anything is written, when ``unfinished`` counts it already.
        """

    def content(self, media_id: UUID, size: int, sha256: bytes) -> AsyncIterator[bytes]:
        """The content in chunks; Damaged before the last one if size or checksum are wrong.

        FileNotFoundError before the first if there is none, MediaAway if nothing can be had.
        """

    async def remove(self, media_id: UUID) -> None:
        """Remove the content, if there is any."""

    def names(self, older_than: float, most: int) -> AsyncIterator[list[UUID]]:
        """The ids of all content of this age in seconds, ``most`` at a time."""

    async def unfinished(self) -> int:
        """Bytes of what is being taken and not visible yet."""

    async def leftovers(self, older_than: float) -> int:
        """Remove what others left unfinished this many seconds ago; returns how many."""

    def where(self, media_id: UUID) -> str:
        """Where the content is, for people and for the field `file` of inbound messages."""

    async def check(self) -> None:
        """Write, read and remove something.

        ConfigError if that fails until somebody changes a setting or a right, MediaAway else.
        """

    async def close(self) -> None: ...
