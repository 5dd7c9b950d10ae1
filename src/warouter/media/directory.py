"""The media directory: files that all nodes share, like the product's volume /usr/local/wamedia.

shared/ID       whole files; they never change
partial/NAME    what is being written: fsynced, then renamed into place
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID, uuid4

from warouter.errors import MediaAway
from warouter.media.staging import CHUNK, MediaIntake, Threads, Writing
from warouter.media.storage import Admit, Damaged
from warouter.media.usable import trouble

_MODE = 0o750  # customers' media is for nobody else
_CHECK_SECONDS = 5.0


class MediaDirectory:
    """Files below ``path``; folders are created when they are needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shared = path / "shared"
        self._partial = path / "partial"
        self.threads = Threads("the media directory")
        self._intake = MediaIntake(self.threads)

    def path_of(self, media_id: UUID) -> Path:
        return self._shared / str(media_id)

    def where(self, media_id: UUID) -> str:
        return str(self.path_of(media_id))

    async def stage(
        self, chunks: AsyncIterator[bytes], most: int, admit: Admit | None = None
    ) -> StagedFile:
        """Write content to a file of its own. ``unfinished`` is of
        the whole directory: who writes here or elsewhere sees the others.
        """
        begin = partial(StagedFile, self, self._partial / uuid4().hex)
        return await self._intake.take(begin, chunks, most, admit)

    async def remove(self, media_id: UUID) -> None:
        await self.threads.run(_unlink, self.path_of(media_id))

    def content(self, media_id: UUID, size: int, sha256: bytes) -> AsyncIterator[bytes]:
        return self.read(self.path_of(media_id), size, sha256)

    async def read(self, path: Path, size: int, sha256: bytes) -> AsyncIterator[bytes]:
        """The content in chunks; raises Damaged before the last one if the checksum is wrong.

        FileNotFoundError before the first if there is no file, MediaAway if there is no folder for
        any: then the volume is not mounted.
        """
        run = self.threads.run
        try:
            file = await run(open, path, "rb")
        except MediaAway as error:
            if isinstance(error.__cause__, FileNotFoundError) and path.parent.is_dir():
                raise error.__cause__ from None
            raise
        try:
            if (await run(os.fstat, file.fileno())).st_size != size:
                raise Damaged(f"{path} does not have {size} bytes")
            digest = hashlib.sha256()
            held = b""
            while chunk := await run(_read, file, digest):
                if held:
                    yield held
                held = chunk
            if digest.digest() != sha256:
                raise Damaged(f"{path} is not what was written")
            if held:
                yield held
        finally:
            self.threads.submit(file.close)

    async def unfinished(self) -> int:
        """Bytes of all files that any process is writing, or was when it died."""
        return await self.threads.run(_sizes, self._partial)

    async def leftovers(self, older_than: float) -> int:
        """Remove unfinished files that have not grown for this many seconds; returns how many."""
        return await self.threads.run(_remove_old, self._partial, older_than)

    async def names(self, older_than: float, most: int) -> AsyncIterator[list[UUID]]:
        """The ids of all complete files of this age, ``most`` at a time."""
        found = await self.threads.run(_old_files, self._shared, older_than)
        for begin in range(0, len(found), most):
            yield found[begin : begin + most]

    async def check(self) -> None:
        """MediaAway if nothing can be written: a volume may be mounted any moment."""
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                if sentence := await self.threads.run(trouble, self._path):
                    raise MediaAway(sentence)
                await self.threads.run(_try, self._partial / uuid4().hex)
        except TimeoutError:
            raise MediaAway(
                f"WAROUTER_MEDIA_DIR is {self._path}, and its volume does not answer: see that it"
                " is mounted and its server reached; everything but media works."
            ) from None

    async def close(self) -> None:
        self.threads.close()


class StagedFile(Writing):
    """A file of partial/: first it is being written, then it is complete."""

    def __init__(self, directory: MediaDirectory, path: Path) -> None:
        path.parent.mkdir(_MODE, parents=True, exist_ok=True)
        super().__init__(path.open("xb"))
        self._directory = directory
        self.path = path

    def finish(self) -> None:
        super().finish()
        os.fsync(self.file.fileno())
        self.file.close()

    def discard(self) -> None:
        _unlink(self.path)
        super().discard()

    async def keep(self, media_id: UUID) -> None:
        directory = self._directory
        await directory.threads.run(_keep, self.path, directory.path_of(media_id))

    async def drop(self) -> None:
        await self._directory.threads.run(_unlink, self.path)

    def content(self) -> AsyncIterator[bytes]:
        return self._directory.read(self.path, self.size, self.sha256)


def _read(file: BinaryIO, digest: Any) -> bytes:
    chunk = file.read(CHUNK)
    digest.update(chunk)
    return chunk


def _try(path: Path) -> None:
    if not path.parent.parent.exists():
        return  # whoever writes first makes it
    path.parent.mkdir(_MODE, parents=True, exist_ok=True)
    path.write_bytes(b"")
    _unlink(path)


def _keep(staged: Path, place: Path) -> None:
    """Move a staged file to its place, durably."""
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
