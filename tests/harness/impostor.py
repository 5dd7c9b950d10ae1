"""A server in PostgreSQL's place that asks for the password and keeps whatever it is told."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Self

from tests.harness.wait import PATIENCE

SALT = b"\x01\x02\x03\x04"
OFF_HOST = "0.0.0.0"  # no loopback address, and yet Linux connects it to this host
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One of a server's messages."""
    return kind + struct.pack("!i", 4 + len(body)) + body


def authentication(code: int, body: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!i", code) + body)


OK, CLEAR_TEXT, MD5 = authentication(0), authentication(3), authentication(5, SALT)
SCRAM = authentication(10, b"SCRAM-SHA-256\0\0")
READY = message(b"Z", b"I")
VERSION = message(b"S", b"server_version\0" + b"18.6\0")


def scram_continued(said: bytes, rounds: int) -> bytes:
    """The answer to a client's first SCRAM message, salt and rounds of the server's choice."""
    nonce = said.rpartition(b"r=")[2]
    return authentication(11, b"r=" + nonce + b"x,s=c2FsdA==,i=%d" % rounds)


Script = Callable[["Talk"], None]


class Talk:
    """One connection after its startup message."""

    def __init__(self, sock: socket.socket, heard: list[bytes], *, bytewise: bool) -> None:
        self._sock = sock
        self._heard = heard
        self._bytewise = bytewise

    def say(self, data: bytes) -> None:
        pieces = [data[i : i + 1] for i in range(len(data))] if self._bytewise else [data]
        for piece in pieces:
            self._sock.sendall(piece)

    def hear(self) -> bytes:
        """What comes next; empty at the end."""
        data = self._sock.recv(1 << 16)
        self._heard.append(data)
        return data


class Impostor:
    """Serves inside of ``with``, in threads: processes are its clients as well.

    ``asks`` is what it says to a startup message, or a script that talks to the client. Without
    ``tls`` it offers none.
    """

    def __init__(
        self,
        asks: bytes | Script,
        tls: ssl.SSLContext | None = None,
        *,
        bytewise: bool = False,
    ) -> None:
        self._asks = asks
        self._tls = tls
        self._bytewise = bytewise
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._heard: list[bytes] = []
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a client has left its connection open"
        self._listener.close()

    def heard(self) -> bytes:
        """All that clients said, without TLS; to be asked after the end."""
        return b"".join(self._heard)

    def learned(self, user: str, password: str) -> bool:
        """Whether it was told the password, or its MD5."""
        once = hashlib.md5((password + user).encode()).hexdigest().encode()
        hashes = [once, hashlib.md5(once + SALT).hexdigest().encode()]
        heard = self.heard()  # a nonce of SCRAM may have "md5" in it by chance
        told = any(said in heard for said in (password.encode(), *hashes))
        return told or re.search(rb"md5[0-9a-f]{32}", heard) is not None

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=[sock], daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        try:
            if (sock := self._greet(sock)) is not None:
                self._talk(sock)
        except OSError:
            pass  # the client has had enough
        finally:
            sock.close()

    def _greet(self, sock: socket.socket) -> socket.socket:
        """Through the request for TLS to the startup message."""
        first = sock.recv(8, socket.MSG_WAITALL)
        if first == _SSL_REQUEST:
            sock.sendall(b"S" if self._tls else b"N")
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            first = sock.recv(4)
        self._heard.append(first)
        return sock

    def _talk(self, sock: socket.socket) -> None:
        talk = Talk(sock, self._heard, bytewise=self._bytewise)
        if not talk.hear():
            return
        if callable(self._asks):
            self._asks(talk)
        else:
            talk.say(self._asks)
        while talk.hear():
            pass
