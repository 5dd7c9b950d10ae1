"""One POST to the webhook: its URL, its TLS and its result.

A POST leaves only if its lease still holds once there is a connection. Of the answer the status
alone decides; what follows it is read and dropped (``webhook.exchange``), but for the beginning of
a refusal, which people are shown.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import aiohttp

from warouter.app_settings import Network, webhook_url_problem
from warouter.flow.posts import ANSWER_BYTES
from warouter.net.egress import ClientCertificate, receiver_tls, socket_factory
from warouter.net.names import HostLookups
from warouter.secret import look
from warouter.webhook.exchange import ReceiverAnswer, Target, exchange

log = logging.getLogger(__name__)

TIMEOUT = 15.0  # the whole POST, name lookup and answer included
# Below the 5 s after which common receivers close an idle connection: one that is closed while a
# POST is on its way counts as a failure.
KEEPALIVE = 4.0

SUCCESS, HUNG = "success", "timeout"


class Ended(NamedTuple):
    """How a POST ended. ``result`` is the product's: SUCCESS, an HTTP status, or HUNG, ``address``
    (not an allowed one), ``tls`` or ``connection``.

    ``cause`` says more of it in one word; ``text`` is the beginning of the body that was kept.
    """

    result: str
    cause: str
    status: int = 0
    text: bytes = b""


class Receiver:
    """The business's webhook, as one coreapp reaches it.

    ``url`` is the one in force; without one everything waits. Its ``headers`` go with each POST.
    ``tls`` judges its certificate.
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
        self._ca = ""
        self._shown = _look(client)
        self.tls = receiver_tls("", client)
        self._seconds = timeout
        self.url = ""
        self._headers: Mapping[str, str] = {}
        self._target: Target | None = None

    def adopt(self, url: str, headers: Mapping[str, str] = {}) -> None:
        """Use another URL with these header fields; an unusable one leaves the last one in force,
        and its fields.
        """
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
        if (url, headers) != (self.url, self._headers):
            self.url, self._headers, self._target = url, dict(headers), None

    def trust(self, ca: str) -> None:
        """Verify receivers with these certificates (PEM) alone, or "" for the system's authorities.

        ssl.SSLError for what is none. Connections made before are not used again.
        """
        self.tls, self._target = receiver_tls(ca, self._client), None
        self._ca = ca

    def connections(self) -> aiohttp.TCPConnector:
        """The connections to the receiver, to be closed after use."""
        return aiohttp.TCPConnector(
            limit=0,
            socket_factory=socket_factory(self._allow_private, self._ports),
            resolver=HostLookups().of("webhook"),
            keepalive_timeout=KEEPALIVE,
        )

    async def post(
        self,
        connections: aiohttp.BaseConnector,
        content: bytes,
        headers: dict[str, str],
        may_act: Callable[[], bool],
        *,
        any_answer: bool = False,
    ) -> Ended | None:
        """POST; None if ``may_act`` refused it immediately before the write.

        ``any_answer``: the beginning of a success's body is wanted as well.
        """
        connection, heard = None, ReceiverAnswer(ANSWER_BYTES, any_answer=any_answer)
        result = cause = ""
        try:
            async with asyncio.timeout(self._seconds):
                target = self._aim()
                connection = await target.connection(connections)
                # Looking up the name, connecting and TLS may have taken longer than a lease lasts.
                if not may_act():
                    connection.release()
                    return None
                await exchange(connection, target.request(content, headers), heard)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            result, cause = _result(error), _cause(error)
        except Exception:
            log.exception("webhook POST failed")
            result = cause = "connection"
        finally:
            if connection is not None:
                connection.close()  # unless it was released
        if heard.taken:
            return Ended(SUCCESS, SUCCESS, heard.status, heard.text)
        if heard.status:
            return Ended(str(heard.status), "status", heard.status, heard.text)
        return Ended(result, cause)

    def _aim(self) -> Target:
        """The target of each POST to the URL in force, made anew after a change."""
        if self._client is not None and (found := _look(self._client)) != self._shown:
            self._shown = found
            self._renew(self._client)
        if self._target is None:
            self._target = Target(self.url, self.tls, self._headers)
        return self._target

    def _renew(self, client: ClientCertificate) -> None:
        """Show the certificate that the files have now. One that is unusable, such as a new one
        whose key is still to come, leaves the last one in force.
        """
        try:
            self.tls, self._target = receiver_tls(self._ca, client), None
        except (OSError, ssl.SSLError) as error:
            log.error("certificate refresh failed", extra={"error": f"{client.cert}: {error}"})
        else:
            log.info("certificate activated", extra={"source": client.cert})


def _look(client: ClientCertificate | None) -> list[tuple[int, ...]]:
    """Marks that differ once one of the files was renewed; an empty one for a file that is away."""
    found = []
    for path in client or ():
        try:
            found.append(look(path))
        except OSError:
            found.append(())
    return found


def _result(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return HUNG
    if isinstance(error, aiohttp.ClientSSLError):
        return "tls"
    refused = isinstance(error, aiohttp.ClientOSError) and error.errno == errno.EACCES
    return "address" if refused else "connection"


def _cause(error: Exception) -> str:
    """More than the product's result says: whose fault it is that there is no connection."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name"
    if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
        return "refused"
    return _result(error)
