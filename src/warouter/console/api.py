"""The v1 API, called in the name of a visitor: with a token that lives for one call.

So an act that the API offers is judged, audited and performed there, as for any other client.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from warouter.access.token import hash_of, new_token
from warouter.console.visit import ConsoleRefusal, Visitor
from warouter.errors import ConfigError
from warouter.net.route import is_here
from warouter.store.account.sessions import ConsoleSessions

SECONDS = 60.0  # a change of shards may take its time


class _ApiFailure(msgspec.Struct):
    code: int = 0
    title: str = ""
    details: str = ""


class _Envelope(msgspec.Struct):
    errors: list[_ApiFailure] = []


class Api:
    """Calls the API at ``url``; ``ca_file`` vouches for its certificate instead of the system's."""

    def __init__(self, url: str, ca_file: str, sessions: ConsoleSessions) -> None:
        self.url = _checked(url)
        self._ca_file = ca_file
        if ca_file:
            _ = self._ssl  # refused here, not by the first call
        self._sessions = sessions
        self._client: aiohttp.ClientSession | None = None

    async def call(self, visitor: Visitor, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a successful answer, None without a body.

        Raises ConsoleRefusal: with the API's own status, code and details, or 502 if it cannot be
        reached.
        """
        token = new_token()
        if not await self._sessions.token(visitor.session, hash_of(token)):
            raise ConsoleRefusal("Your session has ended: log in again.", 403)
        try:
            status, content = await self._send(token, method, path, body)
        finally:
            await self._sessions.forget_token(hash_of(token))
        try:
            return msgspec.json.decode(content) if content else None
        except msgspec.DecodeError as error:
            sentence = f"The API answered {status} with what is no JSON ({error})."
            raise ConsoleRefusal(sentence, 502) from error

    @functools.cached_property
    def _ssl(self) -> ssl.SSLContext | bool:
        """Made when it is needed first: the system's authorities take 15 MiB."""
        return _context(self._ca_file) if self.url.startswith("https:") else True

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _send(self, token: str, method: str, path: str, body: Any) -> tuple[int, bytes]:
        client = self._opened()
        headers = {"Authorization": f"Bearer {token}"}
        data = None if body is None else msgspec.json.encode(body)
        if data is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(SECONDS),
                client.request(
                    method,
                    self.url + path,
                    data=data,
                    headers=headers,
                    ssl=self._ssl,
                    allow_redirects=False,  # what is sent is for this address only
                ) as response,
            ):
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ConsoleRefusal(
                f"The API at {self.url} cannot be reached ({error or type(error).__name__}): see"
                " WAROUTER_CONSOLE_API and WAROUTER_CONSOLE_API_CA.",
                502,
            ) from error
        if status >= 300:
            raise _refusal(status, content)
        return status, content

    def _opened(self) -> aiohttp.ClientSession:
        if self._client is None:
            # Visitors share it: a cookie of one must not go with the call of another.
            self._client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._client


def _checked(text: str) -> str:
    """The URL without a slash at its end: pages show it, and each path is put behind it."""
    try:
        url = urlsplit(text)
        usable = bool(url.hostname) and url.port != 0 and url.scheme in ("https", "http")
    except ValueError:
        usable = False
    odd = not text.isascii() or not text.isprintable() or any(each in text for each in " @?#")
    if not usable or odd:
        raise ConfigError(
            "WAROUTER_CONSOLE_API is no URL of an API: it must be like https://localhost:9090,"
            " without user, password or query."
        )
    if url.scheme == "http" and not is_here(url.hostname or ""):
        raise ConfigError(
            f"WAROUTER_CONSOLE_API is {text}; plain http is for this host only, as each call"
            " carries a token. Give the API a certificate, and name it with https."
        )
    return text.rstrip("/")


def _refusal(status: int, content: bytes) -> ConsoleRefusal:
    try:
        errors = msgspec.json.decode(content, type=_Envelope).errors
    except msgspec.DecodeError:
        errors = []
    if not errors:
        # A redirect is none of ours to follow, nor to pass on.
        return ConsoleRefusal(f"The API answered {status}.", 502 if status < 400 else status)
    first = errors[0]
    return ConsoleRefusal(first.details or first.title, status, first.code)


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"WAROUTER_CONSOLE_API_CA is {ca_file}, which cannot be read as PEM ({error}): give"
            " the file of the authority, or of the certificate itself."
        ) from error
