"""How the Cloud API shows a customer: number, user id, name. Pure.

The user id (BSUID) is made from the number by a permutation of numbers, so the number is found
again without a memory. A customer with a username may be shown without the number; the wa_id of a
Brazilian or Mexican one may be spelled with a digit more or less than the number that was sent to.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import NamedTuple

import msgspec

_COUNTRIES = {
    "1": "US",
    "31": "NL",
    "33": "FR",
    "34": "ES",
    "39": "IT",
    "41": "CH",
    "43": "AT",
    "44": "GB",
    "49": "DE",
    "52": "MX",
    "55": "BR",
    "62": "ID",
    "91": "IN",
}
_SPACE = 10**16
_FACTOR = 7_345_678_901_234_567  # prime to the space: odd, and no multiple of five
_BACK = pow(_FACTOR, -1, _SPACE)
_SHIFT = 3_141_592_653_589_793
_USER_ID = re.compile(r"[A-Z]{2}\.([0-9]{2})([0-9]{16})")
_BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")


class ShownCustomer(NamedTuple):
    """A customer as webhooks show them; ``wa_id`` is "" if the number is withheld, ``user_id`` if
    there are none.
    """

    wa_id: str
    user_id: str
    username: str


class People:
    """Customers under the switches `withheld`, `withhold`, `respell` and `user_ids`."""

    def __init__(
        self,
        withheld: tuple[str, ...] = (),
        withhold: float = 0.0,
        *,
        respell: bool = False,
        ids: bool = True,
    ) -> None:
        self._withheld = frozenset(withheld)
        self._share = round(withhold * 1000)
        self._respell = respell
        self._ids = ids

    def shown(self, number: str) -> ShownCustomer:
        """The customer with this number."""
        user = user_id(number)
        if number in self._withheld or zlib.crc32(number.encode()) % 1000 < self._share:
            return ShownCustomer("", user, f"user.{user[3:13].lower()}")
        return ShownCustomer(
            respelled(number) if self._respell else number, user if self._ids else "", ""
        )


@lru_cache(1 << 16)
def user_id(number: str) -> str:
    """The BSUID of a number: country, and 18 digits."""
    country = next((_COUNTRIES[number[:n]] for n in (1, 2) if number[:n] in _COUNTRIES), "ZZ")
    mixed = (int(number) * _FACTOR + _SHIFT) % _SPACE
    return f"{country}.{len(number):02d}{mixed:016d}"


def number_of(user: str) -> str:
    """The number of a BSUID, "" for one that ``user_id`` never makes."""
    found = _USER_ID.fullmatch(user)
    if found is None:
        return ""
    number = str((int(found[2]) - _SHIFT) * _BACK % _SPACE).zfill(int(found[1]))
    return number if len(number) <= 15 and user_id(number) == user else ""


def is_user_id(text: str) -> bool:
    """True for the form of a BSUID, parents' too."""
    return _BSUID.fullmatch(text) is not None


def respelled(number: str) -> str:
    """The other spelling of a Brazilian or Mexican mobile number; any other number as it is."""
    if number.startswith("55"):
        if len(number) == 13 and number[4] == "9":
            return number[:4] + number[5:]
        return f"{number[:4]}9{number[4:]}" if len(number) == 12 else number
    if number.startswith("521") and len(number) == 13:
        return "52" + number[3:]
    return f"521{number[2:]}" if number.startswith("52") and len(number) == 12 else number


def contact(shown: ShownCustomer, name: str, identity: str = "") -> bytes:
    """The element of ``contacts[]``, with the hash of an identity if it is asked for."""
    profile = {"name": name, "username": shown.username} if shown.username else {"name": name}
    found: dict[str, object] = {"profile": profile}
    if shown.wa_id:
        found["wa_id"] = shown.wa_id
    if shown.user_id:
        found["user_id"] = shown.user_id
    if identity:
        found["identity_key_hash"] = identity
    return msgspec.json.encode(found)
