"""Limits outgoing HTTP to public addresses, and to networks that the operator listed.

With ``ports``, to public addresses only on these.

Used for callbacks and for media links: both go to addresses that a client of the API named, an
administrator or any user, and each has a list of its own.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from aiohttp import AddrInfoType

from warouter.app_settings import Network, is_allowed, is_listed
from warouter.config import WEBHOOK_NETWORKS
from warouter.errors import ConfigError


def socket_factory(
    allow_private: Sequence[Network],
    ports: Collection[int] | None = None,
    listed_in: str = WEBHOOK_NETWORKS,
) -> Callable[[AddrInfoType], socket.socket]:
    """A factory for aiohttp's TCPConnector: a socket for an allowed address, else OSError (EACCES).

    This is the one place that every connection passes, after the name was resolved and with the
    very address that is connected to: there is no second lookup to be lied to.
    """

    def open_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        host = ipaddress.ip_address(str(address[0]))
        if not is_allowed(host, allow_private):
            raise OSError(errno.EACCES, f"address is not public and not in {listed_in}")
        if ports is not None and address[1] not in ports and not is_listed(host, allow_private):
            raise OSError(errno.EACCES, "port is not in WAROUTER_WEBHOOK_PORTS")
        return socket.socket(family, kind, protocol)

    return open_socket


class ClientCertificate(NamedTuple):
    """PEM files that authenticate us to a receiver."""

    cert: str
    key: str


def client_certificate(cert: str, key: str) -> ClientCertificate | None:
    """The client certificate, loaded once to test it; None without files. Raises ConfigError."""
    if not cert and not key:
        return None
    if not cert or not key:
        raise ConfigError(
            "WAROUTER_WEBHOOK_CLIENT_CERT and WAROUTER_WEBHOOK_CLIENT_KEY go together."
        )
    client = ClientCertificate(cert, key)
    try:
        receiver_tls("", client)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"WAROUTER_WEBHOOK_CLIENT_CERT {cert} with the key {key} cannot be loaded ({error}):"
            " give PEM files of the two that the account of this process may read."
        ) from error
    return client


def receiver_tls(ca: str, client: ClientCertificate | None) -> ssl.SSLContext:
    """A TLS context that verifies a receiver with ``ca`` (PEM)
    alone, or "" for the system's authorities.

    ssl.SSLError for what holds no certificate, OSError for files that cannot be read.
    """
    context = ssl.create_default_context(cadata=ca or None)
    if ca:
        # What a business runs itself is seldom up to the letter of RFC 5280, nor always a root.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    return context
