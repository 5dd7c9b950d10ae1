"""The connections to the Graph API: opened ahead, kept for a while, each used by one at a time.

An idle connection is closed after 15 s, by us: when the other side does it at the moment of a write
nobody can tell whether the request was taken. For the same reason each is closed after 5 minutes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import deque
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from warouter import background
from warouter.errors import WarouterError
from warouter.net.names import HostLookups
from warouter.net.sockets import end_with_process
from warouter.upstream.cloud.graph.wire import Tls, Wire

CONNECT_SECONDS = 3.0  # name, connection and TLS
IDLE_SECONDS = 15.0
OLD_SECONDS = 300.0
SILENCE_MS = 20_000
AHEAD = 64  # opened before requests want them: each costs both sides a handshake
_SWEEP_SECONDS = 1.0


class Unreachable(WarouterError):
    """No connection could be made; says why."""


class Origin(NamedTuple):
    """The scheme, host and port that a URL leads to."""

    host: str
    port: int
    secure: bool

    @classmethod
    def of(cls, url: str) -> Origin:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if secure else 80), secure)

    @property
    def shown(self) -> str:
        """The origin as the header field ``Host`` has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == (443 if self.secure else 80)
        return host if usual else f"{host}:{self.port}"


class ConnectionPool:
    """Opens connections while there are fewer than ``limit``, those that are being opened included;
    those beyond a lower limit end once they are idle.

    ``send_bytes`` is what a socket takes in one write. ``tls`` judges the certificate, instead of
    the authorities of this system.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        send_bytes: int,
        limit: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.limit = limit
        self._origin = origin
        self._send_bytes = send_bytes
        self._tls = (tls or client_context()) if origin.secure else None
        self._session: ssl.SSLSession | None = None
        self._names = HostLookups()
        self._wires: set[Wire] = set()
        self._free: list[Wire] = []  # the one used last at the end
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ahead: asyncio.Task[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def count(self) -> int:
        return len(self._wires) + self._opening

    def free(self) -> Wire | None:
        """A connection that is free now, to be given back, as ``take`` has it."""
        while self._free:
            wire = self._free.pop()
            if not self._stale(wire):
                return wire
            wire.close("old")
        return None

    async def take(self) -> Wire:
        """A connection that nobody uses, to be given back; Unreachable if none can be had."""
        while True:
            if (wire := self.free()) is not None:
                return wire
            if self.count < self.limit:
                self._opening += 1
                return await self._open()
            await self._wait()

    def give(self, wire: Wire) -> None:
        """Give a connection back, whatever became of it."""
        if wire.open:
            now = asyncio.get_running_loop().time()
            if self._closed or now - wire.born >= OLD_SECONDS:
                wire.close("old")
                return
            if wire.fresh:
                self._session = wire.session or self._session
            wire.free_since, wire.fresh = now, False
            self._free.append(wire)
            self._watch()
        self._wake()

    def warm(self, count: int) -> None:
        """Open connections ahead until there are ``count``, in the background: one at a time, so
        that those which a request waits for come first.
        """
        if self._ahead is None or self._ahead.done():
            self._ahead = background.begin(self._open_ahead(count), lambda _error: None)

    def cut(self) -> None:
        """At a lease's end: cut what may not have reached the other side. Others read on."""
        for wire in list(self._wires):
            wire.cut()

    def close(self) -> None:
        """Close all of them, also those in use."""
        self._closed = True
        if self._ahead is not None:
            self._ahead.cancel()
        for wire in list(self._wires):
            wire.close("closed")
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _open(self) -> Wire:
        """A new connection, whose place the caller has counted."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                sock = await self._connected()
                return await self._wired(sock)
        except (OSError, TimeoutError) as error:
            raise Unreachable(_reason(error)) from error
        finally:
            self._opening -= 1
            self._wake()

    async def _open_ahead(self, count: int) -> None:
        for _ in range(count):  # each once: the other side may end all of them at once
            if self.count >= min(count, self.limit):
                return
            self._opening += 1
            try:
                wire = await self._open()
            except Unreachable:
                return  # the next request says so
            self.give(wire)
            wire.fresh = True

    async def _connected(self) -> socket.socket:
        """A connected socket: the first of the host's addresses that answers."""
        host, port, _ = self._origin
        found = await self._names.addresses("graph", host, port, socket.AF_UNSPEC)
        failure: OSError = OSError(f"{host} has no address")
        for left, address in zip(range(len(found), 0, -1), found, strict=True):
            try:
                async with asyncio.timeout(CONNECT_SECONDS / left / 2 if left > 1 else None):
                    return await self._connect(address["family"], (address["host"], port))
            except OSError as error:
                failure = error
        raise failure

    async def _connect(self, family: int, address: tuple[str, int]) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            end_with_process(sock, SILENCE_MS, self._send_bytes)
            await asyncio.get_running_loop().sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _wired(self, sock: socket.socket) -> Wire:
        try:
            tls = None
            if self._tls is not None:
                tls = Tls(self._tls, self._origin.host, self._session)
                await tls.shake_hands(sock)
        except BaseException:
            sock.close()
            raise
        wire = Wire(sock, tls, self._ended)
        self._wires.add(wire)
        return wire

    def _ended(self, wire: Wire) -> None:
        self._wires.discard(wire)
        if wire in self._free:
            self._free.remove(wire)
        self._wake()

    async def _wait(self) -> None:
        """Until a connection is free, or may be opened."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # the place that this one was told of
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(waiter)

    def _wake(self) -> None:
        """Tell the one that has waited longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _stale(self, wire: Wire) -> bool:
        now = asyncio.get_running_loop().time()
        return now - wire.free_since >= IDLE_SECONDS or now - wire.born >= OLD_SECONDS

    def _watch(self) -> None:
        if self._sweeper is None:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        for wire in [wire for wire in self._free if self._stale(wire)]:
            wire.close("idle")
        if self._free:
            self._watch()


def client_context(ca: str | None = None) -> ssl.SSLContext:
    """TLS that verifies the server by the authorities of this system, or by ``ca`` (PEM) alone."""
    context = ssl.create_default_context(cadata=ca)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'broken'}"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own words hold the address
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
