"""A clock of steps for regular expressions: the characters that a backtracking matcher looks at.

Seconds depend on the machine, steps do not: a pattern that is linear looks at each character of a
text a bounded number of times, whatever the text. The pattern is run as ``re`` compiled it, by the
same rules, for the few constructs that the product uses on texts of strangers.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

_parser: Any = importlib.import_module("re._parser")


def steps(pattern: re.Pattern[str], text: str) -> int:
    """How many characters ``pattern.finditer(text)`` looks at; each turn of a search is one too.

    ``NotImplementedError`` if the pattern has a construct that is not known here.
    """
    clock = _Clock(text)
    if not pattern.flags & re.DOTALL and "." in pattern.pattern:
        raise NotImplementedError("a dot that is not any character")
    nodes = list(_parser.parse(pattern.pattern, pattern.flags))
    at = 0
    while at <= len(text):
        clock.steps += 1
        end = next(clock.ends(nodes, at), at)
        at = max(end, at + 1)
    return clock.steps


class _Clock:
    """One text, and the steps taken in it."""

    def __init__(self, text: str) -> None:
        self.steps = 0
        self._text = text

    def ends(self, nodes: list[Any], at: int) -> Iterator[int]:
        """Where a match of these nodes that begins at ``at`` may end, the preferred first."""
        if not nodes:
            yield at
            return
        (kind, given), rest = nodes[0], nodes[1:]
        for end in self._node(str(kind), given, at):
            yield from self.ends(rest, end)

    def _node(self, kind: str, given: Any, at: int) -> Iterator[int]:
        if kind == "SUBPATTERN":
            yield from self.ends(list(given[3]), at)
        elif kind == "BRANCH":
            for branch in given[1]:
                yield from self.ends(list(branch), at)
        elif kind in ("MAX_REPEAT", "POSSESSIVE_REPEAT"):
            ends = self._repeated(*given, at)
            yield from ends[:1] if kind == "POSSESSIVE_REPEAT" else ends
        elif kind == "AT":
            if str(given) != "AT_END_STRING":
                raise NotImplementedError(str(given))
            if at == len(self._text):
                yield at
        elif self._takes(kind, given, at):
            yield at + 1

    def _repeated(self, least: int, most: Any, body: Any, at: int) -> list[int]:
        """The ends after as many turns as go, and then after each fewer."""
        ends = [at]
        nodes = list(body)
        while len(ends) <= int(most):
            end = next(self.ends(nodes, ends[-1]), None)
            if end is None or end == ends[-1]:
                break
            ends.append(end)
        return ends[:least:-1] + ends[least : least + 1]

    def _takes(self, kind: str, given: Any, at: int) -> bool:
        self.steps += 1
        if at == len(self._text):
            return False
        code = ord(self._text[at])
        if kind == "IN":
            wanted = str(given[0][0]) != "NEGATE"
            return wanted == any(_has(str(name), part, code) for name, part in given)
        return _has(kind, given, code)


def _has(kind: str, given: Any, code: int) -> bool:
    if kind == "RANGE":
        return bool(given[0] <= code <= given[1])
    if kind in ("NEGATE", "ANY"):
        return kind == "ANY"
    if kind == "NOT_LITERAL":
        return bool(code != given)
    if kind == "LITERAL":
        return bool(code == given)
    raise NotImplementedError(kind)
