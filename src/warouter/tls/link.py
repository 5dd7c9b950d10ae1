"""TLS for links between hosts: a certificate per incarnation, pinned by its fingerprint.

The fingerprint travels in the node row, so the database is the root of trust and no CA is needed.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import tempfile
from pathlib import Path


def on_this_host(host: str) -> bool:
    """True if ``host`` is loopback: such links need no TLS."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def server_context(name: str) -> tuple[ssl.SSLContext, str]:
    """A context with a fresh certificate for ``name``, and its SHA-256 fingerprint in hex."""
    # Only here: it loads 8 MiB that a process on loopback has no use for.
    from warouter.tls.certificate import self_signed

    cert, key = self_signed(name, [name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "link.pem"
        path.touch(mode=0o600)
        path.write_bytes(cert + key)
        context.load_cert_chain(path)
    return context, hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.decode())).hexdigest()


def client_context() -> ssl.SSLContext:
    """A context that encrypts only; ``pinned`` checks the peer's identity."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def pinned(tls_object: ssl.SSLObject | ssl.SSLSocket | None, fingerprint: str) -> bool:
    """True if the peer showed the certificate that its node row names."""
    der = tls_object.getpeercert(binary_form=True) if tls_object is not None else None
    return der is not None and hashlib.sha256(der).hexdigest() == fingerprint
