"""The rule that turns a written number into its wa_id. Pure.

Frozen: the wa_id decides the slot, and the slot is stored with every message.
"""

from __future__ import annotations

_DROPPED = str.maketrans("", "", "+()-. ")
_DIGITS = frozenset("0123456789")
MIN_DIGITS, MAX_DIGITS = 5, 15


def wa_id(spelling: str) -> str:
    """The wa_id (5 to 15 ASCII digits) of a written number.

    Drops ``+ ( ) - .`` and spaces, then a leading ``00``; anything else than ASCII digits that is
    left, a number of them outside 5..15, or a ``+`` that is not the only one and before all digits,
    raises ValueError with a sentence that says why.
    """
    if (  # as most senders write it: nothing to drop
        MIN_DIGITS <= len(spelling) <= MAX_DIGITS
        and spelling.isascii()
        and spelling.isdigit()
        and not spelling.startswith("00")
    ):
        return spelling
    before, plus, _ = spelling.rpartition("+")
    if plus and before.strip(" ("):
        raise ValueError("a number has one + at most, before all digits")
    digits = spelling.translate(_DROPPED)
    digits = digits.removeprefix("00")
    if not digits:
        raise ValueError("the number has no digits")
    if not _DIGITS.issuperset(digits):
        raise ValueError("a number may only have digits, + ( ) - . and spaces")
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        raise ValueError(f"a number has {MIN_DIGITS} to {MAX_DIGITS} digits, not {len(digits)}")
    return digits
