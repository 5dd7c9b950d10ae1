"""The address of this machine by which others reach it."""

from __future__ import annotations

import socket


def own_address() -> str:
    """As the kernel would choose it for another host; "" where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chosen:
        try:
            chosen.connect(("192.0.2.1", 9))  # which sends nothing
        except OSError:
            return ""
        found: str = chosen.getsockname()[0]
    return found
