"""The service manager's protocol (sd_notify(3)): READY, STATUS, WATCHDOG, STOPPING.

Whoever starts a process may listen on NOTIFY_SOCKET: systemd on bare metal, ``warouter up`` and
the tests on one machine.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

SIGN_SECONDS = 1.0  # a tenth of the shortest WatchdogSec of the units


class Notifier:
    """Sends to ``$NOTIFY_SOCKET``; does nothing without one.

    It never raises: a sign of life must not be what ends a process. It has one socket from its
    start on, since a process without a free descriptor is alive, too.
    """

    def __init__(self, address: str | None = None) -> None:
        found = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")
        self._path = "\0" + found[1:] if found.startswith("@") else found
        self._socket: socket.socket | None = None
        self._next_sign = 0.0
        self._unsaid: tuple[str, ...] = ()  # of being ready, while it has not gone through
        self.said = ""  # the latest status, "" before the process is ready
        self.stops = False
        self._open()

    def send(self, *lines: str) -> bool:
        """Send a datagram; True if it was sent."""
        sock = self._open()
        if sock is None:
            return False
        # A supervisor that is gone or slow must never hold up an owner.
        with suppress(OSError):
            sock.sendto("\n".join(lines).encode(), self._path)
            return True
        return False

    def ready(self, status: str) -> None:
        """Report readiness with each sign of life until sent: the supervisor would kill us."""
        self.said = status
        self._unsaid = ("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")
        self._say_ready()

    def status(self, text: str) -> None:
        self.said = text
        self.send(f"STATUS={text}")

    def alive(self) -> None:
        """A sign of life; said once a second at most, since each one wakes the manager."""
        self._say_ready()
        now = time.monotonic()
        if now >= self._next_sign and self.send("WATCHDOG=1"):
            self._next_sign = now + SIGN_SECONDS

    def stopping(self) -> None:
        self.stops = True
        self.send("STOPPING=1")

    def close(self) -> None:
        """Close the socket; nothing is sent from here on."""
        self._path = ""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say_ready(self) -> None:
        if self._unsaid and self.send(*self._unsaid):
            self._unsaid = ()

    def _open(self) -> socket.socket | None:
        if self._path and self._socket is None:
            with suppress(OSError):
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                sock.setblocking(False)
                self._socket = sock
        return self._socket
