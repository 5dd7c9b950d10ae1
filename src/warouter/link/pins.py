"""Whom a coreapp lets in from other hosts, by the certificates in the node rows. Pure.

A row's certificate is null if its build knows of none, and empty if the process has none: nobody
that it calls is on another host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

UNKNOWN = (
    "the caller's certificate is in no node row: restart the caller if it is a process of this"
    " cluster, or keep it away from this port"
)
NONE_SHOWN = (
    "the caller showed no certificate, and no node row is of a build that has none: update the"
    " caller if it is a process of this cluster, or keep it away from this port"
)


class Pins(NamedTuple):
    """Fingerprints of the certificates in the node rows. ``bare``: there is a row of a build that
    has no certificates, so whoever shows none may be its process.
    """

    known: frozenset[str] = frozenset()
    bare: bool = False


def pins_of(certificates: Iterable[bytes | None], fingerprint: Callable[[bytes], str]) -> Pins:
    """The pins by the certificates (DER) of all rows of webapps and coreapps."""
    found = list(certificates)
    return Pins(frozenset(fingerprint(der) for der in found if der), None in found)


def objection(pins: Pins, shown: str | None) -> str:
    """Why a caller that showed this certificate (None: it showed none) is not let in; "" if it is.

    Once every row is of a build with certificates, as after a rolling upgrade, each has to show
    one.
    """
    if shown is None:
        return "" if pins.bare else NONE_SHOWN
    return "" if shown in pins.known else UNKNOWN
