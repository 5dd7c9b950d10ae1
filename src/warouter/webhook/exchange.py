"""One request and its answer on a connection of aiohttp's, without aiohttp's session.

What a session does for each POST (redirects, cookies, proxies, a task that writes, timers) no
callback needs, and where few messages go it was the largest part of a callback. aiohttp still looks
up names, connects, verifies, keeps connections and parses answers.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp
from yarl import URL

from warouter import __version__

ANSWER_BYTES = 64 * 1024
_HEADERS = {"Content-Type": "application/json", "User-Agent": f"warouter/{__version__}"}
_SWITCHING = 101
_NO_LIMIT = aiohttp.ClientTimeout()


class Target:
    """A URL with the TLS that judges it: what is the same of every request to it.

    ``headers`` take the place of fields of ours that have their names. ValueError for a URL that
    cannot be one.
    """

    def __init__(self, url: str, tls: ssl.SSLContext, headers: Mapping[str, str] = {}) -> None:
        # By it connections are made and found again; it is not sent itself.
        self._request = aiohttp.ClientRequest("POST", URL(url), headers=_HEADERS, ssl=tls)
        own = self._request.headers.copy()
        own.pop("Content-Length", None)
        for name, value in headers.items():
            own[name] = value
        path = self._request.url.raw_path_qs
        self._head = _lines([f"POST {path} HTTP/1.1", *_fields(own)])

    async def connection(self, connector: aiohttp.BaseConnector) -> aiohttp.connector.Connection:
        """A connection that nobody uses, to be closed or released.

        One on which more came than the last answer is not used again.
        """
        while True:
            connection = await connector.connect(self._request, [], _NO_LIMIT)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()

    def request(self, content: bytes, headers: Mapping[str, str]) -> bytes:
        """The bytes of a request with this body and these header fields beside the usual ones."""
        own = _lines([*_fields(headers), f"Content-Length: {len(content)}", ""])
        return self._head + own + content


class ReceiverAnswer:
    """A receiver's answer so far: its status, 0 until then.

    Of a refusal, or of ``any_answer``, also the beginning of its body, at most ``most`` bytes.
    """

    __slots__ = ("any_answer", "most", "status", "text")

    def __init__(self, most: int, *, any_answer: bool = False) -> None:
        self.most = most
        self.any_answer = any_answer
        self.status = 0
        self.text = b""

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


async def exchange(
    connection: aiohttp.connector.Connection, request: bytes, heard: ReceiverAnswer
) -> None:
    """Write a request, and read its answer to the end into ``heard``, as far as it is kept.

    The connection is released then, or closed when the answer is too long. Raises
    aiohttp.ClientError or OSError for an answer that breaks off, ValueError for none of HTTP.
    """
    protocol = connection.protocol
    if protocol is None or protocol.transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    protocol.transport.write(request)
    while True:
        try:
            message, payload = await protocol.read()
        except aiohttp.http.HttpProcessingError as error:
            raise ValueError(str(error)) from error
        if not 100 <= message.code < 200 or message.code == _SWITCHING:
            break
    heard.status = message.code
    if await _drained(payload, heard):
        connection.release()
    else:
        connection.close()


async def _drained(payload: aiohttp.StreamReader, heard: ReceiverAnswer) -> bool:
    """Read the rest of an answer, so that the connection can be used again; False: too long."""
    left = ANSWER_BYTES
    while left > 0:
        chunk = await payload.read(left)
        if not chunk:
            return True
        left -= len(chunk)
        if (not heard.taken or heard.any_answer) and len(heard.text) < heard.most:
            heard.text += chunk[: heard.most - len(heard.text)]
    return False


def _fields(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()
