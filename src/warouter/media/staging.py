"""Content on its way in: gathered in a file, counted, hashed, and admitted within the quota.

Every file operation runs in threads of its own, so a slow volume stalls neither the loop nor name
lookups. OSErrors come out as MediaFull (no space) or MediaAway (anything else).
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import IO, Any, ParamSpec, TypeVar

from warouter.errors import BodyTooLarge, MediaAway, MediaFull
from warouter.media.storage import Admit
from warouter.media.types import HEAD

T = TypeVar("T")
P = ParamSpec("P")
W = TypeVar("W", bound="Writing")

CHUNK = 256 * 1024  # bytes a turn in a thread
_THREADS = 4
_ADMIT_SECONDS = 5.0  # for whether there is room, from the asking on
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Threads:
    """Threads for the files of ``what``, as errors name it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="media")

    async def run(self, work: Callable[P, T], *arguments: P.args, **_no: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        with self._told():
            return await loop.run_in_executor(self._threads, work, *arguments)

    def submit(self, work: Callable[[], Any]) -> None:
        """Do it whatever becomes of the caller."""
        self._threads.submit(work)

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns an OSError into an ApiError."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise MediaFull("there is no space left for media") from error
            raise MediaAway(f"{self._what} cannot be used: {error.strerror}") from error


class Writing:
    """A file that is being written; its methods run in threads, one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file  # the file's lock keeps discard() out of a write that still runs
        self.size = 0
        self.head = b""
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> bytes:
        return self._digest.digest()

    def claim(self, size: int) -> None:
        """Reserve space for this many more bytes."""
        self.file.truncate(self.size + size)

    def write(self, block: bytes) -> None:
        if len(self.head) < HEAD:
            self.head = (self.head + block)[:HEAD]
        self._digest.update(block)
        self.file.write(block)
        self.size += len(block)

    def finish(self) -> None:
        self.file.flush()

    def discard(self) -> None:
        with suppress(OSError):
            self.file.close()


class MediaIntake:
    """Lets content in, one admission after the other."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._admitting = asyncio.Lock()

    async def take(
        self, begin: Callable[[], W], chunks: AsyncIterator[bytes], most: int, admit: Admit | None
    ) -> W:
        """Write content of at most ``most`` bytes to what ``begin`` opens, or discard that.

        Of several that write at the same time, each is counted before ``admit`` is asked.
        """
        writing = await self._begun(begin)
        try:
            async for block in _blocks(chunks):
                if writing.size + len(block) > most:
                    raise BodyTooLarge(f"the media is larger than {most} bytes")
                if admit is not None:
                    await self._admit(writing, len(block), admit)
                await self._threads.run(writing.write, block)
            await self._threads.run(writing.finish)
        except BaseException:
            # Also when cancelled: the thread closes and removes it whatever becomes of us.
            self._threads.submit(writing.discard)
            raise
        return writing

    async def _begun(self, begin: Callable[[], W]) -> W:
        opening = asyncio.ensure_future(self._threads.run(begin))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread opens it all the same, and nobody would ever close it.
            opening.add_done_callback(self._abandon)
            raise

    def _abandon(self, opening: asyncio.Future[W]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._threads.submit(opening.result().discard)

    async def _admit(self, writing: Writing, size: int, admit: Admit) -> None:
        """Reserve space, one caller after the other: one that does
        not fit does not block smaller ones.

        TimeoutError after ``_ADMIT_SECONDS``, the wait for the others included: while ``admit``
        hangs, all who ask end together and not one after the other.
        """
        async with asyncio.timeout(_ADMIT_SECONDS), self._admitting:
            await self._threads.run(writing.claim, size)
            try:
                await admit()
            except BaseException:
                # Whoever comes next must not count it; nothing else may run in between.
                await asyncio.shield(self._threads.run(writing.claim, 0))
                raise


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Chunks gathered into blocks that are worth a thread's turn."""
    gathered = bytearray()
    async for chunk in chunks:
        gathered += chunk
        if len(gathered) >= CHUNK:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)
