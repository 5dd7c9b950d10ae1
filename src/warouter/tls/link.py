"""TLS for links between hosts: a certificate per incarnation, pinned by its fingerprint both ways.

The node rows name the certificates, so the database is the root of trust and no CA is needed. A pin
alone decides: no date is looked at, or a process that runs for longer than its certificate would
lose its links, and so would a host whose clock is wrong.
"""

from __future__ import annotations

import hashlib
import ssl
from typing import NamedTuple

from warouter.tls import pem

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, for which Python has no name


class LinkCertificate(NamedTuple):
    """A certificate in DER, and the same with its private key in PEM."""

    der: bytes
    pem: str

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.der)


def fresh(name: str) -> LinkCertificate:
    """A new certificate. ``name`` has to be an incarnation's own: OpenSSL looks for it by that."""
    # Only here: it loads 8 MiB that a process on loopback has no use for.
    from warouter.tls.certificate import self_signed

    cert, key = self_signed(name, [name])
    return LinkCertificate(ssl.PEM_cert_to_DER_cert(cert.decode()), (cert + key).decode())


def fingerprint(der: bytes) -> str:
    """The fingerprint of a certificate: its SHA-256 in hex."""
    return hashlib.sha256(der).hexdigest()


def server_context(own: LinkCertificate) -> ssl.SSLContext:
    """A context that shows ``own`` and asks for the caller's certificate, which has to be one that
    was ``trust``ed. It lets callers without one through: whoever listens decides on those.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # whoever comes back proves itself again
    context.verify_flags |= _NO_CHECK_TIME
    context.verify_mode = ssl.CERT_OPTIONAL
    pem.load(context, own.pem)
    return context


def trust(context: ssl.SSLContext, der: bytes) -> None:
    """Let callers with this certificate through a handshake; ssl.SSLError if it is damaged.

    Python cannot ask for a certificate without a list of those to trust.
    """
    context.load_verify_locations(cadata=der)


def client_context(own: LinkCertificate) -> ssl.SSLContext:
    """A context that shows ``own`` and encrypts; ``pinned`` checks the peer's identity."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    pem.load(context, own.pem)
    return context


def shown(tls_object: ssl.SSLObject | ssl.SSLSocket | None) -> str | None:
    """The fingerprint of the certificate that the peer showed; None if it showed none."""
    der = tls_object.getpeercert(binary_form=True) if tls_object is not None else None
    return None if der is None else fingerprint(der)


def pinned(tls_object: ssl.SSLObject | ssl.SSLSocket | None, fingerprint: str) -> bool:
    """True if the peer showed the certificate that its node row names."""
    return shown(tls_object) == fingerprint
