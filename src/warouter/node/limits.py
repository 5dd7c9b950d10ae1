"""Limits on the connections of clients, of a webapp and of a console."""

from __future__ import annotations

from warouter.config import Settings, networks
from warouter.errors import ConfigError
from warouter.http.pace import LOOPBACK, ConnectionLimits


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
