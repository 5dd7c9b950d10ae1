"""Media of the Graph side: upload, look-up, the URL that lives for minutes, deletion."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import AsyncIterator, Callable
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.number_node import SUCCESS, Given
from warouter.lab.simulator.cloud.record import CloudRecord
from warouter.lab.simulator.services.media_store import MediaStore

CONTENT = "/whatsapp_business/attachments/"
_OF_MESSAGES = 7 * 86400.0  # ids of inbound media
_OF_UPLOADS = 30 * 86400.0


class Content(NamedTuple):
    """An answer that is a file."""

    path: Path
    mime: str


class MediaTrouble(Exception):
    """The switch `media_status` asks for this HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Known(NamedTuple):
    mime: str
    size: int
    sha256: str
    ends: float


class MediaEdge:
    """Media ids of the number; ``base`` is where URLs of content begin."""

    def __init__(self, record: CloudRecord, switches: Callable[[], CloudFaults]) -> None:
        self._record = record
        self._switches = switches
        self._known: dict[str, _Known] = {}
        self._urls: dict[str, tuple[str, float]] = {}
        self.store = MediaStore(record, handle=_draw_id)
        self.base = ""

    def is_known(self, id: str) -> bool:
        """True if the id was given and has not ended."""
        known = self._known.get(id)
        return known is not None and time.monotonic() < known.ends

    async def upload(self, body: bytes, content_type: str) -> Given:
        """The edge ``media``: a form with ``file``, ``messaging_product`` and ``type``."""
        parts = form(body, content_type)
        if parts.get("messaging_product", ("", b""))[1] != b"whatsapp":
            raise GraphError(PARAMETER, "The parameter messaging_product is required.")
        if "file" not in parts:
            raise GraphError(PARAMETER, "The parameter file is required.")
        mime, content = parts["file"]
        mime = parts.get("type", ("", b""))[1].decode(errors="replace") or mime
        if not content:
            raise GraphError(131053, "The file is empty.")
        id, size, sha256 = await self._keep(content, mime, _OF_UPLOADS)
        self.store.uploaded(id, mime, size, sha256)
        return {"id": id}

    async def keep(self, content: bytes, mime: str) -> tuple[str, str]:
        """The content of an inbound message; returns its id and its SHA-256 in base64."""
        id, _, sha256 = await self._keep(content, mime, _OF_MESSAGES)
        return id, base64.b64encode(bytes.fromhex(sha256)).decode()

    def look_up(self, id: str) -> Given:
        """The URL of a media id, and what is known of it."""
        known = self._found(id)
        self._record.counters.media_lookups += 1
        return {
            "messaging_product": "whatsapp",
            "url": self.url(id),
            "mime_type": known.mime,
            "sha256": known.sha256,
            "file_size": known.size,
            "id": id,
        }

    def url(self, id: str) -> str:
        """A new URL of the content."""
        now = time.monotonic()
        while self._urls and next(iter(self._urls.values()))[1] < now:
            del self._urls[next(iter(self._urls))]
        key = secrets.token_urlsafe(12)
        self._urls[key] = id, now + self._switches().media_url_s
        return f"{self.base}{CONTENT}?mid={id}&source=getMedia&hash={key}"

    def content(self, key: str) -> Content | None:
        """The content behind a URL; None once it has ended."""
        id, ends = self._urls.get(key, ("", 0.0))
        found = self.store.find(id) if time.monotonic() < ends else None
        if found is None:
            return None
        self._record.counters.media_downloads += 1
        return Content(*found)

    def delete(self, id: str) -> Given:
        self._found(id)
        del self._known[id]
        return SUCCESS

    def _found(self, id: str) -> _Known:
        if not self.is_known(id):
            raise GraphError(
                PARAMETER,
                f"Unsupported get request. Object with ID '{id}' does not exist, cannot be loaded "
                "due to missing permissions, or does not support this operation.",
            )
        return self._known[id]

    async def _keep(self, content: bytes, mime: str, life: float) -> tuple[str, int, str]:
        try:
            id, size, sha256 = await self.store.put(_whole(content), mime)
        except ValueError as error:
            raise GraphError(PARAMETER, str(error)) from None
        self._known[id] = _Known(mime, size, sha256, time.monotonic() + life)
        return id, size, sha256


def form(body: bytes, content_type: str) -> dict[str, tuple[str, bytes]]:
    """The parts of a multipart body by name: content type, content. Raises GraphError."""
    boundary = _field(content_type, "boundary")
    if not content_type.lower().startswith("multipart/form-data") or not boundary:
        raise GraphError(PARAMETER, "the body must be multipart/form-data")
    found: dict[str, tuple[str, bytes]] = {}
    for part in body.split(b"--" + boundary.encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields: dict[str, Any] = {}
        for line in head.decode(errors="replace").split("\r\n"):
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        name = _field(fields.get("content-disposition", ""), "name")
        found[name] = fields.get("content-type", ""), content.removesuffix(b"\r\n")
    return found


def _field(value: str, name: str) -> str:
    message = Message()
    message["Content-Type"] = value
    return str(message.get_param(name) or "")


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _draw_id() -> str:
    return str(10**15 + secrets.randbelow(9 * 10**15))
