"""The outcome of a request: trouble on its way to a server, or what the server said. Pure."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class ContactTrouble(Enum):
    """Why there is no answer, as a sentence begins that names the host before it."""

    NAME = "has no address"
    REFUSED = "cannot be connected to"
    CERTIFICATE = "has a certificate that is not valid"
    TLS = "speaks no TLS that we do"
    SILENT = "does not answer in time"
    BROKEN = "gives no answer of HTTP"


class ServerContact(NamedTuple):
    """``trouble`` is None with an answer; then come its status, the field Date, its body's
    beginning. ``sent`` and ``heard`` are unix seconds by our clock. ``words`` are the library's.
    """

    trouble: ContactTrouble | None = None
    words: str = ""
    status: int = 0
    date: str = ""
    body: bytes = b""
    sent: float = 0.0
    heard: float = 0.0


_REMEDIES = {
    ContactTrouble.NAME: "Check the name, and the DNS servers of this host.",
    ContactTrouble.REFUSED: "Check that something listens there, and that no firewall is between.",
    ContactTrouble.CERTIFICATE: "It must be of an authority that is trusted, for this name, not"
    " expired, and sent with its whole chain.",
    ContactTrouble.TLS: "Check that this port speaks TLS, and no older one than 1.2.",
    ContactTrouble.SILENT: "Check that the webapp answers, and that nothing between drops it.",
    ContactTrouble.BROKEN: "Check what listens there.",
}


def remedy(trouble: ContactTrouble) -> str:
    """The advice against this trouble."""
    return _REMEDIES[trouble]
