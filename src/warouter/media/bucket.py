"""The media bucket: objects that all nodes share, under the names that the directory has too.

    PREFIX/shared/ID    whole objects; they never change

What comes in is gathered in a nameless file on this host and checked, and then put at once. So the
bucket holds nothing unfinished, and what a process was writing ends with it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import IO
from uuid import UUID, uuid4

from warouter.errors import ConfigError
from warouter.media.objects import Objects, Unusable
from warouter.media.staging import CHUNK, MediaIntake, Threads, Writing
from warouter.media.storage import Admit, Damaged

SHARED, PROBE = "shared", "probe"


class Bucket:
    """``folder`` is where what comes in is gathered."""

    def __init__(self, objects: Objects, folder: str) -> None:
        self.objects = objects
        self._folder = folder
        self.threads = Threads(f"the folder {folder}")
        self._intake = MediaIntake(self.threads)
        self.open_files: set[SpooledFile] = set()

    def where(self, media_id: UUID) -> str:
        return self.objects.where(f"{SHARED}/{media_id}")

    async def stage(
        self, chunks: AsyncIterator[bytes], most: int, admit: Admit | None = None
    ) -> SpooledFile:
        """Gather content in a file; ``unfinished`` is this process's: no bucket has others' yet."""
        return await self._intake.take(partial(SpooledFile, self), chunks, most, admit)

    async def content(self, media_id: UUID, size: int, sha256: bytes) -> AsyncIterator[bytes]:
        stored, chunks = await self.objects.get(f"{SHARED}/{media_id}")
        if stored != size:
            raise Damaged(f"{self.where(media_id)} does not have {size} bytes")
        digest = hashlib.sha256()
        held = b""
        async for chunk in chunks:
            if held:
                yield held
            held = chunk
            await self.threads.run(digest.update, chunk)
        if digest.digest() != sha256:
            raise Damaged(f"{self.where(media_id)} is not what was written")
        if held:
            yield held

    async def remove(self, media_id: UUID) -> None:
        await self.objects.delete(f"{SHARED}/{media_id}")

    async def names(self, older_than: float, most: int) -> AsyncIterator[list[UUID]]:
        async for batch in self.objects.list(SHARED, most):
            found = []
            for name, age in batch:
                with suppress(ValueError):  # what somebody else has put there is left alone
                    if age > older_than:
                        found.append(UUID(name))
            yield found

    async def unfinished(self) -> int:
        # At once: threads open and close files meanwhile.
        return sum(file.claimed for file in self.open_files.copy())

    async def leftovers(self, older_than: float) -> int:
        """Count no leftovers: a nameless file ends with its process."""
        return 0

    async def check(self) -> None:
        """Try the bucket out under a name that the clean-up does not take for media."""
        word = uuid4().hex
        name = f"{PROBE}/{word}"
        try:
            async for _ in self.objects.list(PROBE, 1):
                break
            spooled = await self.stage(_once(word.encode()), len(word))
            try:
                await self.objects.put(name, spooled.size, spooled.md5, spooled.content)
            finally:
                await spooled.drop()
            await self._compare(name, word.encode())
            await self.objects.delete(name)
        except Unusable as error:
            raise ConfigError(f"{str(error)[0].upper()}{str(error)[1:]}.") from error

    async def _compare(self, name: str, content: bytes) -> None:
        """A web server may answer 200 to whatever it is asked, and keep nothing of it."""
        try:
            size, chunks = await self.objects.get(name)
            found = b"".join([chunk async for chunk in chunks]) if size == len(content) else b""
        except FileNotFoundError:
            found = b""
        if found != content:
            raise self.objects.unlike_s3()

    async def close(self) -> None:
        await self.objects.close()
        self.threads.close()

    def nameless(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._folder)


class SpooledFile(Writing):
    """A file without a name; the system removes it when it is closed, or its process ends."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket.nameless())
        self._bucket = bucket
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.claimed = 0
        bucket.open_files.add(self)

    @property
    def md5(self) -> bytes:
        return self._md5.digest()

    def claim(self, size: int) -> None:
        super().claim(size)
        self.claimed = self.size + size

    def write(self, block: bytes) -> None:
        super().write(block)
        self._md5.update(block)

    def read(self, offset: int) -> bytes:
        """The descriptor is taken here, in the thread: once closed, another file may have it."""
        return os.pread(self.file.fileno(), CHUNK, offset)

    def discard(self) -> None:
        self._bucket.open_files.discard(self)
        super().discard()

    async def keep(self, media_id: UUID) -> None:
        self._bucket.open_files.discard(self)  # whoever keeps it counts it from here on
        name = f"{SHARED}/{media_id}"
        await self._bucket.objects.put(name, self.size, self.md5, self.content)

    async def drop(self) -> None:
        await self._bucket.threads.run(self.discard)

    async def content(self) -> AsyncIterator[bytes]:
        offset = 0
        while chunk := await self._bucket.threads.run(self.read, offset):
            yield chunk
            offset += len(chunk)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
