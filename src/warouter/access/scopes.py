"""Scopes: what the holder of a key may do. Each route names the one it wants. Pure.

The bits are stored (``api_key.scopes``), the names are the API's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

from warouter.errors import ParameterInvalid


class Scope(enum.IntFlag):
    """Scopes as bits. Those without a route yet are reserved, so that no stored key gets more."""

    SEND = 1
    READ = 2
    MEDIA = 4
    TEMPLATES = 8
    SETTINGS = 16
    MONITOR = 32
    EVENTS = 64
    PEOPLE = 128
    ADMIN = 256  # includes every other but ``OPERATE``
    OPERATE = 512


ANY = Scope(0)  # of a route that wants no scope
_OF_A_NUMBER = ~Scope.OPERATE
NAMES = {scope.name.lower(): scope for scope in Scope if scope.name}


def includes(granted: Scope, wanted: Scope) -> bool:
    """True if a key with these scopes may do what wants ``wanted``; ``ADMIN`` includes others."""
    if Scope.ADMIN in granted:
        granted |= _OF_A_NUMBER
    return wanted in granted


def names_of(scopes: Scope) -> list[str]:
    """The API's names of these scopes, in the order of the bits."""
    return [name for name, scope in NAMES.items() if scope in scopes]


def scopes_of(names: Sequence[str]) -> list[Scope]:
    """The scopes of these names; ParameterInvalid names the one that does not exist."""
    if not names:
        raise ParameterInvalid(f"scopes must name one at least: {', '.join(NAMES)}")
    for place, name in enumerate(names):
        if name not in NAMES:
            raise ParameterInvalid(f"scopes[{place}] must be one of {', '.join(NAMES)}")
    return [NAMES[name] for name in names]


def joined(scopes: Iterable[Scope]) -> Scope:
    """All of these scopes as one value."""
    together = ANY
    for scope in scopes:
        together |= scope
    return together
