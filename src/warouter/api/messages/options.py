"""The headers by which a sender says how one message is treated. Pure.

Only the Cloud API has a use for them; with another upstream they are checked all the same, so that
a client learns of a mistake before it matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from warouter.errors import ParameterInvalid
from warouter.kinds import POLICY_NAMES

IN_DOUBT, PRIORITY = "Warouter-In-Doubt", "Warouter-Priority"
POLICIES = POLICY_NAMES[1:]
PRIORITIES = ("high", "normal")


class Options(NamedTuple):
    """The options that the sender asked for: ``policy`` is a number of ``kinds``."""

    policy: int
    priority: bool


def options_of(in_doubt: Sequence[str], priority: Sequence[str]) -> Options:
    """The options in the values of the two headers; ParameterInvalid for others, or several."""
    return Options(
        _place(IN_DOUBT, in_doubt, POLICIES), _place(PRIORITY, priority, PRIORITIES) == 1
    )


def _place(header: str, given: Sequence[str], values: Sequence[str]) -> int:
    """The place of the value, from 1; 0 without the header."""
    if not given:
        return 0
    if len(given) > 1 or given[0] not in values:
        listed = f"{', '.join(values[:-1])} or {values[-1]}"
        raise ParameterInvalid(f"{header} must be given once, as {listed}")
    return values.index(given[0]) + 1
