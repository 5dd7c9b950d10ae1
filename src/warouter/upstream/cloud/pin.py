"""The pin of the number's two-step verification, as it is kept: encrypted with the app's secret.

Meta asks for it whenever the number is registered anew, and shows it to nobody. The key is
HKDF-SHA256(app secret, info="warouter two-step pin"), 32 bytes; the cipher is AES-256-GCM, and the
text base64 of nonce (12 bytes), ciphertext and tag (16).
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12
_INFO = b"warouter two-step pin"


def draw() -> str:
    """A random pin of six digits."""
    return f"{secrets.randbelow(1_000_000):06d}"


def sealed(pin: str, app_secret: str) -> str:
    """The pin as text that only this secret opens."""
    nonce = secrets.token_bytes(_NONCE)
    return b64encode(nonce + _cipher(app_secret).encrypt(nonce, pin.encode(), None)).decode()


def opened(text: str, app_secrets: Iterable[str]) -> str | None:
    """The pin, None if none of these secrets opens it."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        return None
    for secret in app_secrets:
        try:
            return _cipher(secret).decrypt(raw[:_NONCE], raw[_NONCE:], None).decode()
        except (InvalidTag, ValueError):
            continue
    return None


def _cipher(app_secret: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, None, _INFO).derive(app_secret.encode()))
