"""This host's own address, on the route to another one: what `COREAPP_HOSTNAME=auto` stands for."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

LOOPBACK = "127.0.0.1"


class NoRoute(Exception):
    """No address can be told. The message says why of each host, for a sentence to an operator."""


def is_here(host: str) -> bool:
    """True for loopback and for an address of this host: what goes there crosses no network."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except (ValueError, OSError):
        return False
    return not address.is_unspecified


def own_address(servers: Iterable[tuple[str, int]]) -> str:
    """The IPv4 address from which this host would reach the first of these hosts that it can.

    ``servers`` are (host or socket folder, port). One on this host tells nothing as long as there
    is another; where all of them are, it is 127.0.0.1. Nothing is sent. Raises NoRoute.
    """
    here, problems = False, []
    for host, port in servers:
        if host.startswith("/"):
            here = True
            continue
        try:
            address = _towards(host, port)
        except OSError as error:
            problems.append(f"{host}: {error.strerror or error}")
            continue
        if not ipaddress.ip_address(address).is_loopback:
            return address
        here = True
    if here and not problems:
        return LOOPBACK
    raise NoRoute("; ".join(problems))


def _towards(host: str, port: int) -> str:
    """Connecting a datagram socket asks the kernel for the route, and sends nothing."""
    found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(found[0][4])
        return str(sock.getsockname()[0])
