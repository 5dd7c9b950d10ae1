"""Certificates for tests: by trustme where an authority signs, by the product where nobody does."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import serialization
from trustme import CA, KeyType

from warouter.tls import pem
from warouter.tls.certificate import self_signed


class Pair(NamedTuple):
    """A certificate and its private key, in PEM."""

    pem: str
    key: str


def alone(name: str = "localhost") -> Pair:
    """It signs itself."""
    certificate, key = self_signed(name, [name, "127.0.0.1"])
    return Pair(certificate.decode(), key.decode())


def issued(
    authority: CA,
    *,
    name: str = "localhost",
    also: Sequence[str] = (),
    begins: float = -1,
    ends: float = 30,
    key_type: KeyType = KeyType.ECDSA,
) -> Pair:
    """For ``name``, 127.0.0.1 and ``also``; ``begins`` and ``ends`` are days from now."""
    now = datetime.now(UTC)
    leaf = authority.issue_cert(
        *(name, "127.0.0.1", *also),
        not_before=now + timedelta(days=begins),
        not_after=now + timedelta(days=ends),
        key_type=key_type,
    )
    key = key_of(leaf.private_key_pem.bytes().decode())
    return Pair(leaf.cert_chain_pems[0].bytes().decode(), in_pem(key))


def contexts(*names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's with a new certificate for these names, and a client's that trusts it."""
    certificate, key = (text.decode() for text in self_signed(names[0], names))
    return pem.server_context(certificate + key), ssl.create_default_context(cadata=certificate)


def text_of(authority: CA) -> str:
    """Its certificate in PEM."""
    return authority.cert_pem.bytes().decode()


def key_of(pem: str) -> Any:
    return serialization.load_pem_private_key(pem.encode(), None)


def in_pem(key: Any, password: bytes = b"") -> str:
    """A private key as PKCS #8, encrypted if there is a password."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked = serialization.BestAvailableEncryption(password) if password else None
    text: bytes = key.private_bytes(encoding, form, locked or serialization.NoEncryption())
    return text.decode()
