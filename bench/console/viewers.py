"""Browsers by the number, without their pages: they log in, and keep streams open."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from warouter.errors import CommandError

A_SESSION = 20  # streams
PAGE = "/console/"
STREAM = "/console/stream?page=cluster"
OWN = {"Sec-Fetch-Site": "same-origin"}
_FILES = re.compile(r'(?:src|href)="(/console/static/[^"]+)"')


class Viewers:
    """Streams of one user, with as many sessions as they need. ``frames`` have come to all."""

    def __init__(self, url: str, username: str, password: str) -> None:
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._login = {"username": username, "password": password}
        self._reading: list[asyncio.Task[None]] = []
        self.frames = 0

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        await self._stack.aclose()

    async def open(self, count: int) -> None:
        """So many streams, each of which has had its first frame."""
        first = asyncio.Event()
        waiting = count

        def heard() -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                first.set()

        for at in range(0, count, A_SESSION):
            http = await self._session()
            for _ in range(min(A_SESSION, count - at)):
                self._reading.append(asyncio.create_task(self._read(http, heard)))
        async with asyncio.timeout(60.0):
            await first.wait()

    async def weight(self) -> dict[str, int]:
        """Bytes over the wire of the first page, by file; without the fields of the heads."""
        http = await self._session()
        packed = {"Accept-Encoding": "gzip"}
        async with http.get(self._origin + PAGE, headers=packed) as answer:
            found = {"page": int(answer.headers.get("Content-Length", 0))}
            text = await answer.text()
        for path in dict.fromkeys(_FILES.findall(text)):
            async with http.get(self._origin + path, headers=packed) as answer:
                found[path.rpartition("/")[2]] = int(answer.headers["Content-Length"])
        return found

    async def _session(self) -> aiohttp.ClientSession:
        http = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.CookieJar(unsafe=True),  # an address is no name
                timeout=aiohttp.ClientTimeout(total=None),
            )
        )
        async with http.post(
            f"{self._origin}/console/login", data=self._login, headers=OWN, allow_redirects=False
        ) as answer:
            if answer.status != 303:
                raise CommandError(f"the console's login: {answer.status}")
        return http

    async def _read(self, http: aiohttp.ClientSession, heard: Callable[[], None]) -> None:
        async with http.get(self._origin + STREAM) as stream:
            if stream.status != 200:
                raise CommandError(f"the console's stream: {stream.status}")
            fresh = True
            async for data in stream.content.iter_any():
                self.frames += data.count(b"event: ") + data.startswith(b"data: ")
                if fresh:
                    heard()
                fresh = False
