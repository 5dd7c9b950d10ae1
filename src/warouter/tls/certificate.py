"""Certificates: creates self-signed ones, and checks those that an administrator uploads.

Loads 8 MiB: whoever needs it rarely imports it where it is needed.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from warouter.tls import pem

_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_SKEW = timedelta(minutes=5)  # between the clocks of who signs and who serves
_MOST_IN_CHAIN = 10
_MOST_RSA_BITS = 8192


def self_signed(name: str, hosts: Sequence[str], days: int = 825) -> tuple[bytes, bytes]:
    """A new (certificate, private key) in PEM: P-256, valid for ``days`` days, from an hour ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_name(h) for h in hosts]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


class Pair(NamedTuple):
    """A certificate with its chain, leaf first, and its private key, in PEM."""

    chain: str
    key: str


def checked_pair(text: str, now: datetime | None = None) -> Pair:
    """The pair in PEM text with certificates and one private key in any order.

    ValueError says why a server could not serve with it from ``now`` on; without it, whatever the
    dates are.
    """
    blocks = pem.blocks(text)
    keys = [block for label, block in blocks if label.endswith("PRIVATE KEY")]
    if len(keys) != 1:
        raise ValueError(f"there must be one private key, not {len(keys)}")
    certificates = _certificates(text)
    if len(certificates) > _MOST_IN_CHAIN:
        raise ValueError(f"there are {len(certificates)} certificates, more than {_MOST_IN_CHAIN}")
    key = _private_key(keys[0])
    public = _public_bytes(key.public_key())
    own = [c for c in certificates if _public_bytes(c.public_key()) == public]
    if not own:
        raise ValueError("the private key belongs to none of the certificates")
    chain = _chain(own[0], [c for c in certificates if c != own[0]])
    if now is not None:
        for certificate in chain:
            _check_dates(certificate, now)
    pair = Pair("".join(_pem(c) for c in chain), _key_pem(key))
    try:
        pem.server_context(pair.chain + pair.key)
    except ssl.SSLError as error:
        raise ValueError(f"OpenSSL rejects it: {error.reason or error}") from None
    return pair


def checked_authorities(text: str) -> str:
    """The certificates in PEM text, each once; ValueError if there is none, or a damaged one."""
    if any(label != "CERTIFICATE" for label, _ in pem.blocks(text)):
        raise ValueError("only certificates are allowed here, no keys")
    bundle = "".join(dict.fromkeys(_pem(c) for c in _certificates(text)))
    try:
        ssl.create_default_context(cadata=bundle)
    except ssl.SSLError as error:
        raise ValueError(f"OpenSSL rejects it: {error.reason or error}") from None
    return bundle


def signers(chain: str) -> str:
    """The issuers in a PEM chain: all but the first, or a self-signed one itself; "" if unknown."""
    leaf, *rest = _certificates(chain)
    if rest:
        return "".join(_pem(c) for c in rest)
    return _pem(leaf) if _issued(leaf, leaf) else ""


def validity(text: str, *, bundle: bool = False) -> tuple[datetime, datetime]:
    """From when to when all certificates in PEM text are valid, of a ``bundle`` of authorities one
    of them; ValueError if there is none or one is damaged.
    """
    found = _certificates(text)
    begins = [c.not_valid_before_utc for c in found]
    ends = [c.not_valid_after_utc for c in found]
    return (min(begins), max(ends)) if bundle else (max(begins), min(ends))


def _certificates(text: str) -> list[x509.Certificate]:
    found = [block for label, block in pem.blocks(text) if label == "CERTIFICATE"]
    if not found:
        raise ValueError("there is no certificate in PEM form")
    try:
        return [x509.load_pem_x509_certificate(block.encode()) for block in found]
    except ValueError:
        raise ValueError("a certificate is damaged") from None


def _private_key(block: str) -> _PrivateKey:
    try:
        # The full validation takes seconds for a large RSA key, and holds the interpreter so long.
        key = serialization.load_pem_private_key(
            block.encode(), None, unsafe_skip_rsa_key_validation=True
        )
    except TypeError:
        raise ValueError("the private key is encrypted: send it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the private key is damaged or of an unknown kind") from None
    if not isinstance(key, _PrivateKey):
        raise ValueError("the private key must be an RSA, EC or Ed25519 key")
    if isinstance(key, rsa.RSAPrivateKey):
        _check_rsa(key)
    return key


def _check_rsa(key: rsa.RSAPrivateKey) -> None:
    """Raises ValueError unless signatures by this key can be verified."""
    if key.key_size > _MOST_RSA_BITS:
        raise ValueError(f"the private key has more than {_MOST_RSA_BITS} bits")
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()
    try:
        key.public_key().verify(key.sign(b"", scheme, digest), b"", scheme, digest)
    except (InvalidSignature, ValueError):
        raise ValueError("the private key is damaged or of an unknown kind") from None


def _chain(leaf: x509.Certificate, rest: list[x509.Certificate]) -> list[x509.Certificate]:
    """The chain, leaf first, each followed by its issuer; ValueError for others beside it."""
    chain, left = [leaf], list(rest)
    while left:
        signer = next((c for c in left if _issued(chain[-1], c)), None)
        if signer is None:
            raise ValueError("a certificate does not belong to the chain of the others")
        chain.append(signer)
        left.remove(signer)
    return chain


def _issued(certificate: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if certificate.not_valid_after_utc <= now:
        raise ValueError(f"a certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if certificate.not_valid_before_utc > now + _SKEW:
        begins = certificate.not_valid_before_utc
        raise ValueError(f"a certificate is not valid before {begins:%Y-%m-%d %H:%M} UTC")


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: _PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _public_bytes(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
