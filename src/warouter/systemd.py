"""Datagrams to the service manager (sd_notify(3)): READY, STATUS, WATCHDOG, STOPPING.

Whoever starts a process may listen on NOTIFY_SOCKET: systemd on bare metal, ``warouter up`` and
the tests on one machine.
"""

from __future__ import annotations

import os
import socket


class Notifier:
    """Sends to ``$NOTIFY_SOCKET``; does nothing when there is none."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")

    def send(self, *lines: str) -> None:
        if not self._address:
            return
        path = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            # A supervisor that is gone or slow must never hold up an owner.
            try:
                sock.sendto("\n".join(lines).encode(), path)
            except OSError:
                return

    def ready(self, status: str) -> None:
        self.send("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")

    def status(self, text: str) -> None:
        self.send(f"STATUS={text}")

    def alive(self) -> None:
        self.send("WATCHDOG=1")

    def stopping(self) -> None:
        self.send("STOPPING=1")
