"""Accepts connections, counts each before its TLS
handshake, and survives a lack of file descriptors.

Rules of this file:
  * a connection has its place from its accept on; the doorkeeper hears of every end, also of a
    handshake that failed or took too long;
  * the last descriptors of a process are not for strangers: database, links and files need them;
  * with none left, the one kept in reserve is given up for a moment to accept a connection and
    refuse it: what is not accepted keeps the listening socket readable, and the loop would spin.
    Where even that fails, accepting rests for a while.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import socket
import ssl
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from warouter.errors import CommandError
from warouter.net.sockets import not_taken

log = logging.getLogger(__name__)

BACKLOG = 2_048
HANDSHAKE_SECONDS = 5.0
MOST_AT_ONCE = 16  # in one turn of the loop
REST_SECONDS = 0.2
SPARE_FILES = 64
SAY_SECONDS = 60.0

P = TypeVar("P", bound=asyncio.Protocol)


class Doorkeeper(Protocol[P]):
    """Decides which connections are accepted."""

    def enter(self, address: str, sock: socket.socket) -> P | None:
        """The protocol for an accepted connection; None if there is no room.

        ``address`` is "" where there is none (a Unix socket).
        """

    def refuse(self) -> bytes:
        """The bytes that a refused connection gets before it is closed, unless it expects TLS."""

    def failed(self, protocol: P, error: BaseException) -> None:
        """A connection ended in its TLS handshake: ``connection_made`` was never called."""


class Acceptor(Generic[P]):
    """Accepts the connections of one listening socket, once it was ``open``ed."""

    def __init__(
        self, listener: socket.socket, keeper: Doorkeeper[P], tls: ssl.SSLContext | None = None
    ) -> None:
        self._listener = listener
        self._keeper = keeper
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._opened = self._closing = False
        self._reserve = _reserve()
        self._beyond = _first_spare()
        self._said = -SAY_SECONDS

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def open(self) -> None:
        """Begin to listen; OSError if another has begun at this address since it was bound."""
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._opened = True
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept what is queued, and close: only a connection that comes in between is reset."""
        if self._listener.fileno() < 0:
            return
        self._closing = True
        if self._resting is not None:
            self._resting.cancel()
        if self._opened:
            self._loop.remove_reader(self._listener)
            self._take_queued()
        self._listener.close()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def _take_queued(self) -> None:
        for _ in range(BACKLOG):
            if not self._take():
                return

    def _accept(self) -> None:
        for _ in range(MOST_AT_ONCE):
            if not self._take():
                return

    def _take(self) -> bool:
        """Accept the next connection; False when none waits, or none can be accepted."""
        try:
            sock, peer = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            if self._refuse_with_reserve(error):
                return True
            self._rest()
            return False
        sock.setblocking(False)
        self._admit(sock, str(peer[0]) if isinstance(peer, tuple) else "")
        return True

    def _admit(self, sock: socket.socket, address: str) -> None:
        # The kernel gives the lowest number that is free, so this one tells how many are used.
        spare = sock.fileno() >= self._beyond
        protocol = None if spare else self._keeper.enter(address, sock)
        if protocol is None:
            self._turn_away(sock)
            return
        task = self._loop.create_task(self._begin(sock, protocol))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begin(self, sock: socket.socket, protocol: P) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                sock,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if self._tls else None,
            )
        except BaseException as error:
            self._keeper.failed(protocol, error)
            if not isinstance(error, Exception):
                raise
            if not isinstance(error, OSError):  # those are the client's: TLS errors, time-outs
                log.error("connection setup failed", exc_info=error)

    def _turn_away(self, sock: socket.socket) -> None:
        told = self._keeper.refuse()
        with suppress(OSError):
            if told and self._tls is None:
                sock.send(told)
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1 << 16)  # unread bytes would reset the answer at the close
        sock.close()

    def _refuse_with_reserve(self, error: OSError) -> bool:
        if self._loop.time() - self._said >= SAY_SECONDS:
            self._said = self._loop.time()
            log.error("accept failed", extra={"error": str(error)})
        if error.errno not in (errno.EMFILE, errno.ENFILE) or self._reserve is None:
            return False
        os.close(self._reserve)
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return False
        else:
            sock.setblocking(False)
            self._turn_away(sock)
            return True
        finally:
            self._reserve = _reserve()

    def _rest(self) -> None:
        if self._closing:
            return  # the server has closed meanwhile
        self._loop.remove_reader(self._listener)
        self._resting = self._loop.call_later(REST_SECONDS, self._rested)

    def _rested(self) -> None:
        self._resting = None
        if self._reserve is None:
            self._reserve = _reserve()
        self._loop.add_reader(self._listener, self._accept)


async def listen(
    host: str, port: int, keeper: Doorkeeper[P], tls: ssl.SSLContext | None = None
) -> list[Acceptor[P]]:
    """Listening sockets at every address of ``host`` ("": all of this
    machine), on one port; 0 takes a free one. Raises OSError if it is taken.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    acceptors: list[Acceptor[P]] = []
    try:
        for family, _, _, _, where in dict.fromkeys(found):
            listener = _bound(family, (where[0], port, *where[2:]))
            acceptors.append(Acceptor(listener, keeper, tls))
            port = acceptors[0].port
            acceptors[-1].open()
    except OSError:
        for acceptor in acceptors:
            acceptor.close()
        raise
    return acceptors


def listener(
    host: str, port: int, variables: tuple[str, str], *, shared: bool = False
) -> socket.socket:
    """A socket at this address; CommandError, with ``variables`` as for ``not_taken``, if it cannot
    be taken.

    It listens from here on: as long as they are only bound, two that begin at once would both
    believe to have it. One that processes share (SO_REUSEPORT) does not before it is opened.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        if not shared:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise CommandError(not_taken(error, port, host, variables)) from error
    return sock


def _bound(family: int, where: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
    except OSError:
        sock.close()
        raise
    return sock


def _reserve() -> int | None:
    """A spare file descriptor to give up later; None if there is none."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _first_spare() -> int:
    """The lowest file descriptor that connections from outside must not use."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft - min(SPARE_FILES, soft // 4)
