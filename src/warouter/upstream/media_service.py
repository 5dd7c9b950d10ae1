"""The upstream's media: content up for a handle, and down again. And the simulator's service.

A message names handles, never content. The service is the operator's own choice of address, so
nothing is checked here but sizes and times.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from urllib.parse import quote

import aiohttp
import msgspec

from warouter.errors import WarouterError

ANSWER_BYTES = 64 * 1024
TOTAL_SECONDS = 120.0
QUIET_SECONDS = 15.0
CONNECT_SECONDS = 5.0


class ServiceAway(WarouterError):
    """The service did not answer, or cannot serve now: try again."""


class ServiceRefused(WarouterError):
    """The service refused this content or this handle."""


class _Answer(msgspec.Struct):
    handle: str


class UpstreamMedia(Protocol):
    """Media at the upstream. A handle is good for the number that it belongs to."""

    async def upload(self, number: int, content: AsyncIterator[bytes], mime: str, size: int) -> str:
        """Upload ``size`` bytes and return the number's handle; errors of ``content`` come out.

        ServiceAway or ServiceRefused.
        """

    def download(
        self, number: int, handle: str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The content of a handle of the number in chunks; ServiceAway, which they raise too, or
        ServiceRefused.
        """

    async def close(self) -> None: ...


class MediaSession:
    """The HTTP session for media, created for the first: most clusters of tests need none."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(
                    total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=QUIET_SECONDS
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class MediaService(UpstreamMedia):
    """The media service at ``url``, that of the upstream's services, which know one number."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/media"
        self._session = MediaSession()

    async def upload(self, number: int, content: AsyncIterator[bytes], mime: str, size: int) -> str:
        source = UploadSource(content)
        headers = {"Content-Type": mime, "Content-Length": str(size)}
        http = self._session.http()
        try:
            async with http.post(self._url, data=source.read(), headers=headers) as answer:
                _judge(answer)
                body = await answer.content.read(ANSWER_BYTES)
                return msgspec.json.decode(body, type=_Answer).handle
        except (aiohttp.ClientError, OSError) as error:
            if source.error is not None:
                raise source.error from error
            raise ServiceAway(f"media service: {error or type(error).__name__}") from error
        except msgspec.DecodeError as error:
            raise ServiceAway("media service: malformed answer") from error

    @asynccontextmanager
    async def download(self, number: int, handle: str) -> AsyncIterator[AsyncIterator[bytes]]:
        url = f"{self._url}/{quote(handle, safe='')}"
        try:
            async with self._session.http().get(url) as answer:
                _judge(answer)
                yield pieces(answer)
        except (aiohttp.ClientError, OSError) as error:
            raise ServiceAway(f"media service: {error or type(error).__name__}") from error

    async def close(self) -> None:
        await self._session.close()


class UploadSource:
    """Content of an upload; remembers the error that stopped it, which aiohttp would replace."""

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        self._content = content
        self.error: Exception | None = None

    async def read(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._content:
                yield chunk
        except Exception as error:
            self.error = error
            raise


def _judge(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 500 or answer.status in (408, 429):
        raise ServiceAway(f"media service answered {answer.status}")
    if answer.status >= 300:
        raise ServiceRefused(f"media service answered {answer.status}")


async def pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The content of an answer in chunks, which raise ServiceAway."""
    try:
        while chunk := await answer.content.readany():
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise ServiceAway(f"media service: {error or type(error).__name__}") from error
