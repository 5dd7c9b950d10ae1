"""Whom an element of a webhook is about: numbers, user ids, and its element of contacts[]. Pure.

A user may have a number, a user id (BSUID), or both. Meta leaves out what it does not tell, and a
user id was seen where a number belongs; so each value is taken for what it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from warouter.recipient import MAX_DIGITS, MIN_DIGITS
from warouter.upstream.cloud import lenient

LONGEST_NAME = 512  # characters
_LONGEST_USER_ID = 256  # documented: 131, and a few more for the parent's

# It begins with the letters of a country.
_USER_ID = re.compile(rf"[A-Za-z][!-~]{{0,{_LONGEST_USER_ID - 1}}}").fullmatch


class Party(msgspec.Struct, frozen=True, gc=False):
    """One element of contacts[]; what is not told is empty. ``raw`` is its JSON."""

    wa_id: str = ""
    user_id: str = ""
    parent_user_id: str = ""
    username: str = ""
    name: str = ""
    identity_hash: str = ""
    raw: bytes = b""


NOBODY = Party()


class Parties:
    """The contacts[] of one value."""

    def __init__(self, parties: Iterable[Party]) -> None:
        self._all = tuple(parties)
        self._by_number = {party.wa_id: party for party in self._all if party.wa_id}
        self._by_user = {party.user_id: party for party in self._all if party.user_id}

    def find(self, wa_id: str, user_id: str) -> Party:
        """The contact with this user id or this number; NOBODY if there is none.

        An element that says neither belongs to the only contact.
        """
        if not wa_id and not user_id:
            return self._all[0] if len(self._all) == 1 else NOBODY
        party = self._by_user.get(user_id) or self._by_number.get(wa_id) or NOBODY
        if user_id and party.user_id not in ("", user_id):
            return NOBODY  # the number's, but another user's
        return party


def party_of(raw: Raw) -> Party | None:
    """An element of contacts[]; None if it cannot be read."""
    found = lenient.whole(raw)
    if found is None:
        return None
    json, contact = found
    profile = contact.get("profile")
    profile = profile if isinstance(profile, dict) else {}
    wa_id, user_id = ids_of(contact, "wa_id", "user_id")
    return Party(
        wa_id,
        user_id,
        user_of(contact.get("parent_user_id")),
        word_of(profile, "username"),
        word_of(profile, "name"),
        word_of(contact, "identity_key_hash"),
        json,
    )


def ids_of(found: Mapping[str, Any], number: str, user: str) -> tuple[str, str]:
    """The wa_id and the user id in the two fields of these names; each "" if it is not told."""
    value = found.get(number)
    wa_id = number_of(value)
    return wa_id, user_of(found.get(user)) or ("" if wa_id else user_of(value))


def number_of(value: object) -> str:
    """The digits of a wa_id, "" for anything that is none."""
    if not isinstance(value, str):
        return ""
    digits = value.removeprefix("+")
    is_number = MIN_DIGITS <= len(digits) <= MAX_DIGITS and digits.isascii() and digits.isdigit()
    return digits if is_number else ""


def user_of(value: object) -> str:
    """A user id, "" for anything that is none."""
    return value if isinstance(value, str) and _USER_ID(value) else ""


def word_of(found: Mapping[str, Any], name: str, longest: int = LONGEST_NAME) -> str:
    """A text that PostgreSQL can hold: without NUL, bounded, "" for anything else."""
    value = found.get(name)
    return value.replace("\0", "")[:longest] if isinstance(value, str) else ""
