"""The coreapp's end of the link: takes messages from webapps, answers with outcomes."""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
import ssl
from contextlib import suppress
from functools import partial
from secrets import token_bytes
from typing import Protocol

from warouter.errors import ProtocolError
from warouter.link import wire
from warouter.link.callers import Callers
from warouter.link.connection import LinkConnection
from warouter.link.pins import UNKNOWN
from warouter.link.strangers import Strangers
from warouter.net.acceptor import Acceptor, listen

log = logging.getLogger(__name__)

PROOF_SECONDS = 5.0  # from the accept on: for the TLS handshake and the proof
MAX_STRANGERS = 32
MAX_WEBAPPS = 256
SAY_SECONDS = 60.0
# A webapp that does not read its answers must not fill this process's memory.
MAX_UNREAD = 16 << 20


class MessageOwner(Protocol):
    """Takes the messages of webapps; called on the loop."""

    def on_messages(self, webapp: WebappConnection, messages: list[wire.Message]) -> None: ...


class Relaying(Protocol):
    """Takes messages that another coreapp owns; called on the loop."""

    def on_relay(self, webapp: WebappConnection, frame: wire.RelayFrame) -> None: ...


class StatusOwner(Protocol):
    """Takes the statuses of webhooks; called on the loop."""

    def on_statuses(self, webapp: WebappConnection, offer: wire.StatusOffer) -> None: ...


class NoStatuses(StatusOwner):
    """Leaves all of them to the webapp, who stores them."""

    def on_statuses(self, webapp: WebappConnection, offer: wire.StatusOffer) -> None:
        everything = list(range(len(offer.statuses)))
        webapp.send(wire.stored(wire.StatusOutcome(offer.number, everything)))


def relay_nothing(webapp: WebappConnection, frame: wire.RelayFrame) -> None:
    """Refuse to relay: the webapp tries another coreapp, or waits."""
    message = frame.message
    webapp.send(webapp.frames.outcome(wire.UNREACHED, message.slot, message.epoch, [message.id]))


class WebappConnection(LinkConnection):
    """A webapp, as the coreapp sees it."""

    def __init__(self, server: LinkServer) -> None:
        super().__init__()
        self._server = server
        self._hello = wire.hello(token_bytes(wire.NONCE_SIZE))
        self.sock: socket.socket | None = None
        self.address = ""
        self.version = 0  # the version of the pins when it came
        self.deadline: asyncio.TimerHandle | None = None

    def end(self) -> None:
        """Disconnect at once, also during a TLS handshake."""
        if self._transport is not None:
            self.abort()
        elif self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self._transport is not None
        self._transport.set_write_buffer_limits(high=MAX_UNREAD)
        if self._server.lets_in(self, self._transport.get_extra_info("ssl_object")):
            self._write_plain(self._hello)
        else:
            self.abort()

    def pause_writing(self) -> None:
        log.warning("link closed: webapp stopped reading")
        self.abort()

    def on_handshake(self, hello: memoryview) -> None:
        if len(hello) != wire.HELLO_SIZE + wire.PROOF_SIZE:
            raise ProtocolError("malformed link handshake")
        theirs = bytes(hello[: wire.HELLO_SIZE])
        key = self._server.link_key
        wanted = wire.proof(key, b"client", self._hello, theirs)
        if not hmac.compare_digest(wanted, bytes(hello[wire.HELLO_SIZE :])):
            raise ProtocolError("link handshake with a wrong key")
        version = wire.common_version(self._hello, theirs)
        self._server.proved(self)
        self._write_plain(wire.proof(key, b"server", self._hello, theirs))
        self._start_session(version, wire.session_key(key, self._hello, theirs), sends=1)

    def on_broken(self, error: Exception) -> None:
        if self.ready:
            super().on_broken(error)
        else:
            self._server.unproved(self, error)

    def on_envelope(self, packed: memoryview) -> None:
        messages, others = self.frames.read(packed)
        if messages:
            self._server.owner.on_messages(self, messages)
        for frame in others:
            self.on_frame(frame)

    def on_frame(self, frame: wire.Frame) -> None:
        match frame:
            case wire.RelayFrame():
                self._server.relay.on_relay(self, frame)
            case wire.StatusOffer():
                self._server.statuses.on_statuses(self, frame)
            case wire.Ping():
                self.send(wire.PONG)
            case _:
                raise ProtocolError("a webapp sends messages and statuses only")

    def peer(self) -> dict[str, object]:
        return {"peer": self.address} if self._transport is None else super().peer()

    def on_lost(self) -> None:
        self._server.lost(self)


