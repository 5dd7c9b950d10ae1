"""The server at the other end of a session in TLS."""

from __future__ import annotations

from typing import NamedTuple

from warouter.store.database import TRANSPORT, Connection
from warouter.store.transport.contexts import has_verified


class ServerPeer(NamedTuple):
    """``verified``: its authority and its name are checked."""

    verified: bool
    certificate: bytes  # DER


def peer_of(connection: Connection) -> ServerPeer | None:
    """The other end of a connection in TLS; None without, or where asyncpg hides its socket."""
    transport = getattr(connection, TRANSPORT, None)
    found = None if transport is None else transport.get_extra_info("ssl_object")
    if found is None:
        return None
    return ServerPeer(has_verified(found), found.getpeercert(binary_form=True) or b"")
