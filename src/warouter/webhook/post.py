"""One POST to the webhook: its URL, its TLS and its result.

A POST leaves only if its lease still holds once there is a connection (``webhook.leased``). Of the
answer the status alone decides; what follows it is read up to ANSWER_BYTES and dropped.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Collection, Sequence

import aiohttp

from warouter import __version__
from warouter.app_settings import Network, webhook_url_problem
from warouter.net.egress import ClientCertificate, receiver_tls, socket_factory
from warouter.net.names import Names
from warouter.webhook.leased import LeasedBody

log = logging.getLogger(__name__)

ANSWER_BYTES = 64 * 1024
TIMEOUT = 15.0  # the whole POST, name lookup and answer included
# Below the 5 s after which common receivers close an idle connection: one that is closed while a
# POST is on its way counts as a failure.
KEEPALIVE = 4.0

SUCCESS, HUNG = "success", "timeout"

_HEADERS = {"Content-Type": "application/json", "User-Agent": f"warouter/{__version__}"}


class Receiver:
    """The business's webhook, as one coreapp reaches it.

    ``url`` is the one in force; without one everything waits. ``tls`` judges its certificate.
    ``ports`` bind public addresses; ``client`` is shown to a receiver that asks for a certificate.
    """

    def __init__(
        self,
        *,
        allow_http: bool = False,
        allow_private: Sequence[Network] = (),
        ports: Collection[int] | None = None,
        client: ClientCertificate | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._allow_http = allow_http
        self._allow_private = tuple(allow_private)
        self._ports = ports
        self._client = client
        self.tls = receiver_tls("", client)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self.url = ""

    def adopt(self, url: str) -> None:
        """Use another URL; an unusable one leaves the last one in force."""
        if url:
            problem = webhook_url_problem(
                url,
                allow_http=self._allow_http,
                allow_private=self._allow_private,
                ports=self._ports,
            )
            if problem:
                log.warning("webhook URL rejected", extra={"reason": problem})
                return
        self.url = url

    def trust(self, ca: str) -> None:
        """Verify receivers with these certificates (PEM) alone, or "" for the system's authorities.

        ssl.SSLError for what is none. Connections made before are not used again.
        """
        self.tls = receiver_tls(ca, self._client)

    def session(self) -> aiohttp.ClientSession:
        """The HTTP session with the receiver, to be closed after use."""
        connector = aiohttp.TCPConnector(
            limit=0,
            socket_factory=socket_factory(self._allow_private, self._ports),
            resolver=Names().of("webhook"),
            keepalive_timeout=KEEPALIVE,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def post(
        self,
        session: aiohttp.ClientSession,
        content: bytes,
        headers: dict[str, str],
        may_act: Callable[[], bool],
    ) -> str | None:
        """The product's ``result`` of one POST; None if ``may_act``
        refused it immediately before the write.

        SUCCESS, an HTTP status, or HUNG, ``address`` (not an allowed one), ``tls`` or
        ``connection``.
        """
        payload = LeasedBody(content, may_act)
        status, failure = 0, ""
        try:
            async with session.post(
                self.url, data=payload, headers=headers, allow_redirects=False, ssl=self.tls
            ) as response:
                status = response.status
                await _drain(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = _cause(error)
        except Exception:
            log.exception("webhook POST failed")
            failure = "connection"
        if payload.withheld:
            return None
        if 200 <= status < 300 and not payload.left:
            # Nobody but the payload has the bytes: they did not leave, and nothing was delivered.
            log.error("webhook answered too early", extra={"status": status})
            return "connection"
        if 200 <= status < 300:
            return SUCCESS
        return str(status) if status else failure


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the rest of an answer, so that the connection can be
    reused; close it if it is too long.
    """
    left = ANSWER_BYTES
    while left > 0:
        chunk = await response.content.read(left)
        if not chunk:
            return
        left -= len(chunk)
    response.close()


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return HUNG
    if isinstance(error, aiohttp.ClientSSLError):
        return "tls"
    refused = isinstance(error, aiohttp.ClientOSError) and error.errno == errno.EACCES
    return "address" if refused else "connection"
