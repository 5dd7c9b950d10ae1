"""Ids of messages in the form that Meta's have: ``wamid.`` and base64. Pure.

Decoded, one is three bytes, the customer's number in ASCII, four bytes that tell the direction, a
length, and hexadecimal letters. Who gets one must take it as opaque.
"""

from __future__ import annotations

import base64

_LETTERS = 18
_OUT, _IN = 0x11, 0x12


class Wamids:
    """Ids of one process: the n-th message to or from a customer. ``prefix`` (32 bits, at random)
    sets those of another process apart.
    """

    def __init__(self, prefix: int) -> None:
        self._prefix = f"{prefix & 0xFFFFFFFF:08X}"

    def outgoing(self, customer: str, n: int) -> str:
        """The id of the n-th message that was accepted; ``customer`` is a number or a user id."""
        return self._id(customer, _OUT, n)

    def incoming(self, customer: str, n: int) -> str:
        """The id of the n-th message from a customer."""
        return self._id(customer, _IN, n)

    def _id(self, customer: str, direction: int, n: int) -> str:
        name = customer.encode()
        letters = f"{self._prefix}{n:010X}".encode()
        head = bytes((0x1C, 0x18, len(name))) + name
        tail = bytes((0x15, 0x02, 0x00, direction, 0x18, _LETTERS)) + letters + b"\0"
        return "wamid." + base64.b64encode(head + tail).decode()
