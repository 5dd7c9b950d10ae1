"""Verified-name certificates of the registration authority.

A certificate is the base64 of an Ed25519 signature (64 bytes) and the JSON that it signs: number,
display name, and from when to when it is valid.
"""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VALID_S = 365 * 24 * 3600
_SIGNATURE = 64
_LONGEST = 4096
# How far the clocks of two machines may be apart.
_SKEW_S = 300


class NumberCertificate(msgspec.Struct, frozen=True):
    """The content of a certificate: this number (digits, country code first) has this display name.

    ``issued`` and ``expires`` are unix seconds.
    """

    number: str
    name: str
    issued: int
    expires: int


def issue(key: Ed25519PrivateKey, certificate: NumberCertificate) -> str:
    """A new certificate as base64 text."""
    signed = msgspec.json.encode(certificate)
    return base64.b64encode(key.sign(signed) + signed).decode("ascii")


def check(cert: str, public_key: bytes, now: float) -> NumberCertificate:
    """The content of a certificate that the key ``public_key``
    (32 bytes) signed; raises ValueError for any other.

    ``now`` is unix seconds. ValueError with a sentence if it is malformed, of another authority or
    altered, not valid yet, or expired.
    """
    raw = _raw(cert)
    signature, signed = raw[:_SIGNATURE], raw[_SIGNATURE:]
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except InvalidSignature as error:
        raise ValueError("the certificate's signature is wrong") from error
    try:
        certificate = msgspec.json.decode(signed, type=NumberCertificate)
    except msgspec.DecodeError as error:
        raise ValueError("the certificate is malformed") from error
    if now < certificate.issued - _SKEW_S:
        raise ValueError("the certificate is not valid yet")
    if now >= certificate.expires:
        day = datetime.fromtimestamp(certificate.expires, UTC).date()
        raise ValueError(f"the certificate expired on {day}")
    return certificate


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32-byte public key for ``check``."""
    return key.public_key().public_bytes_raw()


def kept_key(path: Path) -> Ed25519PrivateKey:
    """The key in the file, which is created (mode 0600) if it does not exist.

    OSError if the file cannot be read or made, ValueError if it holds something else. Blocks.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return _new_key(path)
    if len(raw) != 32:
        raise ValueError(f"{path} is not an authority key: it has {len(raw)} bytes, not 32")
    return Ed25519PrivateKey.from_private_bytes(raw)


def _new_key(path: Path) -> Ed25519PrivateKey:
    # Written beside and linked into place, so nobody ever reads half a key or replaces another's.
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes_raw())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)
    except FileExistsError:
        return kept_key(path)
    finally:
        beside.unlink()
    return key


def _raw(cert: str) -> bytes:
    text = "".join(cert.split())
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError("the certificate is not base64") from error
    if not _SIGNATURE < len(raw) <= _LONGEST:
        raise ValueError("the certificate is malformed")
    return raw
