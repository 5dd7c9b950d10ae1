"""The header ``Idempotency-Key``, by which a repeated request is recognised. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from warouter.errors import ParameterInvalid
from warouter.link.wire import IdempotencyKey

HEADER = "Idempotency-Key"
MOST_CHARS = 255


def key_of(given: Sequence[str], username: str, body: bytes) -> IdempotencyKey | None:
    """The key from the values of the header; None without one.

    Keys are each user's own. ParameterInvalid for a key that is none, or more than one.
    """
    if not given:
        return None
    text = given[0]
    good = 0 < len(text) <= MOST_CHARS and text.isascii() and text.isprintable()
    if len(given) > 1 or not good:
        raise ParameterInvalid(
            f"{HEADER} must be given once, with 1 to {MOST_CHARS} printable ASCII characters"
        )
    # No user name has a NUL, so no two pairs read the same.
    return IdempotencyKey(
        sha256(username.encode() + b"\0" + text.encode()).digest(), sha256(body).digest()
    )
