"""The files of a page: each under a name with the hash of its content, so that it never changes."""

from __future__ import annotations

import gzip
from hashlib import sha256
from typing import NamedTuple

from aiohttp import web

from warouter import STATIC

PATH = "/console/static"
_CACHED = "public, max-age=31536000, immutable"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class File(NamedTuple):
    body: bytes
    packed: bytes
    content_type: str


class Files:
    """Every file of ``static/console`` that a browser asks for, read once."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._files: dict[str, File] = {}
        for found in sorted((STATIC / "console").iterdir()):
            stem, dot, suffix = found.name.rpartition(".")
            if content_type := _TYPES.get(dot + suffix):
                body = found.read_bytes()
                name = f"{stem}.{sha256(body).hexdigest()[:12]}{dot}{suffix}"
                self._names[found.name] = name
                self._files[name] = File(body, gzip.compress(body, mtime=0), content_type)

    def url(self, name: str) -> str:
        """The path of a file; KeyError if there is none of this name."""
        return f"{PATH}/{self._names[name]}"

    async def serve(self, request: web.Request) -> web.Response:
        """The answer to a request for one of them."""
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        packs = "gzip" in request.headers.get("Accept-Encoding", "")
        headers = {"Cache-Control": _CACHED, "Vary": "Accept-Encoding"}
        if packs:
            headers["Content-Encoding"] = "gzip"
        body = found.packed if packs else found.body
        return web.Response(
            body=body, content_type=found.content_type, charset="utf-8", headers=headers
        )
