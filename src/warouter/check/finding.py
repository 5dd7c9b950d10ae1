"""A finding of `warouter check`, and the exit code of several. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from warouter.check.facts import InstallationFacts


class Level(StrEnum):
    """How bad it is: NOTE is no reason to be woken, UNKNOWN could not be found out."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class Finding(msgspec.Struct, frozen=True):
    """``name`` is stable. ``found`` says what is wrong and where, ``todo`` what to do."""

    name: str
    level: Level
    found: str
    todo: str = ""


Judge = Callable[[InstallationFacts], Iterable[str]]


class CheckRule(NamedTuple):
    """``looks_for`` completes "There are no ...". ``judge`` says each thing that is wrong, in a
    sentence; it is called only with the facts of PostgreSQL if ``database``.
    """

    name: str
    level: Level
    looks_for: str
    todo: str
    judge: Judge
    database: bool


def rule(
    name: str, level: Level, looks_for: str, todo: str, *, database: bool = False
) -> Callable[[Judge], CheckRule]:
    """Makes the rule of the function that judges."""
    return lambda judge: CheckRule(name, level, looks_for, todo, judge, database)


def findings(of: CheckRule, facts: InstallationFacts) -> Iterator[Finding]:
    """The findings of the rule, or one that all is well."""
    sentences = list(of.judge(facts))
    for sentence in sentences:
        yield Finding(of.name, of.level, sentence, of.todo)
    if not sentences:
        yield Finding(of.name, Level.OK, f"There are no {of.looks_for}.")


_CODES = ((Level.CRITICAL, 2), (Level.UNKNOWN, 3), (Level.WARNING, 1))


def exit_code(found: Iterable[Finding]) -> int:
    """The exit code of a monitoring plug-in: 0 fine, 1 warning, 2 critical, 3 unknown."""
    levels = {finding.level for finding in found}
    return next((code for level, code in _CODES if level in levels), 0)
