"""Callback signatures by Standard Webhooks 1.0. Pure.

The id comes from the body: a batch that is sent again, by whomever owns its slot by then, has the
same id, so that a receiver can drop what it has seen. The signature covers id, time and body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64


def key_of(secret: str) -> bytes:
    """The key in ``whsec_`` and base64; a ValueError if it is not valid does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(
            f"a secret is {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} random bytes in base64"
        )
    return key


def signed(body: bytes, secrets: Sequence[str], now: int) -> dict[str, str]:
    """The three header fields for a body sent at ``now`` (unix s); empty without a secret.

    With several secrets there are as many signatures: a receiver that knows one is content.
    """
    if not secrets:
        return {}
    name = "msg_" + hashlib.sha256(body).hexdigest()[:32]
    said = f"{name}.{now}.".encode() + body
    return {
        "webhook-id": name,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(_signature(said, secret) for secret in secrets),
    }


def _signature(said: bytes, secret: str) -> str:
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), said, "sha256")).decode()
