"""TLS contexts for PostgreSQL from files, kept until one of the files is renewed.

So a renewed certificate or authority counts from the next connection on, without a restart. Files
that cannot be used, such as a new certificate whose key is still to come, leave the last context in
force and are logged once.
"""

from __future__ import annotations

import logging
import os
import ssl
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from warouter.config import Settings
from warouter.errors import UntrustedDatabase
from warouter.log import Outage

log = logging.getLogger(__name__)

# By file: path, inode, size and time of its last change. Empty for a file that is not set.
_Version = tuple[str, int, int, int]
_UNSET: _Version = ("", 0, 0, 0)
_AUTHORITIES = "WA_DB_SSL_CA"
_CERTIFICATE = "WA_DB_SSL_CERT"
_KEY = "WA_DB_SSL_KEY"


class _Made(NamedTuple):
    context: ssl.SSLContext
    ends: datetime | None  # of the client's certificate


# By paths, and whether the server is verified.
_last: dict[tuple[str, str, str, bool], _Made] = {}
_outage = Outage()


def context(settings: Settings, *, verified: bool) -> ssl.SSLContext:
    """The context of a connection that begins now; ``verified`` checks the server's certificate
    and name, by WA_DB_SSL_CA or the system's authorities.

    UntrustedDatabase says which file cannot be used, and what to do.
    """
    if settings.db_ssl_key and not settings.db_ssl_cert:
        raise UntrustedDatabase(f"{_KEY} is set without {_CERTIFICATE}: set both, or neither.")
    paths = settings.db_ssl_ca, settings.db_ssl_cert, settings.db_ssl_key, verified
    try:
        made = _last[paths] = _present(*paths)
        _outage.ends()
    except UntrustedDatabase as error:
        if paths not in _last:
            raise
        made = _last[paths]
        if _outage.begins():
            log.error("certificate refresh failed", extra={"error": str(error)})
    if made.ends is not None and made.ends <= datetime.now(UTC):
        raise UntrustedDatabase(
            f"The certificate in {_CERTIFICATE} ({settings.db_ssl_cert}) expired on"
            f" {made.ends:%Y-%m-%d}: replace it and its key."
        )
    return made.context


def has_verified(tls: ssl.SSLObject | None) -> bool:
    """True if the server has proved by TLS who it is."""
    if tls is None:
        return False
    return tls.context.verify_mode is ssl.CERT_REQUIRED and tls.context.check_hostname


def _present(ca: str, certificate: str, key: str, verified: bool) -> _Made:
    """The TLS context of the files as they are now."""
    authorities = _version(ca, _AUTHORITIES) if ca else _system_version()
    return _made(
        ca, authorities, _version(certificate, _CERTIFICATE), _version(key, _KEY), verified
    )


@lru_cache(maxsize=8)  # the last ones; a system's authorities take tens of milliseconds to load
def _made(
    ca: str, _authorities: _Version, certificate: _Version, key: _Version, verified: bool
) -> _Made:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verified:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    elif ca:
        try:
            made.load_verify_locations(cafile=ca)
        except OSError as error:  # ssl.SSLError is one
            raise _unusable(_AUTHORITIES, ca, error) from error
    else:
        made.load_default_certs()
    return _Made(made, _show_certificate(made, certificate[0], key[0]) if certificate[0] else None)


def _show_certificate(made: ssl.SSLContext, certificate: str, key: str) -> datetime:
    """Show the server this certificate; returns when it ends."""
    # Only here: it loads 9 MiB that a process without such a certificate has no use for.
    from cryptography import x509

    try:
        # Without a password OpenSSL would ask the terminal for one.
        made.load_cert_chain(certificate, key or None, password="")
        with open(certificate, "rb") as file:
            return x509.load_pem_x509_certificate(file.read()).not_valid_after_utc
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UntrustedDatabase(
                f"The key in {_KEY} ({key or certificate}) is not that of the certificate in"
                f" {_CERTIFICATE} ({certificate}): set the two that belong together."
            ) from error
        raise UntrustedDatabase(
            f"{_CERTIFICATE} ({certificate}) and {_KEY} ({key or certificate}) cannot be loaded"
            f" ({error.reason or error}): give PEM files of a certificate and of its key without"
            " a password."
        ) from error
    except (OSError, ValueError) as error:
        raise _unusable(_CERTIFICATE, certificate, error) from error


def _version(path: str, name: str) -> _Version:
    """The file's present version; reads nothing but whether it may be read."""
    if not path:
        return _UNSET
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
    except OSError as error:
        raise _unusable(name, path, error) from error
    return path, found.st_ino, found.st_size, found.st_mtime_ns


def _system_version() -> _Version:
    """The version of the file with the system's authorities, which a package may update."""
    path = ssl.get_default_verify_paths().cafile
    return _version(path, "The file of the system's authorities") if path else _UNSET


def _unusable(name: str, path: str, error: Exception) -> UntrustedDatabase:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
    return UntrustedDatabase(
        f"{name} is {path}, which cannot be loaded ({reason}): set it to a PEM file that"
        " this account may read."
    )
