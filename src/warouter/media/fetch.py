"""Fetches the links of messages: from public addresses only, with limits on size and time.

A client of the API names the link, so it is handled as hostile: every address that a name gives is
checked at the socket, each redirect is checked anew, no proxy of the environment is used, nothing
is decompressed, and credentials go to the origins of their provider.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver
from yarl import URL

from warouter import __version__
from warouter.app_settings import Network, is_allowed, webhook_url_problem
from warouter.config import MEDIA_NETWORKS
from warouter.errors import MediaRefused, WarouterError
from warouter.media.providers import Credentials, origin_of
from warouter.net.egress import socket_factory
from warouter.net.names import HostLookups

# What WAROUTER_MEDIA_ALLOW_PRIVATE lists may be asked on any port.
PORTS = frozenset({80, 443, 8080, 8443})
REDIRECTS = 3
TOTAL_SECONDS = 60.0  # of one try, redirects included
# An answer begins within this time. Downloads that fall further behind the least pace are aborted
# to free their place.
GRACE_SECONDS = 10.0
LEAST_PACE = 16 * 1024  # bytes/s
_REDIRECTED = (301, 302, 303, 307, 308)
_LATER = (408, 425, 429)  # refusals that may be none the next time
_HEADERS = {"User-Agent": f"warouter/{__version__}", "Accept-Encoding": "identity"}


class LinkFailed(WarouterError):
    """An attempt failed; the next one may succeed."""


class Fetched(NamedTuple):
    """The beginning of a response: its Content-Type, its length if given, and its content.

    ``name`` is the last part of the path that it was found under.
    """

    mime: str
    length: int | None
    name: str
    chunks: AsyncIterator[bytes]


class Fetcher:
    """Fetches links; ``resolver`` and ``context`` replace DNS and the system's authorities."""

    def __init__(
        self,
        *,
        allow_http: bool = False,
        allow_private: Sequence[Network] = (),
        resolver: AbstractResolver | None = None,
        context: ssl.SSLContext | None = None,
        total: float = TOTAL_SECONDS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._allow_http = allow_http
        self._allow_private = tuple(allow_private)
        self._resolver = resolver
        self._names = HostLookups()
        self._grace = grace
        self._context = context
        self._timeout = aiohttp.ClientTimeout(
            total=total, sock_connect=grace, sock_read=min(total, grace)
        )

    @asynccontextmanager
    async def open(
        self, link: str, credentials: Credentials | None = None, asker: Hashable = None
    ) -> AsyncIterator[Fetched]:
        """The response after up to three redirects.

        ``credentials`` go to the link's own origin only, if they may go there at all. Lookups of
        names count as those of ``asker``.

        MediaRefused for what will not change, LinkFailed for what may; ``chunks`` raises both too.
        """
        async with self._session(asker) as session:
            with _told():
                async with asyncio.timeout(self._grace):
                    response, url = await self._follow(session, link, credentials)
            async with response:
                yield Fetched(
                    response.headers.get("Content-Type", ""),
                    _length(response),
                    URL(url).name,
                    _content(response, self._grace),
                )

    async def _follow(
        self, session: aiohttp.ClientSession, link: str, credentials: Credentials | None
    ) -> tuple[aiohttp.ClientResponse, str]:
        url = link.strip().replace(" ", "%20")  # a name of a file, as people write it
        if credentials is not None:
            credentials.check(url)
        origin = origin_of(url)
        for _ in range(REDIRECTS + 1):
            problem = webhook_url_problem(
                url,
                allow_http=self._allow_http,
                allow_private=self._allow_private,
                listed_in=MEDIA_NETWORKS,
            )
            if problem:
                raise MediaRefused(f"the link {problem}")
            mine = credentials.headers if credentials and origin_of(url) == origin else {}
            response = await session.get(url, headers=mine, allow_redirects=False)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTED or location is None:
                return _accepted(response), url
            response.close()
            url = str(URL(url).join(URL(location)))
        raise MediaRefused(f"the link redirects more than {REDIRECTS} times")

    def _session(self, asker: Hashable) -> aiohttp.ClientSession:
        """A session for one fetch, so that no link shares state with another."""
        connector = aiohttp.TCPConnector(
            socket_factory=_guarded(self._allow_private),
            resolver=self._resolver or self._names.of(asker),
            ssl=self._context or True,
            force_close=True,
            use_dns_cache=False,
        )
        return aiohttp.ClientSession(
            connector=connector,
            connector_owner=True,
            timeout=self._timeout,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )


def _guarded(allow_private: Sequence[Network]) -> Callable[[AddrInfoType], socket.socket]:
    """Like all outgoing HTTP, and for public addresses only the usual web ports."""
    factory = socket_factory(allow_private, listed_in=MEDIA_NETWORKS)

    def open_socket(info: AddrInfoType) -> socket.socket:
        host, port = info[4][:2]
        if port not in PORTS and is_allowed(ipaddress.ip_address(str(host)), ()):
            raise OSError(errno.EACCES, f"media is not fetched from port {port}")
        return factory(info)

    return open_socket


def _accepted(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    status = response.status
    if 200 <= status < 300 and response.headers.get("Content-Encoding", "identity") == "identity":
        return response
    response.close()
    if status >= 500 or status in _LATER:
        raise LinkFailed(f"the link answered {status}")
    if status < 300:
        raise MediaRefused("the link returned compressed content")
    raise MediaRefused(f"the link answered {status}")


def _length(response: aiohttp.ClientResponse) -> int | None:
    try:
        return response.content_length
    except ValueError as error:  # Python reads no numbers of thousands of digits
        raise MediaRefused("the link's Content-Length is not a valid number") from error


async def _content(response: aiohttp.ClientResponse, grace: float) -> AsyncIterator[bytes]:
    """The content while it keeps a minimum pace; only time spent waiting for it counts."""
    now = asyncio.get_running_loop().time
    left = grace
    with _told():
        while True:
            began = now()
            async with asyncio.timeout(left):
                chunk = await response.content.readany()
            if not chunk:
                return
            left = min(grace, left - (now() - began) + len(chunk) / LEAST_PACE)
            yield chunk


class _told:
    """Turns errors of aiohttp and sockets into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, aiohttp.ClientOSError | OSError) and error.errno == errno.EACCES:
            raise MediaRefused(f"the link leads to an address that is refused: {_reason(error)}")
        if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
            raise MediaRefused("the link is not a URL that can be fetched") from error
        if isinstance(error, TimeoutError):
            raise LinkFailed("the link did not answer in time") from error
        if isinstance(error, aiohttp.ClientError | OSError):
            raise LinkFailed(f"the link cannot be fetched: {_reason(error)}") from error
        if isinstance(error, ValueError):
            raise MediaRefused("the link is not a URL that can be fetched") from error


def _reason(error: BaseException) -> str:
    return str(error)[:200] or type(error).__name__
