"""Ids of inbound messages as people see them. Meta's hold the customer's whole number, for whoever
decodes them; so lists, addresses and commands have a short one: the message's place in its journal,
and letters that nobody can make of Meta's id without the database's key.

v1 and the callbacks keep Meta's: a client marks as read and quotes by it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from warouter.log import is_telling, key_of_id

_SHORT = re.compile(r"in-(\d{1,2})-(\d{1,18})-([a-z2-7]{13})", re.ASCII)


class ShortId(NamedTuple):
    """The parts of a short id: a place, and the letters of the id of the message there."""

    slot: int
    seq: int
    letters: str

    def stands_for(self, key: str) -> bool:
        """True if the message of this id is the one that was meant."""
        return key_of_id(key) == self.letters


def short_id(key: str, slot: int, seq: int) -> str:
    """The id of the inbound message at this place; the upstream's own if that tells no number."""
    return f"in-{slot}-{seq}-{key_of_id(key)}" if is_telling(key) else key


def parse_short(text: str) -> ShortId | None:
    """Read a short id; None for any other id."""
    found = _SHORT.fullmatch(text)
    return None if found is None else ShortId(int(found[1]), int(found[2]), found[3])
