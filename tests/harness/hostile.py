"""A server that does to each connection what a test tells it, in a thread of its own.

It works with blocking sockets, so it hears what a client's kernel sends even while the client's
event loop stands still.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Self

from tests.harness.wait import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Conversation:
    """The server's end of one connection; ``number`` counts them from 0."""

    def __init__(self, server: Hostile, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number

    def request(self) -> bytes:
        """Read the next request, whole; "" if the connection ended before or within it."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := self.some()):
                return self._broken(data)
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        while len(body) < length:
            if not (more := self.some()):
                return self._broken(data)
            data, body = data + more, body + more
        self.server.requests.append(data)
        self.server.heard.set()
        return data

    def some(self) -> bytes:
        """Some bytes; none at the end, in whatever way it came."""
        try:
            return self.sock.recv(65536)
        except OSError:
            return b""

    def rest(self) -> bytes:
        """What comes until the end."""
        parts = iter(self.some, b"")
        return b"".join(parts)

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def answer(self, data: bytes = OK) -> None:
        """Read a request and answer it."""
        if self.request():
            self.send(data)

    def close(self) -> None:
        """In order: TLS says so, too, if it can."""
        if isinstance(self.sock, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self.sock.settimeout(0)
                self.sock.unwrap()
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _broken(self, data: bytes) -> bytes:
        self.server.broken.append(data)
        self.server.heard.set()
        return b""


Script = Callable[[Conversation], None]


class Hostile:
    """``requests`` were read whole, ``broken`` ones not; ``heard`` is set with each of them.

    ``window`` is a small receive buffer: what its script does not read stays with the client.
    """

    def __init__(
        self, script: Script, tls: ssl.SSLContext | None = None, window: int | None = None
    ) -> None:
        self._script = script
        self._tls = tls
        self._listener = socket.socket()
        if window is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self.port = int(self._listener.getsockname()[1])
        self.requests: list[bytes] = []
        self.broken: list[bytes] = []
        self.failures: list[BaseException] = []
        self.resumed: list[bool] = []  # of TLS sessions
        self.connections = 0
        self.heard = threading.Event()
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for sock in [self._listener, *self._socks]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(PATIENCE)
        if self.failures:
            raise self.failures[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            self._socks.append(sock)
            self._begin(self._serve, sock, number)

    def _serve(self, sock: socket.socket, number: int) -> None:
        if self._tls is not None:
            try:
                secure = self._tls.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
            self.resumed.append(bool(secure.session_reused))
            self._socks.append(sock := secure)
        try:
            self._script(Conversation(self, sock, number))
        except BaseException as failure:
            self.failures.append(failure)
        finally:
            sock.close()

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
