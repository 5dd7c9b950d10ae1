"""Objects in a bucket of S3, or of a server that speaks its protocol.

An object is put by one request that carries its length and MD5, and the condition that there is
none of this name: the server takes it as a whole or not at all, so nothing is left of one that
breaks off. ``obstore`` signs that request, and finds the credentials the way of AWS; everything
else it does itself. Its retries and times are bounded here.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

from warouter.config import Settings
from warouter.errors import ConfigError, MediaAway
from warouter.media.s3_refusals import NOT_KEPT, S3Refusal, of_answer, of_failure
from warouter.media.staging import CHUNK
from warouter.secret import Followed

if TYPE_CHECKING:
    from obstore.store import BackoffConfig, S3Credential, S3Store

CONNECT_SECONDS = 3.0
SILENT_SECONDS = 10.0  # without a byte
CALL_SECONDS = 20.0  # for what has no content, retries included
LEAST_PACE = 1024 * 1024  # bytes/s of an upload, besides ``CALL_SECONDS``
PAUSES = (0.2, 1.0)  # between the tries of an upload
_SIGNED_FOR = timedelta(minutes=5)  # until its beginning
_KEY_SECONDS = 60  # a key is read again after so long


class Unusable(MediaAway):
    """A bucket that cannot be used until somebody changes a setting or a right."""


class FoundObject(NamedTuple):
    """An object: its name below the folder, and its age in seconds."""

    name: str
    age: float


class Objects:
    """The objects below the prefix of WAROUTER_MEDIA_URL; ConfigError for what cannot be one."""

    def __init__(self, settings: Settings) -> None:
        self.bucket, self._prefix = settings.media_bucket
        self._obstore = _library()
        self._context = _context(settings.media_s3_ca)
        self._store = _store(settings, self.bucket)
        self._session: aiohttp.ClientSession | None = None

    def where(self, name: str) -> str:
        return f"s3://{self.bucket}/{self._key(name)}"

    async def put(
        self, name: str, size: int, md5: bytes, content: Callable[[], AsyncIterator[bytes]]
    ) -> None:
        """Create an object. MediaAway also if there is one of this name already."""
        for number, pause in enumerate((*PAUSES, None)):
            try:
                status, body = await self._try(name, size, md5, content())
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                status, body = 0, _reason(error)
            if status == 200:
                return
            # What was asked before may have been done, though its answer got lost.
            if status == 412 and number and await self._has(name, size):
                return
            refusal = of_answer("PUT", status, body) if status else of_failure("PUT", body)
            if pause is None or refusal.lasting or status == 412:
                raise self._error(refusal)
            await asyncio.sleep(pause)

    async def _try(
        self, name: str, size: int, md5: bytes, content: AsyncIterator[bytes]
    ) -> tuple[int, str]:
        """The status of the answer, and the beginning of its body."""
        async with self._asked("PUT"):
            url = await self._obstore.sign_async(self._store, "PUT", self._key(name), _SIGNED_FOR)
        headers = {
            "If-None-Match": "*",
            "Content-Length": str(size),
            "Content-MD5": b64encode(md5).decode(),
            "Content-Type": "application/octet-stream",
        }
        async with (
            asyncio.timeout(CALL_SECONDS + size / LEAST_PACE),
            self._http().put(url, data=content, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, (await answer.content.read(4096)).decode(errors="replace")

    async def get(self, name: str) -> tuple[int, AsyncIterator[bytes]]:
        """The size of an object, and its content in chunks; FileNotFoundError if there is none."""
        async with self._asked("GET"):
            found = await self._obstore.get_async(self._store, self._key(name))
        return found.meta["size"], self._chunks(found)

    async def _chunks(self, found: Any) -> AsyncIterator[bytes]:
        stream = aiter(found.stream(min_chunk_size=CHUNK))
        while True:
            async with self._asked("GET"):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            yield bytes(chunk)

    async def delete(self, name: str) -> None:
        """Remove an object, if there is one."""
        try:
            async with self._asked("DELETE"):
                await self._obstore.delete_async(self._store, self._key(name))
        except FileNotFoundError:
            return

    async def list(self, folder: str, most: int) -> AsyncIterator[list[FoundObject]]:
        """The objects of a folder, ``most`` at a time."""
        begin = self._key(f"{folder}/")
        stream = aiter(self._obstore.list(self._store, begin, chunk_size=most))
        while True:
            async with self._asked("LIST"):
                batch = await anext(stream, None)
            if batch is None:
                return
            now = datetime.now(UTC)
            yield [
                FoundObject(
                    o["path"].removeprefix(begin), (now - o["last_modified"]).total_seconds()
                )
                for o in batch
            ]

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _has(self, name: str, size: int) -> bool:
        try:
            async with self._asked("GET"):
                found = await self._obstore.head_async(self._store, self._key(name))
        except FileNotFoundError:
            return False
        return int(found["size"]) == size

    @asynccontextmanager
    async def _asked(self, request: str) -> AsyncIterator[None]:
        """Bounds a call, and turns errors of the library into ours."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                yield
        except TimeoutError:
            raise self._error(of_failure(request, "timed out")) from None
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            refusal = of_failure(request, str(error))
            if isinstance(error, FileNotFoundError) and not refusal.lasting:
                raise FileNotFoundError("there is no such object") from None
            raise self._error(refusal) from None  # its text may be of many lines

    def unlike_s3(self) -> MediaAway:
        """The error if the server does not give back what was put."""
        return self._error(NOT_KEPT)

    def _error(self, refusal: S3Refusal) -> MediaAway:
        kind = Unusable if refusal.lasting else MediaAway
        return kind(f"the media bucket {self.bucket} cannot be used: {refusal.sentence}")

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _http(self) -> aiohttp.ClientSession:
        """Made when it is needed, within the loop that uses it."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._context),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS
                ),
                trust_env=True,  # as the library does
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=["User-Agent"],
            )
        return self._session


def _library() -> Any:
    try:
        import obstore
        import obstore.store
    except ImportError as error:
        raise ConfigError(
            "WAROUTER_MEDIA_URL is set, and obstore is not installed: run"
            " `pip install 'warouter[s3]'`, or set WAROUTER_MEDIA_DIR instead."
        ) from error
    return obstore


def _context(path: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if path:
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"WAROUTER_MEDIA_S3_CA cannot be used: {path}: {error}.") from error
    return context


def _store(settings: Settings, bucket: str) -> S3Store:
    from obstore.store import S3Store

    endpoint, path = _endpoint(settings), settings.media_s3_ca
    options: dict[str, Any] = {
        "disable_bulk_delete": True,  # not every server has it
        # A name with a dot fits no certificate of AWS.
        "virtual_hosted_style_request": not endpoint and "." not in bucket,
        **({"endpoint": endpoint} if endpoint else {}),
        **({"region": settings.media_s3_region} if settings.media_s3_region else {}),
    }
    pauses: BackoffConfig = {
        "init_backoff": timedelta(seconds=0.2),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    }
    try:
        return S3Store(
            bucket,
            **options,
            client_options={
                "allow_http": endpoint.startswith("http:"),
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "read_timeout": timedelta(seconds=SILENT_SECONDS),
                "timeout": timedelta(days=1),  # a client may read slowly
                **({"root_certificate": Path(path).read_bytes()} if path else {}),
            },
            retry_config={"max_retries": 2, "backoff": pauses},
            credential_provider=_key_of(settings),
        )
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"WAROUTER_MEDIA_URL cannot be used: {reason}.") from error


def _endpoint(settings: Settings) -> str:
    """The URL of a server other than AWS, "" for AWS."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    given = (os.environ.get(name, "") for name in names)
    return settings.media_s3_endpoint or next(filter(None, given), "")


def _key_of(settings: Settings) -> Callable[[], S3Credential] | None:
    """A source of the key in our own variables; None where the credentials are those of AWS."""
    source = settings.media_s3_secret_source
    if not settings.media_s3_access_key:
        return None
    secret = Followed("WAROUTER_MEDIA_S3_SECRET_KEY", source, str.strip)

    def key() -> S3Credential:
        return {
            "access_key_id": settings.media_s3_access_key,
            "secret_access_key": secret.now(),
            "token": None,
            "expires_at": datetime.now(UTC) + timedelta(seconds=_KEY_SECONDS),
        }

    return key


def _reason(error: BaseException) -> str:
    """The reason of an error without the URL, which carries a signature."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return "certificate"
    return "timed out" if isinstance(error, TimeoutError) else type(error).__name__
