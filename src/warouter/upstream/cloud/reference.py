"""The reference of an attempt: what Meta echoes in the statuses of a message. Pure.

``w1.<id>.<attempt>`` is the value of ``biz_opaque_callback_data``, 35 characters at most. The id
carries the slot, so any process routes a status without a look-up; the attempt shows when two
requests for one message were both taken. Strings of other senders lack the prefix.
"""

from __future__ import annotations

from warouter.message_id import parse, text_of

PREFIX = "w1."
MAX_ATTEMPT = 999

_ID_END = len(PREFIX) + 27


def reference(message_id: bytes, attempt: int) -> str:
    """The reference of an attempt; ValueError unless ``attempt`` is 1..999."""
    if not 1 <= attempt <= MAX_ATTEMPT:
        raise ValueError(f"an attempt is 1 to {MAX_ATTEMPT}, not {attempt}")
    return f"{PREFIX}{text_of(message_id)}.{attempt}"


def parse_reference(text: str) -> tuple[bytes, int] | None:
    """The id and the attempt in a reference, None for any string that ``reference`` never makes."""
    if not text.startswith(PREFIX) or text[_ID_END : _ID_END + 1] != ".":
        return None
    digits = text[_ID_END + 1 :]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 3) or digits[0] == "0":
        return None
    try:
        return parse(text[len(PREFIX) : _ID_END]), int(digits)
    except ValueError:
        return None
