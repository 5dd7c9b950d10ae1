"""Limits on the number, size and slowness of client connections, and their checks. Pure.

Nothing here runs per byte: a connection notes when things began, and one look a second at all of
them finds who takes too long. Times are the caller's seconds, on a clock that never goes back.
"""

from __future__ import annotations

import ipaddress
from collections import Counter

import msgspec

from warouter.config import Network, Settings, networks
from warouter.errors import ConfigError

HEAD_BYTES = 16 * 1024
HEAD_FIELDS = 100
TARGET_BYTES = 8 * 1024
LOOPBACK: tuple[Network, ...] = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
)


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Connection limits of one webapp. ``exempt`` networks (proxies, and this
    host) have no limit per address, but count among all ``connections``.
    """

    head_seconds: float = 10.0  # for all of a request's line and fields, from its first byte
    body_grace_seconds: float = 5.0
    body_bytes_per_second: float = 1024.0
    idle_seconds: float = 75.0  # between two requests
    spare_seconds: float = 1.0  # idle so long, it gives its place to a new one if there is no other
    stall_seconds: float = 30.0  # without a byte of the answer that could leave
    connections: int = 2_000
    connections_per_address: int = 100
    exempt: tuple[Network, ...] = LOOPBACK


def limits(settings: Settings) -> ConnectionLimits:
    """Limits on client connections, with the networks that are exempt."""
    if min(settings.connections, settings.connections_per_address) < 1:
        raise ConfigError(
            "WAROUTER_CONNECTIONS and WAROUTER_CONNECTIONS_PER_ADDRESS must be above 0."
        )
    proxies = networks(settings.trusted_proxies, "WAROUTER_TRUSTED_PROXIES")
    return ConnectionLimits(
        connections=settings.connections,
        connections_per_address=settings.connections_per_address,
        exempt=(*LOOPBACK, *proxies),
    )


class ConnectionProgress:
    """Progress of one connection: its state, since when, and how many bytes have come."""

    __slots__ = (
        "_body_bytes",
        "_body_since",
        "_head_bytes",
        "_head_since",
        "_left_since",
        "_taken",
    )

    def __init__(self, now: float) -> None:
        self._head_since: float | None = now  # a new connection owes its first request
        self._head_bytes = 0
        self._body_since = now
        self._body_bytes = 0
        self._taken = 0
        self._left_since: float | None = None

    @property
    def rests(self) -> bool:
        """True if a request has come, and nothing of the next one."""
        return self._head_since is None

    @property
    def head_bytes(self) -> int:
        """Size of the incomplete head that has come so far."""
        return self._head_bytes

    def came(self, size: int, now: float, *, waiting: bool) -> None:
        """Bytes arrived; ``waiting`` means that no request was under way before."""
        if waiting:
            self._head_since = now if self._head_since is None else self._head_since
            self._head_bytes += size
        else:
            self._body_bytes += size

    def asked(self, now: float) -> None:
        """The head of a request is complete."""
        self._head_since, self._head_bytes = None, 0
        self._body_since, self._body_bytes = now, 0

    def held_back(self, now: float) -> None:
        """Reading was paused by the webapp: the client is not slow."""
        self._body_since, self._body_bytes = now, 0

    def left(self, taken: int, waiting: int, now: float) -> None:
        """``waiting`` bytes of the answer are not taken yet; ``taken`` bytes have been so far."""
        if waiting == 0:
            self._left_since = None
        elif self._left_since is None or taken != self._taken:
            self._taken, self._left_since = taken, now

    def fault(self, limits: ConnectionLimits, now: float, *, reading: bool) -> str:
        """Why the connection is too slow (``head``, ``body`` or ``stall``),
        else "". ``reading`` means that the body of a request has not ended.
        """
        if self._head_since is not None and now - self._head_since >= limits.head_seconds:
            return "head"
        took = now - self._body_since
        owed = limits.body_bytes_per_second * took
        if reading and took >= limits.body_grace_seconds and self._body_bytes < owed:
            return "body"
        if self._left_since is not None and now - self._left_since >= limits.stall_seconds:
            return "stall"
        return ""


class Gate:
    """Counts open connections, in all and per address, and limits them."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._by_address: Counter[str] = Counter()
        self._all = 0

    def enter(self, address: str) -> bool:
        """True, and counted, if there is room for one more connection; each needs a ``leave``."""
        if self.full or not self.takes(address):
            return False
        self._by_address[address] += 1
        self._all += 1
        return True

    def takes(self, address: str) -> bool:
        """True if this address has not as many as one may have."""
        most = self._limits.connections_per_address
        return self._by_address[address] < most or self._is_exempt(address)

    @property
    def full(self) -> bool:
        """True if there is no room in all."""
        return self._all >= self._limits.connections

    def leave(self, address: str) -> None:
        self._all -= 1
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]

    def _is_exempt(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return not address  # a Unix socket has none
        return any(parsed in network for network in self._limits.exempt)
