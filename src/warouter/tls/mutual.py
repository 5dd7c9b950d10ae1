"""Mutual TLS: a server that asks its clients for a certificate, and who may show one.

The authority alone is not enough: a public one issues certificates to others too.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warouter.errors import CommandError


def authorities(ca_file: str) -> bytes:
    """The contents of the file, b"" without one. CommandError if it cannot be read."""
    try:
        return Path(ca_file).read_bytes() if ca_file else b""
    except OSError as error:
        raise _unusable(ca_file, error) from error


def ask(context: ssl.SSLContext, ca_file: str) -> None:
    """Admit only clients with a certificate of these authorities.

    An intermediate one may stand in the file alone. CommandError if the file cannot be used.
    """
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(ca_file, error) from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = ssl.CERT_REQUIRED


def is_named(certificate: Mapping[str, Any] | None, name: str) -> bool:
    """True if a certificate, as ``getpeercert`` shows it, is for ``name``.

    That is by one of its DNS names, or by its common name.
    """
    if not certificate:
        return False
    found = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    for part in certificate.get("subject", ()):
        found += [value for kind, value in part if kind == "commonName"]
    return name.lower() in (value.lower() for value in found)


def _unusable(ca_file: str, error: Exception) -> CommandError:
    return CommandError(
        f"The authorities in {ca_file} cannot be loaded ({error}):"
        " set WAROUTER_CLOUD_MTLS_CA to a PEM file."
    )
