"""The media directory: files that all nodes share, like the product's volume /usr/local/wamedia.

    shared/ID       whole files; they never change
    partial/NAME    what is being written: fsynced, then renamed into place

Every file operation runs in threads of its own, so a slow volume stalls neither the loop nor name
lookups. OSErrors come out as MediaFull (no space) or MediaAway (anything else).
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar
from uuid import UUID, uuid4

import msgspec

from warouter.errors import BodyTooLarge, MediaAway, MediaFull
from warouter.media.types import HEAD

T = TypeVar("T")
P = ParamSpec("P")

CHUNK = 256 * 1024  # bytes a turn in a thread
_THREADS = 4
_ADMIT_SECONDS = 5.0  # for whether there is room, from the asking on
_MODE = 0o750  # what customers send is nobody else's
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Staged(msgspec.Struct, frozen=True):
    """A complete file that is not visible yet. ``head`` is its first bytes."""

    path: Path
    size: int
    sha256: bytes
    head: bytes


class Damaged(Exception):
    """A file does not match its row."""


class Directory:
    """Files below ``path``; folders are created when they are needed."""

    def __init__(self, path: Path) -> None:
        self._shared = path / "shared"
        self._partial = path / "partial"
        self._admitting = asyncio.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="media")

    def path_of(self, media_id: UUID) -> Path:
        return self._shared / str(media_id)

    async def stage(
        self,
        chunks: AsyncIterator[bytes],
        most: int,
        admit: Callable[[], Awaitable[None]] | None = None,
    ) -> Staged:
        """Write content of at most ``most`` bytes to a staged file;
        nothing stays behind on an error.

        ``admit`` is asked before anything is written, when ``unfinished`` counts it already: of
        several that write at the same time, here or elsewhere, each sees the others.
        """
        writing = await self._run(_Writing, self._partial / uuid4().hex)
        try:
            async for block in _blocks(chunks):
                if writing.size + len(block) > most:
                    raise BodyTooLarge(f"the media is larger than {most} bytes")
                if admit is not None:
                    await self._admit(writing, len(block), admit)
                await self._run(writing.write, block)
            return await self._run(writing.finish)
        except BaseException:
            # Also when cancelled: the thread closes and removes it whatever becomes of us.
            self._threads.submit(writing.discard)
            raise

    async def _admit(
        self, writing: _Writing, size: int, admit: Callable[[], Awaitable[None]]
    ) -> None:
        """Reserve space, one caller after the other: one that does
        not fit does not block smaller ones.

        TimeoutError after ``_ADMIT_SECONDS``, the wait for the others included: while ``admit``
        hangs, all who ask end together and not one after the other.
        """
        async with asyncio.timeout(_ADMIT_SECONDS), self._admitting:
            await self._run(writing.claim, size)
            try:
                await admit()
            except BaseException:
                # Whoever comes next must not count it; nothing else may run in between.
                await asyncio.shield(self._run(writing.claim, 0))
                raise

    async def keep(self, staged: Staged, media_id: UUID) -> None:
        """Move a staged file to its place, durably."""
        await self._run(_keep, staged.path, self.path_of(media_id))

    async def drop(self, staged: Staged) -> None:
        """Remove a staged file, if it is still staged."""
        await self._run(_unlink, staged.path)

    async def remove(self, media_id: UUID) -> None:
        await self._run(_unlink, self.path_of(media_id))

    async def read(self, path: Path, size: int, sha256: bytes) -> AsyncIterator[bytes]:
        """The content in chunks; raises Damaged before the last one if the checksum is wrong.

        FileNotFoundError before the first if there is no file, MediaAway if there is no folder for
        any: then the volume is not mounted.
        """
        try:
            file = await self._run(open, path, "rb")
        except MediaAway as error:
            if isinstance(error.__cause__, FileNotFoundError) and path.parent.is_dir():
                raise error.__cause__ from None
            raise
        try:
            if (await self._run(os.fstat, file.fileno())).st_size != size:
                raise Damaged(f"{path} does not have {size} bytes")
            digest = hashlib.sha256()
            held = b""
            while chunk := await self._run(_read, file, digest):
                if held:
                    yield held
                held = chunk
            if digest.digest() != sha256:
                raise Damaged(f"{path} is not what was written")
            if held:
                yield held
        finally:
            self._threads.submit(file.close)

    async def unfinished(self) -> int:
        """Bytes of all files that any process is writing, or was when it died."""
        return await self._run(_sizes, self._partial)

    async def leftovers(self, older_than: float) -> int:
        """Remove unfinished files that have not grown for this many seconds; returns how many."""
        return await self._run(_remove_old, self._partial, older_than)

    async def names(self, older_than: float, most: int) -> AsyncIterator[list[UUID]]:
        """The ids of all complete files of this age, ``most`` at a time."""
        found = await self._run(_old_files, self._shared, older_than)
        for begin in range(0, len(found), most):
            yield found[begin : begin + most]

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _run(self, work: Callable[P, T], *arguments: P.args, **_no: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        with _told():
            return await loop.run_in_executor(self._threads, work, *arguments)


class _Writing:
    """A file that is being written; its methods run in threads, one after the other."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(_MODE, parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("xb")  # its lock keeps discard() out of a write that still runs
        self._digest = hashlib.sha256()
        self._head = b""
        self.size = 0

    def claim(self, size: int) -> None:
        """Reserve space for this many more bytes."""
        self._file.truncate(self.size + size)

    def write(self, block: bytes) -> None:
        if len(self._head) < HEAD:
            self._head = (self._head + block)[:HEAD]
        self._digest.update(block)
        self._file.write(block)
        self.size += len(block)

    def finish(self) -> Staged:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return Staged(self._path, self.size, self._digest.digest(), self._head)

    def discard(self) -> None:
        _unlink(self._path)
        with suppress(OSError):
            self._file.close()


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


@contextmanager
def _told() -> Iterator[None]:
    """Turns an OSError into an ApiError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise MediaFull("there is no space left for media") from error
        raise MediaAway(f"the media directory cannot be used: {error.strerror}") from error


def _read(file: BinaryIO, digest: Any) -> bytes:
    chunk = file.read(CHUNK)
    digest.update(chunk)
    return chunk


def _keep(staged: Path, place: Path) -> None:
    place.parent.mkdir(_MODE, parents=True, exist_ok=True)
    staged.rename(place)
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


def _remove_old(folder: Path, older_than: float) -> int:
    gone = 0
    for entry in _entries(folder, older_than):
        _unlink(Path(entry.path))
        gone += 1
    return gone


def _sizes(folder: Path) -> int:
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # finished meanwhile
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _old_files(folder: Path, older_than: float) -> list[UUID]:
    found = []
    for entry in _entries(folder, older_than):
        with suppress(ValueError):
            found.append(UUID(entry.name))  # what somebody else has put there is left alone
    return found


def _entries(folder: Path, older_than: float) -> Iterator[os.DirEntry[str]]:
    before = time.time() - older_than
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < before:
                    yield entry
