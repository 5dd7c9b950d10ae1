"""Certificates of files and of the database, read for `warouter check`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import Any, NamedTuple

from warouter.check.facts import CertificateDates, FileAccess
from warouter.config import Settings
from warouter.stored import text_of
from warouter.tls.certificate import checked_pair, validity

# Variables of a certificate and of its key; without a key it is in the certificate's file.
_API = ("WAROUTER_TLS_CERT", "WAROUTER_TLS_KEY")
_CLOUD = ("WAROUTER_CLOUD_TLS_CERT", "WAROUTER_CLOUD_TLS_KEY")
PAIRS = (
    _API,
    _CLOUD,
    ("WA_DB_SSL_CERT", "WA_DB_SSL_KEY"),
    ("WAROUTER_WEBHOOK_CLIENT_CERT", "WAROUTER_WEBHOOK_CLIENT_KEY"),
)
AUTHORITIES = ("WA_DB_SSL_CA", "WAROUTER_CLOUD_MTLS_CA")
_DAY = 86_400.0


class Read(NamedTuple):
    """Certificates, and files that could not be read."""

    certificates: list[CertificateDates]
    unread: list[FileAccess]


def of_files(settings: Settings, values: Mapping[str, Any]) -> Read:
    """Read the certificates and keys that variables name and that are in use."""
    read = Read([], [])
    skipped = {
        *(_API if settings.no_tls else ()),
        *(_CLOUD if settings.upstream != "cloud" else ()),
    }
    for certificate, key in PAIRS:
        paths = list(dict.fromkeys(filter(None, (values[certificate], values[key]))))
        if values[certificate] and certificate not in skipped:
            _add(read, certificate, paths, pair=True)
    for name in AUTHORITIES:
        if values[name]:
            _add(read, name, [values[name]], pair=False)
    return read


def of_pem(name: str, text: str, *, pair: bool) -> CertificateDates:
    """A certificate with chain and key, or a bundle of authorities, which ends with the last."""
    try:
        if pair:
            text = checked_pair(text).chain
        begins, ends = validity(text, bundle=not pair)
    except ValueError as error:
        return CertificateDates(name=name, problem=str(error))
    return CertificateDates(name=name, begins=_days(begins), ends=_days(ends))


def of_der(name: str, der: bytes) -> CertificateDates:
    """A certificate as a peer has shown it."""
    return of_pem(name, DER_cert_to_PEM_cert(der), pair=False)


def of_setting(name: str, stored: Any, *fields: str) -> list[CertificateDates]:
    """A pair or a bundle that the API stored; nothing if there is none."""
    if stored == {}:
        return []
    text = text_of(stored, *fields)
    if text is None:
        return [CertificateDates(name=name, problem="what is stored is no PEM text")]
    return [of_pem(name, text, pair=len(fields) > 1)]


def _add(read: Read, name: str, paths: list[str], *, pair: bool) -> None:
    texts = []
    for path in paths:
        try:
            texts.append(Path(path).read_text(errors="replace"))
        except OSError as error:
            problem = error.strerror or type(error).__name__
            read.unread.append(FileAccess(name=name, path=path, problem=problem))
            return
    read.certificates.append(of_pem(f"{paths[0]} ({name})", "\n".join(texts), pair=pair))


def _days(when: datetime) -> float:
    return (when - datetime.now(UTC)).total_seconds() / _DAY
