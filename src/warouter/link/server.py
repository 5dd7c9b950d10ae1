"""The coreapp's end of the link: takes messages from webapps, answers with outcomes."""

from __future__ import annotations

import asyncio
import hmac
import logging
import ssl
from collections.abc import Callable
from secrets import token_bytes

from warouter import wire
from warouter.errors import ProtocolError
from warouter.link.connection import LinkConnection

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 5.0
MAX_WEBAPPS = 256
# A webapp that does not read its answers must not fill this process's memory.
MAX_UNREAD = 16 << 20

OnMessage = Callable[["WebappConnection", wire.Message], None]
OnRelay = Callable[["WebappConnection", wire.Relay], None]


def relay_nothing(webapp: WebappConnection, frame: wire.Relay) -> None:
    """The webapp tries another coreapp, or waits."""
    message = frame.message
    webapp.send(webapp.frames.outcome(wire.UNREACHED, message.slot, message.epoch, [message.id]))


class WebappConnection(LinkConnection):
    """One webapp, as the coreapp sees it."""

    def __init__(self, server: LinkServer) -> None:
        super().__init__()
        self._server = server
        self._hello = wire.hello(token_bytes(wire.NONCE_SIZE))
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._server.admit(self):
            self.abort()
            return
        assert self._transport is not None
        self._transport.set_write_buffer_limits(high=MAX_UNREAD)
        self._deadline = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self.abort)
        self._write_plain(self._hello)

    def pause_writing(self) -> None:
        log.warning("link closed: the webapp does not read its answers")
        self.abort()

    def on_handshake(self, hello: memoryview) -> None:
        if len(hello) != wire.HELLO_SIZE + wire.PROOF_SIZE:
            raise ProtocolError("link handshake of another shape")
        theirs = bytes(hello[: wire.HELLO_SIZE])
        key = self._server.link_key
        wanted = wire.proof(key, b"client", self._hello, theirs)
        if not hmac.compare_digest(wanted, bytes(hello[wire.HELLO_SIZE :])):
            raise ProtocolError("link handshake with a wrong key")
        version = wire.common_version(self._hello, theirs)
        if self._deadline is not None:
            self._deadline.cancel()
        self._write_plain(wire.proof(key, b"server", self._hello, theirs))
        self._start_session(version, wire.session_key(key, self._hello, theirs), sends=1)

    def on_frame(self, frame: wire.Frame) -> None:
        match frame:
            case wire.Message():
                self._server.on_message(self, frame)
            case wire.Relay():
                self._server.on_relay(self, frame)
            case wire.Ping():
                self.send(wire.PONG)
            case _:
                raise ProtocolError("a webapp sends messages only")

    def on_lost(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._server.forget(self)


class LinkServer:
    """Listens for webapps. ``on_message`` is called on the loop for every message that arrives,
    ``on_relay`` for one that another coreapp owns.
    """

    def __init__(
        self, link_key: bytes, on_message: OnMessage, on_relay: OnRelay = relay_nothing
    ) -> None:
        self.link_key = link_key
        self.on_message = on_message
        self.on_relay = on_relay
        self._connections: dict[WebappConnection, None] = {}  # in the order they came
        self._server: asyncio.Server | None = None

    @property
    def webapps(self) -> int:
        return len(self._connections)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; the port that was taken (``port`` 0 takes a free one)."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: WebappConnection(self), host, port, ssl=tls)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection._flush()
            if connection._transport is not None:
                connection._transport.close()

    def admit(self, connection: WebappConnection) -> bool:
        if len(self._connections) >= MAX_WEBAPPS:
            return False
        self._connections[connection] = None
        return True

    def forget(self, connection: WebappConnection) -> None:
        self._connections.pop(connection, None)
