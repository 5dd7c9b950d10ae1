"""Media of the Cloud API: content up for an id; of an id a URL, and from there the content.

The URL lives for five minutes, so it is asked for just before it is used. It may be at another
host: the token goes there because the Graph API named it, over TLS that was verified.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import CloudSettings, is_loopback
from warouter.upstream.cloud.graph.calls import Calls, bearer, result, whole
from warouter.upstream.cloud.graph.failed import CallAway, CallRefused
from warouter.upstream.cloud.meanings import PARAMETER
from warouter.upstream.cloud.secrets import Secrets
from warouter.upstream.media_service import (
    ANSWER_BYTES,
    MediaSession,
    ServiceAway,
    ServiceRefused,
    UploadSource,
    UpstreamMedia,
    pieces,
)

# Statuses of a URL that has died meanwhile; another one is asked for, once.
_GONE = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class CloudMedia:
    """The Cloud API's media of all numbers: an id belongs to the number that uploaded it."""

    def __init__(
        self,
        cloud: CloudSettings,
        secrets: Secrets,
        calls: Calls,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._base = cloud.base_url
        self._plain = cloud.base_url.startswith("http:")  # the configured one is on loopback
        self._secrets = secrets
        self._calls = calls
        self._tls = tls if tls is not None else True
        self._session = MediaSession()

    async def upload(
        self, of: NumberCloud, content: AsyncIterator[bytes], mime: str, size: int
    ) -> str:
        """Upload content and return its id, which lives for 30 days; errors as in UpstreamMedia."""
        form = _Form(mime)
        source = UploadSource(content)
        headers = bearer(self._secrets.token(of)) | {
            "Content-Type": form.type,
            "Content-Length": str(form.size(size)),
        }
        try:
            async with self._session.http().post(
                f"{self._base}/{of.app.version}/{of.phone_number_id}/media",
                data=form.around(source.read()),
                headers=headers,
                ssl=self._tls,
                allow_redirects=False,
            ) as answer:
                body = await whole(answer, ANSWER_BYTES)
                return _id_in(result(answer.status, body))
        except CallRefused as error:
            raise ServiceRefused(str(error)) from error
        except (CallAway, aiohttp.ClientError, OSError, ValueError) as error:
            if source.error is not None:
                raise source.error from error
            raise ServiceAway(f"media upload: {error or type(error).__name__}") from error

    @asynccontextmanager
    async def download(self, of: NumberCloud, handle: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The content of an id in chunks, which raise ServiceAway too."""
        answer = await self._fetched(of, handle)
        if answer.status in _GONE:
            answer.close()
            answer = await self._fetched(of, handle)
        try:
            _judge(answer.status)
            yield pieces(answer)
        finally:
            answer.close()

    async def _fetched(self, of: NumberCloud, handle: str) -> aiohttp.ClientResponse:
        """The head of the answer at the URL of this id."""
        url = await self._looked_up(of, handle)
        try:
            return await self._session.http().get(
                URL(url, encoded=True),
                headers=bearer(self._secrets.token(of)),
                ssl=self._tls,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ServiceAway(f"media download: {error or type(error).__name__}") from error

    async def _looked_up(self, of: NumberCloud, handle: str) -> str:
        try:
            found = await self._described(of, quote(handle, safe=""))
        except CallRefused as error:
            raise ServiceRefused(str(error)) from error
        except CallAway as error:
            raise ServiceAway(str(error)) from error
        url = found.get("url")
        if not isinstance(url, str) or not may_carry_token(url, plain=self._plain):
            raise ServiceRefused("the Graph API named no URL of this media that can be trusted")
        return url

    async def _described(self, of: NumberCloud, node: str) -> dict[str, Any]:
        """Read the node of a media; CallAway or CallRefused.

        The parameter that names the number is for Meta's comfort: if it is refused, as for nine
        hours in January 2026, it is left out once.
        """
        try:
            return await self._calls.get(of, node, {"phone_number_id": of.phone_number_id})
        except CallRefused as error:
            if error.judged is None or error.judged.meta_code != PARAMETER:
                raise
        return await self._calls.get(of, node, {})

    async def close(self) -> None:
        await self._session.close()


class NumberMedia(UpstreamMedia):
    """The media of the one number whose place at Meta is known. What is of another has to wait."""

    def __init__(self, of: NumberCloud, media: CloudMedia) -> None:
        self._of = of
        self._media = media

    async def upload(self, number: int, content: AsyncIterator[bytes], mime: str, size: int) -> str:
        return await self._media.upload(self._known(number), content, mime, size)

    def download(
        self, number: int, handle: str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._media.download(self._known(number), handle)

    def _known(self, number: int) -> NumberCloud:
        if number != self._of.id:
            raise ServiceAway("the number has no place at Meta yet")
        return self._of

    async def close(self) -> None:
        await self._media.close()


class _Form:
    """A form of three fields, of which the last is the file."""

    def __init__(self, mime: str) -> None:
        if not mime.isascii() or not mime.isprintable():
            raise ServiceRefused("the media has no type that can be told")
        boundary = token_hex(16)
        self.type = f"multipart/form-data; boundary={boundary}"
        field = f'--{boundary}\r\nContent-Disposition: form-data; name="%s"'
        self._head = (
            f"{field % 'messaging_product'}\r\n\r\nwhatsapp\r\n"
            f"{field % 'type'}\r\n\r\n{mime}\r\n"
            f'{field % "file"}; filename="media"\r\nContent-Type: {mime}\r\n\r\n'
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def size(self, content: int) -> int:
        return len(self._head) + content + len(self._tail)

    async def around(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The whole form, with this content as its file."""
        yield self._head
        async for part in content:
            yield part
        yield self._tail


def may_carry_token(url: str, *, plain: bool) -> bool:
    """True if the token may go there: in TLS, or with ``plain`` to this host itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or "@" in parts.netloc or not url.isascii() or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and plain and is_loopback(host))


def _id_in(found: dict[str, Any]) -> str:
    named = found.get("id")
    text = str(named) if isinstance(named, int) else named
    if not isinstance(text, str) or not text.isascii() or not text.isalnum():
        raise CallAway("the Graph API gave the uploaded media no id")
    return text


def _judge(status: int) -> None:
    if status == HTTPStatus.OK:
        return
    if status < 400:
        raise ServiceRefused(f"the media's URL answered HTTP {status}")
    # Meta has named this URL a moment ago: that it is refused may pass.
    raise ServiceAway(f"the media's URL answered HTTP {status}")
