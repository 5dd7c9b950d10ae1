"""Identifies an upstream frame that cannot be decoded, as far as its beginning tells. Pure.

The framing stands, so one frame says nothing against the next. An event that can be identified by
its slot and number is acknowledged, or it would come again for ever.
"""

from __future__ import annotations

from base64 import b64encode
from typing import NamedTuple

from warouter._hash import SLOTS

HEAD = 4096  # bytes that are kept of a frame that is too large
SHOWN = 2_880  # bytes of a frame that a log line shows; in base64 they fit into one field
EVENT, ANSWER = "event", "answer"
_NUMBERS = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}  # msgpack's unsigned integers
_LONG_ARRAYS = {0xDC: 2, 0xDD: 4}


class Broken(NamedTuple):
    """A frame that cannot be decoded; ``what`` is its tag or "", ``number`` that of an event."""

    what: str
    slot: int | None
    number: int | None
    reason: str
    frame: bytes

    @property
    def shown(self) -> str:
        """The first bytes in base64."""
        return b64encode(self.frame[:SHOWN]).decode()


def identify(frame: bytes | memoryview, reason: str) -> Broken:
    """Read tag, slot and event number from the beginning of the frame."""
    head = bytes(frame[:HEAD])
    try:
        at = _array(head)
        tag, at = _text(head, at)
    except (IndexError, ValueError):
        return Broken("", None, None, reason, head)
    slot = number = None
    try:
        slot, at = _number(head, at)
        if tag == EVENT:
            number, _ = _number(head, at)
    except (IndexError, ValueError):
        pass
    return Broken(tag, slot if slot is not None and slot < SLOTS else None, number, reason, head)


def _array(head: bytes) -> int:
    """The offset of an array's first element; all readers here raise ValueError if malformed."""
    if head[0] & 0xF0 == 0x90:
        return 1
    if head[0] in _LONG_ARRAYS:
        return 1 + _LONG_ARRAYS[head[0]]
    raise ValueError("no array")


def _text(head: bytes, at: int) -> tuple[str, int]:
    """A short string, such as a tag, and the offset of the next element."""
    if head[at] & 0xE0 != 0xA0:
        raise ValueError("no short string")
    end = at + 1 + (head[at] & 0x1F)
    return head[at + 1 : end].decode("ascii"), end


def _number(head: bytes, at: int) -> tuple[int, int]:
    if head[at] < 0x80:
        return head[at], at + 1
    if head[at] not in _NUMBERS:
        raise ValueError("no unsigned integer")
    end = at + 1 + _NUMBERS[head[at]]
    if end > len(head):
        raise IndexError("cut off")
    return int.from_bytes(head[at + 1 : end], "big"), end
