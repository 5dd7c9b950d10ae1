"""The simulator's media store on disk: content by handle, limited in size.

    POST   /media          the bytes of the body -> 201 {"handle"}
    GET    /media/{handle} the bytes; 404 once they had to make room

What was uploaded stays in the record (size and SHA-256) when the content itself has gone.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import aiohttp
from aiohttp import web

from warouter.lab.simulator.faults import Faults
from warouter.lab.simulator.record import Upload

MOST_BYTES = 1 << 30  # of all content that is kept
LARGEST = 128 << 20


class UploadRecord(Protocol):
    """The record of a door, as far as media go."""

    def uploaded(self, handle: str, upload: Upload) -> None: ...


class MediaStore:
    """Content by handle, which ``handle`` draws. The oldest is deleted above ``most`` bytes."""

    def __init__(
        self,
        record: UploadRecord,
        most: int = MOST_BYTES,
        handle: Callable[[], str] = lambda: secrets.token_urlsafe(18),
    ) -> None:
        self._record = record
        self._handle = handle
        self._most = most
        self._bytes = 0
        self._kept: dict[str, tuple[Path, str, int]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def put(self, chunks: AsyncIterator[bytes], mime: str) -> tuple[str, int, str]:
        """Store content; returns its handle, size and SHA-256 in
        hex. Raises ValueError if it is too large or truncated.
        """
        handle = self._handle()
        path = self._path(handle)
        digest, size = hashlib.sha256(), 0
        file: BinaryIO = await asyncio.to_thread(path.open, "wb")
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > LARGEST:
                    raise ValueError(f"media must have at most {LARGEST} bytes")
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            file.close()
        self._kept[handle] = path, mime, size
        self._bytes += size
        self._make_room()
        return handle, size, digest.hexdigest()

    def find(self, handle: str) -> tuple[Path, str] | None:
        """The file and the type of a handle."""
        kept = self._kept.get(handle)
        return kept[:2] if kept is not None else None

    def uploaded(self, handle: str, mime: str, size: int, sha256: str) -> None:
        self._record.uploaded(handle, Upload(mime, size, sha256))

    def close(self) -> None:
        self._kept.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def _path(self, handle: str) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="warouter-simulator-")
        return Path(self._folder.name) / handle

    def _make_room(self) -> None:
        while self._bytes > self._most and len(self._kept) > 1:
            path, _, size = self._kept.pop(next(iter(self._kept)))
            self._bytes -= size
            path.unlink(missing_ok=True)


def add_media(app: web.Application, media: MediaStore, switches: Callable[[], Faults]) -> None:
    """Add the two routes, under the faults ``media_ms`` and ``media_status``."""

    async def troubled() -> web.Response | None:
        faults = switches()
        if faults.media_ms:
            await asyncio.sleep(faults.media_ms / 1000)
        if not faults.media_status:
            return None
        return web.json_response(
            {"error": "requested by a fault switch"}, status=faults.media_status
        )

    async def put(request: web.Request) -> web.StreamResponse:
        trouble = await troubled()
        if trouble is not None:
            return trouble
        mime = request.headers.get("Content-Type", "application/octet-stream")
        try:
            handle, size, sha256 = await media.put(_chunks(request), mime)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=413)
        media.uploaded(handle, mime, size, sha256)
        return web.json_response({"handle": handle}, status=201)

    async def get(request: web.Request) -> web.StreamResponse:
        trouble = await troubled()
        if trouble is not None:
            return trouble
        found = media.find(request.match_info["handle"])
        if found is None:
            return web.json_response({"error": "there is no such media"}, status=404)
        path, mime = found
        return web.FileResponse(path, headers={"Content-Type": mime})

    app.router.add_post("/media", put)
    app.router.add_get("/media/{handle}", get)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    try:
        while chunk := await request.content.readany():
            yield chunk
    except aiohttp.EofStream:
        return
    except ConnectionError as error:
        raise ValueError("the upload was truncated") from error
