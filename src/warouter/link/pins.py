"""Whom a coreapp lets in from other hosts, by the certificates in the node rows. Pure.

A row's certificate is empty if the process has none: nobody that it calls is on another host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

UNKNOWN = (
    "the caller's certificate is in no node row: restart the caller if it is a process of this"
    " cluster, or keep it away from this port"
)
NONE_SHOWN = (
    "the caller showed no certificate, as each process of this cluster does: keep it away from this"
    " port"
)


def pins_of(certificates: Iterable[bytes], fingerprint: Callable[[bytes], str]) -> frozenset[str]:
    """The fingerprints of the certificates (DER) of all rows of webapps and coreapps."""
    return frozenset(fingerprint(der) for der in certificates if der)


def objection(pins: frozenset[str], shown: str | None) -> str:
    """Why a caller that showed this certificate (None: none at all) is not let in; "" if it is."""
    if shown is None:
        return NONE_SHOWN
    return "" if shown in pins else UNKNOWN
