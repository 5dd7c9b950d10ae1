"""The ``ttl`` of POST /v1/messages: how long a message may wait. Pure.

A number of seconds, also as a string, or a duration of ISO 8601 in days, hours, minutes and
seconds: 3600, "3600", "PT1H", "P4D".
"""

from __future__ import annotations

import re

from warouter.errors import ParameterInvalid

MOST_SECONDS = 30 * 86_400
_SECONDS = re.compile(r"[0-9]{1,9}")
_DURATION = re.compile(
    r"P(?:([0-9]{1,9})D)?(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?"
)
_UNITS = (86_400, 3_600, 60, 1)


def ttl_of(wish: int | str | None) -> int | None:
    """The ttl in whole seconds from 1 to MOST_SECONDS, None without one; else ParameterInvalid."""
    if wish is None:
        return None
    seconds = wish if isinstance(wish, int) else _seconds(wish)
    if seconds is None:
        raise ParameterInvalid('ttl must be seconds or a duration such as "P4D" or "PT30M"')
    if not 1 <= seconds <= MOST_SECONDS:
        raise ParameterInvalid(f"ttl must be from 1 to {MOST_SECONDS} seconds (30 days)")
    return seconds


def _seconds(text: str) -> int | None:
    if _SECONDS.fullmatch(text):
        return int(text)
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    return sum(int(n) * unit for n, unit in zip(found.groups(), _UNITS, strict=True) if n)