class LinkServer:
    """Accepts webapps. Called on the loop: ``on_messages`` with the messages of each envelope,
    ``on_relay`` with one that another coreapp owns, ``on_statuses`` with an offer.
    """

    def __init__(
        self,
        link_key: bytes,
        owner: MessageOwner,
        relay: Relaying,
        statuses: StatusOwner | None = None,
    ) -> None:
        self.link_key = link_key
        self.owner = owner
        self.relay = relay
        self.statuses = statuses or NoStatuses()
        self._strangers: Strangers[WebappConnection] = Strangers(MAX_STRANGERS)
        self._connections: dict[WebappConnection, None] = {}  # proved, in the order they came
        self._acceptors: list[Acceptor[WebappConnection]] = []
        self._callers: Callers | None = None
        self._unproved = 0  # since it was said last
        self._say_at = 0.0

    @property
    def webapps(self) -> int:
        return len(self._connections)

    async def start(self, host: str, port: int, callers: Callers | None = None) -> int:
        """Listen and return the port (``port`` 0 takes a free one); in TLS for ``callers``."""
        self._callers = callers
        self._acceptors = await listen(host, port, self, callers.context if callers else None)
        return self._acceptors[0].port

    async def stop(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
        for stranger in self._strangers:
            stranger.end()
        for connection in list(self._connections):
            connection.close()

    def lets_in(self, connection: WebappConnection, tls_object: ssl.SSLObject | None) -> bool:
        """True if a caller may prove that it knows the key, by the certificate that it showed."""
        why = self._callers.objection(tls_object) if self._callers is not None else ""
        if why:
            self._refused(connection, why)
        return not why

    def proved(self, connection: WebappConnection) -> None:
        """A connection proved the key. Raises ProtocolError if there are too many that did."""
        self._leave(connection)
        if len(self._connections) >= MAX_WEBAPPS:
            raise ProtocolError(f"there are {MAX_WEBAPPS} links already")
        self._connections[connection] = None

    def unproved(self, connection: WebappConnection, error: Exception) -> None:
        """A handshake failed, after that of TLS."""
        self._say(str(error), connection.peer())

    # acceptor.Doorkeeper

    def enter(self, address: str, sock: socket.socket | None) -> WebappConnection:
        connection = WebappConnection(self)
        connection.sock, connection.address = sock, address
        connection.version = self._callers.version if self._callers is not None else 0
        loop = asyncio.get_running_loop()
        connection.deadline = loop.call_later(PROOF_SECONDS, connection.end)
        gone = self._strangers.enter(connection, address)
        if gone is not None:
            gone.end()
        return connection

    def refuse(self) -> bytes:
        """There is no file descriptor for a connection: it is closed without an answer."""
        return b""

    def failed(self, connection: WebappConnection, error: BaseException) -> None:
        self._leave(connection)
        if isinstance(error, ssl.SSLCertVerificationError):
            self._refused(connection, UNKNOWN)

    def lost(self, connection: WebappConnection) -> None:
        """Note that a connection has ended."""
        self._leave(connection)
        self._connections.pop(connection, None)

    def _refused(self, connection: WebappConnection, why: str) -> None:
        assert self._callers is not None
        say = partial(self._say, why, connection.peer())
        self._callers.refused(connection.version, say)

    def _say(self, error: str, peer: dict[str, object]) -> None:
        """Log a failed handshake, at most once a minute: strangers must not fill the log."""
        self._unproved += 1
        now = asyncio.get_running_loop().time()
        if now >= self._say_at:
            said = {"error": error, "times": self._unproved, **peer}
            log.warning("link handshake failed", extra=said)
            self._unproved, self._say_at = 0, now + SAY_SECONDS

    def _leave(self, connection: WebappConnection) -> None:
        self._strangers.leave(connection)
        if connection.deadline is not None:
            connection.deadline.cancel()
