"""Calls of the Graph API beside messages: small, and in JSON.

The token goes to the configured host alone, and no redirect is followed with it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from warouter import SERVER
from warouter.cloud_settings import CloudSettings
from warouter.errors import WarouterError
from warouter.upstream.cloud.answers import Class, Judged, judge
from warouter.upstream.cloud.secrets import Secrets

MOST_BYTES = 2 * 1024 * 1024  # a page of templates
SECONDS, CONNECT_SECONDS = 15.0, 3.0
_UNREADABLE = "the Graph API gave an answer that cannot be read"


class CallFailed(WarouterError):
    """A call came to nothing; ``judged`` is what the answer says, None without one."""

    def __init__(self, words: str, judged: Judged | None = None) -> None:
        super().__init__(words)
        self.judged = judged

    @property
    def for_operator(self) -> bool:
        """Token, permission, registration or policy: it stays so until somebody acts."""
        return self.judged is not None and self.judged.cls is Class.OPERATOR


class CallAway(CallFailed):
    """No answer, or none that is final: try again."""


class CallRefused(CallFailed):
    """The Graph API refused what was asked for."""


class Calls:
    """Calls of nodes and their edges. ``tls`` judges the certificate, as in ``Connections``."""

    def __init__(
        self, cloud: CloudSettings, secrets: Secrets, tls: ssl.SSLContext | None = None
    ) -> None:
        self._root = f"{cloud.base_url}/{cloud.version}"
        self._secrets = secrets
        self._tls = tls if tls is not None else True
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The JSON object at ``path``; CallAway or CallRefused.

        A token that was refused is read again, and the call repeated if it is another one.
        """
        return await self._call("GET", path, params=query)

    async def post(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Change what is at ``path`` and return the JSON object that is answered; as ``get``.

        After CallAway it may have been changed.
        """
        return await self._call("POST", path, json=dict(fields))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _call(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        status, body, retry_after = await self._exchange(method, path, given)
        if status == HTTPStatus.UNAUTHORIZED and self._secrets.refresh(anyway=True):
            status, body, retry_after = await self._exchange(method, path, given)
        return result(status, body, retry_after)

    async def _exchange(
        self, method: str, path: str, given: dict[str, Any]
    ) -> tuple[int, bytes, str]:
        try:
            async with self._http().request(
                method,
                f"{self._root}/{path}",
                **given,
                headers=bearer(self._secrets),
                ssl=self._tls,
                allow_redirects=False,
            ) as answer:
                body = await whole(answer, MOST_BYTES)
                return answer.status, body, answer.headers.get("Retry-After", "")
        except (aiohttp.ClientError, OSError) as error:
            raise CallAway(f"the Graph API: {error or type(error).__name__}") from error

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SECONDS, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


def bearer(secrets: Secrets) -> dict[str, str]:
    """Header fields of a request that carries the token."""
    return {
        "Authorization": f"Bearer {secrets.token}",
        "User-Agent": SERVER,
        "Accept-Encoding": "identity",
    }


async def whole(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The body of an answer; CallAway if it is larger."""
    parts, size = [], 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > most:
            raise CallAway(_UNREADABLE)
        parts.append(part)
    return b"".join(parts)


def result(status: int, body: bytes, retry_after: str = "") -> dict[str, Any]:
    """The object in a complete answer; CallAway or CallRefused for any other."""
    if status != HTTPStatus.OK:
        raise failure(status, body, retry_after)
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CallAway(_UNREADABLE) from error
    if not isinstance(found, dict):
        raise CallAway(_UNREADABLE)
    return found


def failure(status: int, body: bytes, retry_after: str = "") -> CallFailed:
    """What an answer other than 200 says of the call."""
    if status < 400:
        return CallRefused(f"the Graph API answered HTTP {status}")
    judged = judge(status, body, retry_after)
    kind = CallRefused if judged.cls is Class.FINAL else CallAway
    return kind(f"the Graph API answered HTTP {status}: {judged.details}", judged)
