"""The link to one coreapp: connects, authenticates both sides, and receives outcomes."""

from __future__ import annotations

import asyncio
import hmac
import logging
from secrets import token_bytes
from typing import Protocol

from warouter.errors import OutcomeUnknown, ProtocolError
from warouter.link import wire
from warouter.link.address import LinkAddress
from warouter.link.connection import LinkConnection
from warouter.link.credential import Credential
from warouter.tls import link as tls

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 5.0


class LinkHandler(Protocol):
    """The creator of a connection, which hears its events."""

    def on_ready(self, connection: CoreappConnection) -> None: ...

    def on_lost(self, connection: CoreappConnection) -> None: ...

    def on_outcome(self, connection: CoreappConnection, frame: wire.Outcome) -> None: ...

    def on_stored(self, frame: wire.StatusOutcome) -> None:
        """Statuses that were offered are on disk; only who offers any hears of it."""


class CoreappConnection(LinkConnection):
    """The link to one coreapp, as a webapp or a relaying coreapp sees it."""

    def __init__(self, links: LinkHandler, address: LinkAddress, credential: Credential) -> None:
        super().__init__()
        self._links = links
        self._credential = credential
        self.address = address
        self._hello = wire.hello(token_bytes(wire.NONCE_SIZE))
        self._server_hello = b""
        self._version = 0
        self.lost = asyncio.Event()
        self.refused = False  # the builds have no link version in common
        self.proved = False  # both ends have shown that they know the link key
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self.abort)

    def on_handshake(self, hello: memoryview) -> None:
        key = self.address.link_key
        if not self._server_hello:
            if len(hello) != wire.HELLO_SIZE:
                raise ProtocolError("malformed link handshake")
            self._check_pin()
            self._server_hello = bytes(hello)
            mine = wire.proof(key, b"client", self._server_hello, self._hello)
            # Also if there is no common version: the coreapp then knows, and logs, why.
            self._write_plain(self._hello + mine)
            self._version = wire.common_version(self._hello, self._server_hello)
            return
        wanted = wire.proof(key, b"server", self._server_hello, self._hello)
        if not hmac.compare_digest(wanted, bytes(hello)):
            raise ProtocolError("the coreapp does not know its own link key")
        session_key = wire.session_key(key, self._server_hello, self._hello)
        self._start_session(self._version, session_key, sends=0)
        log.info("link established", extra={"coreapp": self.address.name, "version": self._version})
        self.proved = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._links.on_ready(self)

    def on_frame(self, frame: wire.Frame) -> None:
        if isinstance(frame, wire.Outcome):
            self._links.on_outcome(self, frame)
        elif isinstance(frame, wire.StatusOutcome):
            self._links.on_stored(frame)
        elif not isinstance(frame, wire.Pong):
            raise ProtocolError("a coreapp sends outcomes only")

    async def connect(self, seconds: float) -> bool:
        """Connect; authentication completes a little later (``on_ready``)."""
        address = self.address
        try:
            async with asyncio.timeout(seconds):
                context = await self._credential.context() if address.fingerprint else None
                await self._loop.create_connection(
                    lambda: self, address.host, address.port, ssl=context
                )
        except (OSError, TimeoutError, OutcomeUnknown):  # the last: it could not be published
            return False
        return True

    def on_no_common_version(self) -> None:
        self.refused = True
        super().on_no_common_version()

    def peer(self) -> dict[str, object]:
        return {"coreapp": self.address.name}

    def on_lost(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self.lost.set()
        self._links.on_lost(self)

    def _check_pin(self) -> None:
        fingerprint = self.address.fingerprint
        if fingerprint is None:
            return
        assert self._transport is not None
        if not tls.pinned(self._transport.get_extra_info("ssl_object"), fingerprint):
            raise ProtocolError("the coreapp's certificate is not the one in its node row")
