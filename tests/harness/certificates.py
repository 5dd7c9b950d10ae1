"""A certificate authority of a test's own, and what it signs."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


class Signed:
    """A certificate with its key, signed by ``signer`` or by itself; PEM texts."""

    def __init__(
        self,
        name: str = "localhost",
        signer: Signed | None = None,
        *,
        authority: bool = False,
        days: float = 30,
        begins: float = -1,
        key: Any = None,
    ) -> None:
        self.private = key or ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name((signer or self).subject)
            .public_key(self.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=begins))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign((signer or self).private, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.key = self._key(serialization.NoEncryption())
        self.locked_key = self._key(serialization.BestAvailableEncryption(b"pass"))

    def _key(self, encryption: serialization.KeySerializationEncryption) -> str:
        form = serialization.PrivateFormat.PKCS8
        text: bytes = self.private.private_bytes(serialization.Encoding.PEM, form, encryption)
        return text.decode()


def rsa_key(bits: int = 2048) -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)
