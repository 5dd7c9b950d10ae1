"""Evaluates the part of PromQL in which the shipped alerts are written. Pure.

An expression is parsed once, into functions that evaluate it over a snapshot: to a number, or to a
vector, which has a value for each set of labels. What the alerts do not use raises ValueError when
it is parsed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from warouter.console.verdict.snapshot import ClusterSnapshot, Labels, Vector

Value = float | Vector
_Evaluate = Callable[[ClusterSnapshot], Value]
_Select = Callable[[Vector], Vector]

_TOKEN = re.compile(r'\s*("[^"]*"|=~|!~|[!=<>]=|[\w.]+|[-+*/<>=(){}\[\],])')
_NAME = "[a-z_]+"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FOLDS: Mapping[str, Callable[[Iterable[float]], float]] = {"sum": sum, "max": max, "min": min}
_SETS = frozenset(("and", "or"))
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: left / right if right else math.nan,
}
# From what binds least to what binds most.
_LEVELS = (("or",), ("and",), tuple(_COMPARISONS), ("+", "-"), ("*", "/"))


class Query(NamedTuple):
    """A parsed expression, and the names of the counters whose growth it asks for."""

    evaluate: _Evaluate
    counters: frozenset[str]

    def vector(self, snapshot: ClusterSnapshot) -> Vector:
        """The result over a snapshot, of an expression that is not a mere number."""
        return _vector(self.evaluate(snapshot))


def parse(text: str) -> Query:
    """Parse an expression; raises ValueError if it holds what is not supported."""
    parser = _Parser(text)
    evaluate = parser.expression()
    parser.expect("")
    return Query(evaluate, frozenset(parser.counters))


class _Parser:
    """Recursive descent. The last token is empty."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        if _TOKEN.sub("", text).strip():
            raise ValueError(f"not understood: {text}")
        self._tokens.append("")
        self.counters: set[str] = set()

    def take(self, pattern: str = ".*") -> str:
        token: str = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        if not re.fullmatch(pattern, token):
            raise ValueError(f"{pattern} was expected, not {token!r}")
        return token

    def expect(self, *tokens: str) -> None:
        for token in tokens:
            self.take(re.escape(token))

    def ahead(self, *tokens: str) -> bool:
        return self._tokens[0] in tokens

    def expression(self, level: int = 0) -> _Evaluate:
        if level == len(_LEVELS):
            return self._operand()
        evaluate = self.expression(level + 1)
        while self.ahead(*_LEVELS[level]):
            evaluate = _binary(self.take(), evaluate, self.expression(level + 1))
        return evaluate

    def _operand(self) -> _Evaluate:
        token = self.take()
        if token == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        if re.fullmatch(r"[\d.]+", token):
            number = float(token)
            return lambda _: number
        if token == "time":
            self.expect("(", ")")
            return lambda snapshot: snapshot.now
        if token in _FOLDS:
            return self._aggregation(_FOLDS[token])
        if token in ("rate", "increase"):
            return self._growth(per_second=token == "rate")
        if not re.fullmatch(_NAME, token):
            raise ValueError(f"not understood: {token!r}")
        select = self._matchers()
        return lambda snapshot: select(snapshot.latest(token))

    def _aggregation(self, fold: Callable[[Iterable[float]], float]) -> _Evaluate:
        labels = self._labels() if self.ahead("by") else frozenset()
        self.expect("(")
        inner = self.expression()
        self.expect(")")

        def evaluate(snapshot: ClusterSnapshot) -> Value:
            groups: dict[Labels, list[float]] = {}
            for key, value in _vector(inner(snapshot)).items():
                kept = frozenset(label for label in key if label[0] in labels)
                groups.setdefault(kept, []).append(value)
            return {key: fold(values) for key, values in groups.items()}

        return evaluate

    def _labels(self) -> frozenset[str]:
        self.expect("by", "(")
        found = {self.take(_NAME)}
        while self.ahead(","):
            self.expect(",")
            found.add(self.take(_NAME))
        self.expect(")")
        return frozenset(found)

    def _growth(self, *, per_second: bool) -> _Evaluate:
        self.expect("(")
        name = self.take(_NAME)
        self.counters.add(name)
        select = self._matchers()
        self.expect("[")
        length = self.take(r"\d+[smhd]")
        seconds = float(length[:-1]) * _SECONDS[length[-1]]
        self.expect("]", ")")
        share = seconds if per_second else 1.0
        return lambda snapshot: {
            key: grown / share for key, grown in select(snapshot.increase(name, seconds)).items()
        }

    def _matchers(self) -> _Select:
        """Reads the matchers in braces after a metric's name, if there are any."""
        matchers: list[tuple[str, re.Pattern[str], bool]] = []
        while self.ahead("{", ","):
            self.take()
            label, compared = self.take(_NAME), self.take("[!=][=~]?")
            value = self.take('".*"')[1:-1]
            pattern = re.compile(value if "~" in compared else re.escape(value))
            matchers.append((label, pattern, not compared.startswith("!")))
        if matchers:
            self.expect("}")
        return lambda vector: {key: n for key, n in vector.items() if _match(dict(key), matchers)}


def _match(labels: dict[str, str], matchers: list[tuple[str, re.Pattern[str], bool]]) -> bool:
    """A pattern has to match the whole value; a label that is not there is empty."""
    return all(
        (pattern.fullmatch(labels.get(label, "")) is not None) is wanted
        for label, pattern, wanted in matchers
    )


def _binary(symbol: str, left: _Evaluate, right: _Evaluate) -> _Evaluate:
    if symbol in _SETS:
        return lambda snapshot: _set(symbol, _vector(left(snapshot)), _vector(right(snapshot)))
    if symbol in _COMPARISONS:
        compare = _COMPARISONS[symbol]
        return lambda snapshot: {
            key: one
            for key, (one, other) in _pairs(_vector(left(snapshot)), right(snapshot)).items()
            if compare(one, other)
        }
    compute = _ARITHMETIC[symbol]

    def evaluate(snapshot: ClusterSnapshot) -> Value:
        one, other = left(snapshot), right(snapshot)
        if not isinstance(one, dict):
            return compute(one, _number(other))
        return {key: compute(*pair) for key, pair in _pairs(one, other).items()}

    return evaluate


def _set(symbol: str, left: Vector, right: Vector) -> Vector:
    if symbol == "or":
        return {**right, **left}
    return {key: value for key, value in left.items() if key in right}


def _pairs(left: Vector, right: Value) -> dict[Labels, tuple[float, float]]:
    """Each value with that of the same labels, or with the number."""
    if isinstance(right, dict):
        return {key: (value, right[key]) for key, value in left.items() if key in right}
    return {key: (value, right) for key, value in left.items()}


def _vector(value: Value) -> Vector:
    if not isinstance(value, dict):
        raise ValueError(f"a vector was expected, not {value}")
    return value


def _number(value: Value) -> float:
    if isinstance(value, dict):
        raise ValueError("a number was expected, not a vector")
    return value
