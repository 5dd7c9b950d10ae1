"""The signature of Meta's webhooks: ``X-Hub-Signature-256``. Pure.

It is HMAC-SHA256 under the app secret over the bytes of the body as they came, before any decoding:
Meta escapes what is beyond ASCII and signs that. While a secret is replaced, two are in force.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

FIELD = b"x-hub-signature-256"
_FORM = re.compile(rb"sha256=([0-9A-Fa-f]{64})")


def sign(body: bytes, secret: str) -> str:
    """The field's value for a body: ``sha256=`` and 64 hex digits."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def is_formed(said: bytes) -> bool:
    """True if ``said`` has the form of a signature: who sends anything else is not Meta."""
    return _FORM.fullmatch(said) is not None


def is_signed(body: bytes, said: bytes, secrets: Sequence[str]) -> bool:
    """True if ``said``, the field's value, is the signature of the body under one of the secrets.

    Takes as long for a wrong signature as for a right one, whichever secret it is of.
    """
    form = _FORM.fullmatch(said)
    if form is None:
        return False
    digest = bytes.fromhex(form[1].decode())
    fits = [
        hmac.compare_digest(hmac.digest(secret.encode(), body, "sha256"), digest)
        for secret in secrets
    ]
    return any(fits)
