"""Keys: credentials that a program holds and that do not log in. Pure.

A key is ``wrk_``, 32 random bytes as 43 characters of base64url, and their CRC-32 as 6 digits of
base 62. With the sum a key that was mistyped or cut short is refused without a look-up, and a
scanner of repositories knows a key when it sees one. Only the SHA-256 is stored.

An *adopted* key is another product's token, known by its hash alone: its form is that product's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from secrets import token_urlsafe
from zlib import crc32

from warouter.access.scopes import Scope, names_of
from warouter.access.token import BYTES, CHARS
from warouter.app_settings import Network
from warouter.errors import ParameterInvalid

PREFIX = "wrk_"
SHOWN_CHARS = 8  # of a key in lists: enough to tell keys apart, and nothing to guess from
MOST_NETWORKS = 20
MOST_YEARS = 10
NAME_MOST = 64
ADOPTED_LEAST, ADOPTED_MOST = 32, 1024  # characters: shorter ones might be guessed
_SUM_CHARS = 6
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_key() -> str:
    """A new key, of 53 characters."""
    drawn = token_urlsafe(BYTES)
    return f"{PREFIX}{drawn}{_sum_of(drawn)}"


def may_be_key(text: str) -> bool:
    """False for text that is no key of anybody's: it need not be looked for."""
    if text.startswith(PREFIX):
        drawn, total = text[len(PREFIX) : -_SUM_CHARS], text[-_SUM_CHARS:]
        return len(drawn) == CHARS and drawn.isascii() and _sum_of(drawn) == total
    return _may_be_adopted(text)


def check_adopted(text: str) -> None:
    """Raises ParameterInvalid unless another product's token can be adopted as a key."""
    if text.startswith(PREFIX) or not _may_be_adopted(text):
        raise ParameterInvalid(
            f"the token to adopt must have {ADOPTED_LEAST} to {ADOPTED_MOST} printable ASCII"
            f" characters without spaces, other than {CHARS}, and not begin with {PREFIX}"
        )


def starts_of(text: str) -> str:
    """The beginning of a key, for lists. None of it is secret enough to help who guesses."""
    return text[:SHOWN_CHARS]


def check_name(name: str) -> None:
    """Raises ParameterInvalid unless the text can be the name of a key."""
    if not 1 <= len(name) <= NAME_MOST or not name.isprintable() or name != name.strip():
        raise ParameterInvalid(
            f"name must have 1 to {NAME_MOST} printable characters, and not start or end with a"
            " space"
        )


def check_end(expires: datetime | None, now: datetime) -> None:
    """Raises ParameterInvalid for an end without a time zone, in the past, or too far away."""
    if expires is None:
        return
    if expires.tzinfo is None:
        raise ParameterInvalid("expires must have a time zone, such as 2027-01-31T12:00:00Z")
    if not now < expires <= now + timedelta(days=366 * MOST_YEARS):
        raise ParameterInvalid(f"expires must lie in the next {MOST_YEARS} years")


def about(key: int, name: str, scopes: Scope) -> str:
    """A key as the audit log names it."""
    return f"{key} {name} {','.join(names_of(scopes))}"


def networks_of(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks (CIDR, or single addresses); ParameterInvalid names the one that is none."""
    if len(texts) > MOST_NETWORKS:
        raise ParameterInvalid(f"networks must be {MOST_NETWORKS} at most")
    return tuple(_network(place, text) for place, text in enumerate(texts))


def is_from(source: str, networks: Sequence[Network]) -> bool:
    """True if the address, as text, lies in one of the networks; without networks any does."""
    if not networks:
        return True
    try:
        address = ipaddress.ip_address(source)
    except ValueError:  # a peer without an address
        return False
    return any(address in network for network in networks)


def within_networks(wished: Sequence[Network], own: Sequence[Network]) -> bool:
    """True if whoever may only come from ``own`` may let somebody come from ``wished``."""
    if not own:
        return True
    return bool(wished) and all(any(_lies_in(one, mine) for mine in own) for one in wished)


def _may_be_adopted(text: str) -> bool:
    fits = ADOPTED_LEAST <= len(text) <= ADOPTED_MOST and len(text) != CHARS
    return fits and text.isascii() and text.isprintable() and " " not in text


def _network(place: int, text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ParameterInvalid(
            f"networks[{place}] must be a network such as 192.0.2.0/24: {error}"
        ) from None


def _lies_in(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def _sum_of(drawn: str) -> str:
    """The CRC-32 as six digits of base 62, the most significant first."""
    rest, digits = crc32(drawn.encode()), ""
    for _ in range(_SUM_CHARS):
        rest, digit = divmod(rest, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
