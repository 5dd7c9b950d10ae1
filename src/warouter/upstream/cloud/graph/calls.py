"""Calls of the Graph API beside messages: small, and in JSON.

The token goes to the configured host alone, and no redirect is followed with it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from warouter import SERVER
from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.answers import Class, judge
from warouter.upstream.cloud.graph.failed import CallAway, CallFailed, CallRefused, CallSlow
from warouter.upstream.cloud.graph.fields import following, objects
from warouter.upstream.cloud.secret_text import SHORTEST_SECRET
from warouter.upstream.cloud.secrets import Secrets

MOST_BYTES = 2 * 1024 * 1024  # a page of templates
MOST_PAGES = 100
SECONDS, CONNECT_SECONDS = 15.0, 3.0
UPLOAD_SECONDS = 60.0
_UNREADABLE = "the Graph API gave an answer that cannot be read"


class Calls:
    """Calls of nodes and their edges, each for a number: with its token, in its app's version.

    ``tls`` judges the certificate, as in ``ConnectionPool``.
    """

    def __init__(
        self, cloud: CloudSettings, secrets: Secrets, tls: ssl.SSLContext | None = None
    ) -> None:
        self._base = cloud.base_url
        self._secrets = secrets
        self._tls = tls if tls is not None else True
        self._session: aiohttp.ClientSession | None = None

    async def get(self, of: NumberCloud, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The JSON object at ``path``; CallAway or CallRefused.

        A token that was refused is read again, and the call repeated if it is another one.
        ``query`` may hold a secret: no error shows it.
        """
        return await self._call(of, "GET", path, params=query)

    async def fields(self, of: NumberCloud, node: str, names: str) -> dict[str, Any]:
        """Fields of a node, by their names with commas between, in one call. If it is refused, each
        by itself: one that Meta refuses costs no other. As ``get``, if it refuses all of them.
        """
        try:
            return await self.get(of, node, {"fields": names})
        except CallFailed as refused:
            if not refused.by_request:
                raise
            return await self._one_by_one(of, node, names.split(","), refused)

    async def listed(
        self, of: NumberCloud, path: str, query: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """The objects of an edge, page by page; as ``get``."""
        for _ in range(MOST_PAGES):
            page = await self.get(of, path, query)
            for one in objects(page, "data"):
                yield one
            after = following(page)
            if not after or after == query.get("after"):
                return
            query = {**query, "after": after}

    async def _one_by_one(
        self, of: NumberCloud, node: str, names: Sequence[str], refused: CallFailed
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in names:
            try:
                found |= await self.get(of, node, {"fields": name})
            except CallFailed as error:
                if not error.by_request:
                    raise
        if not found:
            raise refused
        return found

    async def get_as(
        self, of: NumberCloud, token: str, path: str, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """GET with another token, and once."""
        return result(*await self._exchange(of, "GET", path, {"params": query}, token))

    async def post(
        self,
        of: NumberCloud,
        path: str,
        fields: Mapping[str, Any],
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Change what is at ``path`` and return the JSON object that is answered; as ``get``.

        After CallAway it may have been changed.
        """
        return _done(await self._call(of, "POST", path, json=dict(fields), params=query))

    async def delete(self, of: NumberCloud, path: str, query: Mapping[str, str]) -> None:
        """Delete what is at ``path``; as ``post``."""
        _done(await self._call(of, "DELETE", path, params=query))

    async def upload(self, of: NumberCloud, session: str, content: bytes) -> dict[str, Any]:
        """The whole content of a session of the Resumable Upload API, which is addressed by its id
        as it was given, and has a scheme of its own for the token; as ``post``.
        """
        return await self._call(
            of,
            "POST",
            session,
            data=content,
            headers={"file_offset": "0", "Content-Type": "application/octet-stream"},
            scheme="OAuth",
            timeout=aiohttp.ClientTimeout(total=UPLOAD_SECONDS, sock_connect=CONNECT_SECONDS),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _call(self, of: NumberCloud, method: str, path: str, **given: Any) -> dict[str, Any]:
        found = await self._exchange(of, method, path, given, self._secrets.token(of))
        if found[0] == HTTPStatus.UNAUTHORIZED and self._secrets.refresh(of, anyway=True):
            found = await self._exchange(of, method, path, given, self._secrets.token(of))
        return result(*found)

    async def _exchange(
        self, of: NumberCloud, method: str, path: str, given: dict[str, Any], token: str
    ) -> tuple[int, bytes, str]:
        options = dict(given)
        headers = bearer(token, options.pop("scheme", "Bearer"))
        headers |= options.pop("headers", {})
        try:
            async with self._http().request(
                method,
                URL(f"{self._base}/{of.app.version}/{path}", encoded=True),
                **options,
                headers=headers,
                ssl=self._tls,
                allow_redirects=False,
            ) as answer:
                body = await whole(answer, MOST_BYTES)
                if answer.status >= HTTPStatus.BAD_REQUEST and len(token) >= SHORTEST_SECRET:
                    # Meta repeats a token that it cannot read: "Malformed access token …".
                    body = body.replace(token.encode(), b"(token)")
                return answer.status, body, answer.headers.get("Retry-After", "")
        except (aiohttp.ClientError, OSError) as error:
            # Not chained: its text can have the URL, of which the query may hold a secret.
            kind = CallSlow if isinstance(error, TimeoutError) else CallAway
            raise kind(f"the Graph API: {_words(error)}") from None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SECONDS, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


def _done(found: dict[str, Any]) -> dict[str, Any]:
    if found.get("success") is False:
        raise CallAway("the Graph API says that it was not done")
    return found


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    """Header fields of a request that carries the token."""
    return {
        "Authorization": f"{scheme} {token}",
        "User-Agent": SERVER,
        "Accept-Encoding": "identity",
    }


def _words(error: Exception) -> str:
    """Why there is no answer, without the URL."""
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is no HTTP"
    if isinstance(error, TimeoutError):
        return "it took too long"
    return str(error) or type(error).__name__


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
    except (ValueError, RecursionError) as error:
        raise CallAway(_UNREADABLE) from error
    if not isinstance(found, dict):
        raise CallAway(_UNREADABLE)
    return found


def failure(status: int, body: bytes, retry_after: str = "") -> CallFailed:
    """The error that an answer other than 200 stands for."""
    if status < 400:
        return CallRefused(f"the Graph API answered HTTP {status}")
    judged = judge(status, body, retry_after)
    kind = CallRefused if judged.cls is Class.FINAL else CallAway
    return kind(f"the Graph API answered HTTP {status}: {judged.details}", judged)
