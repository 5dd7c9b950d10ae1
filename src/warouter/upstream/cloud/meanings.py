"""The meaning of Meta's error codes for the message, for the number and in v1. Pure.

One table for both ways in which an error comes: as the answer to a request, and in a ``failed``
status afterwards. Where v1 has no equal meaning its code is our choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

WAIT_MS, MAINTENANCE_MS = 1_000, 5_000


class Class(Enum):
    """The consequence of an answer for the message and its number."""

    TAKEN = "taken"
    NOT_TAKEN = "not taken"  # may be sent again under the same attempt, after the wait
    LANE = "lane"  # may be sent again too, and only this recipient waits: 4^n seconds
    PAUSE = "pause"  # may be sent again too, and the whole number waits
    OPERATOR = "operator"  # not taken; the number stops until somebody acts, and messages wait
    FINAL = "final"  # not taken, and never will be
    DOUBT = "doubt"  # may have been taken


class Meaning(NamedTuple):
    """The meaning of an error; the wait is the least, the rest as in ``Judged``."""

    cls: Class
    code: int  # of v1
    wait_ms: int = 0
    slower: bool = False
    alarm: bool = False
    limited: bool = False


LIMITED = Meaning(Class.NOT_TAKEN, 429, WAIT_MS, slower=True, limited=True)
PASSING = Meaning(Class.NOT_TAKEN, 429, WAIT_MS)
AWAY = Meaning(Class.NOT_TAKEN, 1011, WAIT_MS)
DOUBT = Meaning(Class.DOUBT, 500)
STOPPED = Meaning(Class.OPERATOR, 1014)
UNKNOWN = Meaning(Class.FINAL, 1014)
UNSIGNED = Meaning(Class.OPERATOR, 430)
LOCKED = Meaning(Class.OPERATOR, 1031)

PARAMETER, GONE = 100, 33
UNREACHABLE = 131026  # not on WhatsApp, or by an app that is too old


def _rows() -> Iterable[tuple[Meaning, Iterable[int]]]:
    """Meta's codes by their meaning, those too that come in statuses alone."""
    final = Class.FINAL
    yield LIMITED, (4, 17, 32, 341, 613, 80007)
    yield Meaning(Class.NOT_TAKEN, 429, WAIT_MS, slower=True), (130429,)
    yield Meaning(Class.LANE, 429), (131056,)
    yield Meaning(Class.PAUSE, 1011, MAINTENANCE_MS), (131057, 2494100)
    yield AWAY, (2, 131016, 133004)
    yield DOUBT, (1, 131000)
    yield STOPPED, (0, 3, 10, GONE, 102, 190, *range(200, 300), 131005)
    # The request is not as this version of the Graph API wants it, whatever the message is.
    yield STOPPED, (12, 2500, 2635)
    yield UNSIGNED, (131045, 133006, 133010)
    yield LOCKED, (368, 131031, 131037)
    # A PIN, or too many registrations: of the number, not of the message.
    yield Meaning(Class.OPERATOR, 1005), (133005, 133008, 133009)
    yield Meaning(Class.OPERATOR, 1015), (133015, 133016)
    yield Meaning(final, 402, alarm=True), (131042, 134011)
    yield Meaning(final, 471, alarm=True), (131048, 131064)
    yield Meaning(final, 1031), (130497,)
    yield Meaning(final, 472), (130472, 131049, 131050)
    yield Meaning(final, 1013), (131026,)
    yield Meaning(final, 1007), (131030,)
    yield Meaning(final, 470), (131047,)
    yield Meaning(final, 480), (137000,)
    yield Meaning(final, 1009), (PARAMETER, 131009, 131021, 131062, 135000)
    yield Meaning(final, 1008), (131008,)
    yield Meaning(final, 501), (131051,)
    yield Meaning(final, 400), (131052,)
    yield Meaning(final, 2008), (131053,)
    yield Meaning(final, 2000), (132000,)
    yield Meaning(final, 2001), (132001,)
    yield Meaning(final, 2003), (131055, 131063, 132068, 132069, 134100)
    yield Meaning(final, 2005), (132005,)
    yield Meaning(final, 2007), (132007,)
    yield Meaning(final, 2012), (132008, 132012, 132018)
    yield Meaning(final, 2061), (132015,)
    yield Meaning(final, 2062), (132016,)
    yield Meaning(final, 401), (131020, 131041)
    yield Meaning(final, 1012), range(131201, 131210)


TABLE = {code: meaning for meaning, found in _rows() for code in found}
_WAITS = (Class.NOT_TAKEN, Class.LANE, Class.PAUSE)


def meaning_of(status: int, meta: int, *, transient: bool = False) -> Meaning:
    """The meaning of an HTTP answer with an error of Meta's code ``meta``, -1 for one without.

    ``transient``: it says of itself that it passes. Then it is no message's end.
    """
    known = TABLE.get(meta)
    if status == 429 and (known is None or known.cls not in _WAITS):
        return LIMITED  # seen with codes that no page lists
    if known is None:
        known = _unlisted(status, meta)
    return PASSING if transient and known.cls is Class.FINAL else known


def _unlisted(status: int, meta: int) -> Meaning:
    if status == 401:
        return STOPPED  # a dead token fails no backlog, whoever words it
    return UNKNOWN if meta >= 0 and 400 <= status < 500 else DOUBT
