"""The header ``Idempotency-Key``, by which a repeated request is recognised. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from warouter.errors import ParameterInvalid
from warouter.link.wire import IdempotencyKey

HEADER = "Idempotency-Key"
MOST_CHARS = 255


def key_of(
    given: Sequence[str], username: str, body: bytes, number: int = 1
) -> IdempotencyKey | None:
    """The key from the values of the header; None without one.

    Keys are each user's own, and a user is one of a number. ParameterInvalid for a key that is
    none, or more than one.
    """
    if not given:
        return None
    text = given[0]
    good = 0 < len(text) <= MOST_CHARS and text.isascii() and text.isprintable()
    if len(given) > 1 or not good:
        raise ParameterInvalid(
            f"{HEADER} must be given once, with 1 to {MOST_CHARS} printable ASCII characters"
        )
    # No user name has a NUL, so no two pairs read the same, and none begins with a number.
    of_number = b"" if number == 1 else b"\0" + number.to_bytes(4, "little")
    name = of_number + username.encode() + b"\0" + text.encode()
    return IdempotencyKey(sha256(name).digest(), sha256(body).digest())
