"""The certificate that this process shows to coreapps on other hosts.

It is made when the first such link is dialled: with all of a cluster on loopback there is none. It
stands in the node row before it is shown, or nobody would let it in.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from warouter.tls import link as tls


async def _unpublished(_der: bytes) -> None:
    """Publish nothing: nobody has to know the certificate."""


class Credential:
    """One for all links that an incarnation dials.

    ``publish`` writes a certificate (DER) into the node row; it raises OutcomeUnknown when the
    database does not answer.
    """

    def __init__(
        self, name: str, publish: Callable[[bytes], Awaitable[None]] = _unpublished
    ) -> None:
        self._name = name
        self._publish = publish
        self._certificate: tls.LinkCertificate | None = None
        self._context: ssl.SSLContext | None = None
        self._publishing = asyncio.Lock()

    @property
    def certificate(self) -> tls.LinkCertificate:
        """The certificate, made when it is first asked for and then kept."""
        if self._certificate is None:
            self._certificate = tls.fresh(self._name)
        return self._certificate

    async def context(self) -> ssl.SSLContext:
        """A client's context that shows the certificate, once that is published."""
        async with self._publishing:
            if self._context is None:
                context = tls.client_context(self.certificate)
                await self._publish(self.certificate.der)
                self._context = context
        return self._context
