"""Decides if TLS to a server of WA_DB_HOSTNAME is required and verified. Pure."""

from __future__ import annotations

from enum import StrEnum

from warouter.cloud_settings import is_loopback
from warouter.config import Settings


class Mode(StrEnum):
    """How a connection to one host is protected; the value is for people."""

    VERIFIED = "verified"
    OFF = "off (WAROUTER_DB_SSL=off)"
    LOOPBACK = "loopback"
    SOCKET = "socket"


def ssl_mode(settings: Settings, host: str) -> Mode:
    """How a connection to ``host`` is protected: a name, an address or a socket directory.

    OFF and LOOPBACK use TLS where the server offers it, and verify nothing.
    """
    if host.startswith("/"):
        return Mode.SOCKET
    if settings.db_ssl_ca:
        return Mode.VERIFIED
    if is_loopback(host):
        return Mode.LOOPBACK
    return Mode.OFF if settings.db_ssl == "off" else Mode.VERIFIED


def described(settings: Settings) -> str:
    """The modes of all hosts as text: once if they are alike, else of each host."""
    modes = {f"{host}:{port}": ssl_mode(settings, host) for host, port in settings.db_servers}
    if len(set(modes.values())) == 1:
        return next(iter(modes.values())).value
    return ", ".join(f"{where} {mode}" for where, mode in modes.items())
