"""The network of a suite: one bridge in the namespace that its `make` target gave it.

The suite itself is ``HOST`` on it, machines are ``NETWORK.2`` and up. Nothing leads out of it.
"""

from __future__ import annotations

import socket
import subprocess

BRIDGE = "wa0"
NETWORK = "10.78.0"
HOST = f"{NETWORK}.1"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def make(*addresses: str) -> None:
    """The bridge, once; ``addresses`` are more of its own, such as that of the metadata."""
    # Not by /sys, which shows the network of before.
    if BRIDGE in {name for _, name in socket.if_nameindex()}:
        return
    ip("link", "set", "lo", "up")
    ip("link", "add", BRIDGE, "address", "02:00:00:00:02:01", "type", "bridge")
    for address in (f"{HOST}/24", *addresses):
        ip("address", "add", address, "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")


def also(address: str) -> None:
    """One more address of the suite itself, unless it has it."""
    shown = subprocess.run(["ip", "address", "show", "dev", BRIDGE], capture_output=True, text=True)
    if address not in shown.stdout:
        ip("address", "add", address, "dev", BRIDGE)
