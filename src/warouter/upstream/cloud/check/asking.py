"""Requests without the token: a first one to the Graph API, and a handshake as Meta does it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from warouter import SERVER
from warouter.upstream.cloud.check.callback import Handshake
from warouter.upstream.cloud.check.contact import ContactTrouble, ServerContact
from warouter.upstream.cloud.listener import WRONG_VERIFY_TOKEN

SECONDS, CONNECT_SECONDS = 15.0, 5.0
_MOST_BYTES = 4096
# Of an error the first that fits; certificates are a kind of TLS, that a kind of connecting.
_TROUBLES: tuple[tuple[type[BaseException], ContactTrouble], ...] = (
    (aiohttp.ClientConnectorDNSError, ContactTrouble.NAME),
    (aiohttp.ClientConnectorCertificateError, ContactTrouble.CERTIFICATE),
    (aiohttp.ClientConnectorSSLError, ContactTrouble.TLS),
    (TimeoutError, ContactTrouble.SILENT),
    (aiohttp.ClientConnectorError, ContactTrouble.REFUSED),
)


async def contact(url: str, query: Mapping[str, str] | None = None) -> ServerContact:
    """A GET without the token; redirects are not followed, and nothing is raised."""
    joint = "&" if "?" in url else "?"
    target = f"{url}{joint}{urlencode(query)}" if query else url
    timeout = aiohttp.ClientTimeout(total=SECONDS, sock_connect=CONNECT_SECONDS)
    sent = time.time()
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(
                URL(target, encoded=True), headers={"User-Agent": SERVER}, allow_redirects=False
            ) as answer,
        ):
            heard = time.time()
            body = await _beginning(answer)
            date = answer.headers.get("Date", "")
            return ServerContact(None, "", answer.status, date, body, sent, heard)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        trouble = next(
            (t for kind, t in _TROUBLES if isinstance(error, kind)), ContactTrouble.BROKEN
        )
        return ServerContact(trouble, _words(error))


async def handshake(url: str, verify_token: str) -> Handshake:
    """Ask a callback URL as Meta does."""
    challenge = str(secrets.randbelow(10**10))
    query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
    found = await contact(url, query)
    right = found.status == 200 and found.body == challenge.encode()
    by_webapp = found.status == 403 and found.body == WRONG_VERIFY_TOKEN.encode()
    return Handshake(url, found, right, by_webapp)


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    found = b""
    while len(found) < _MOST_BYTES:
        part = await answer.content.read(_MOST_BYTES - len(found))
        if not part:
            break
        found += part
    return found


def _words(error: BaseException) -> str:
    """The system's own reason, without the URL: its query holds the verify token."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(getattr(error.certificate_error, "verify_message", ""))
    if not isinstance(error, OSError) or error.errno is None:
        return ""
    return os.strerror(error.errno) if error.errno > 0 else error.strerror or ""
