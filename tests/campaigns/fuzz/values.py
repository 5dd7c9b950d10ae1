"""JSON values that fit a schema, and those that do not. Everything is drawn from one Random."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

DEEPEST = 6
HUGE = 10**400
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**63,
    -(2**63) - 1,
    HUGE,
    1.5,
    -0.0,
    1e308,
    float("inf"),
    float("nan"),
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\ufeff",
    "\u202e\u2028\u2029",
    "\r\nX-Forged: 1",
    "☺" * 50,
    "x" * 5000,
    "9" * 400,
    "true",
    "-1",
    "0x10",
    "NaN",
    "../../etc/passwd",
    "'; drop table message; --",
    "%00%0d%0a",
    "\x1b[31m",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"__proto__": {"x": 1}},
)
NUMBERS = ("16315551000", "+1 (631) 555-1001", "250788123123", "12", "x" * 20)
# Fields of ours that no body may set (S7).
INNER = ("id", "status", "role", "slot", "epoch", "shard", "seq", "incarnation", "must_change")


class Values:
    """Draws values for the schemas of one document."""

    def __init__(self, document: Mapping[str, Any], random: Random, odd: float = 0.15) -> None:
        self._schemas = document["components"]["schemas"]
        self._random = random
        self._odd = odd

    def value(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        """Mostly what the schema asks for; now and then something else."""
        if self._random.random() < self._odd or depth > DEEPEST:
            return self.odd()
        if reference := schema.get("$ref"):
            return self.value(self._schemas[reference.rpartition("/")[2]], depth)
        if alternatives := schema.get("anyOf"):
            return self.value(self._random.choice(alternatives), depth)
        if choices := schema.get("enum"):
            return self._random.choice(choices)
        return self._of_type(schema, depth)

    def odd(self) -> Any:
        if self._random.random() < 0.05:
            return nested(self._random.choice((5, 31, 32, 33, 40)))
        return self._random.choice(ODD)

    def _of_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        random = self._random
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                items = schema.get("items") or {}
                return [self.value(items, depth + 1) for _ in range(random.choice((0, 1, 1, 2, 5)))]
            case "integer":
                return random.choice((0, 1, 2, 5, 30, "7", 10**6))
            case "number":
                return random.choice((0, 1.5, -89.9, "2.5", 180))
            case "boolean":
                return random.choice((True, False, "true", "false", 1))
            case "string":
                return random.choice((*NUMBERS, "text", "wait", "a b", "https://x.example/a"))
            case _:
                return self.odd()

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        random = self._random
        required = schema.get("required", ())
        made: dict[str, Any] = {}
        for key, inner in schema.get("properties", {}).items():
            most = 0.97 if key in required else 0.35
            if random.random() < most:
                made[key] = self.value(inner, depth + 1)
        if random.random() < 0.1:
            made[random.choice(INNER)] = self.odd()
        return made


def nudged(value: Any, random: Random) -> Any:
    """A copy of a right value, with one thing in it made odd."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        return value | {key: nudged(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        return [*value[:at], nudged(value[at], random), *value[at + 1 :]]
    return random.choice(ODD)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def encoded(value: Any, random: Random) -> bytes:
    """JSON as clients write it, or as they should not (NaN, huge numbers, lone surrogates)."""
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def mangled(body: bytes, random: Random) -> bytes:
    """The body, mostly; otherwise cut, doubled, deep, in another encoding, or no JSON at all."""
    if random.random() < 0.6:
        return body
    return random.choice(_MANGLINGS)(body, random)


def _inserted(body: bytes, random: Random) -> bytes:
    at = random.randrange(len(body) + 1)
    return body[:at] + bytes([random.randrange(256)]) + body[at:]


_TAILS = (b"x", b"{}", b"\x00", b",", b"\n" * 100)
_MANGLINGS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _inserted,
    lambda body, random: body[: random.randrange(len(body) + 1)],
    lambda body, _: b"\xef\xbb\xbf" + body,
    lambda body, _: body.decode("utf-8", "replace").encode("utf-16"),
    lambda body, random: b"[" * random.choice((33, 1000, 50_000)) + body,
    lambda body, _: body.replace(b"{", b'{"to":"1","to":"16315551000",', 1),
    lambda body, random: body + random.choice(_TAILS),
    lambda body, _: body.replace(b'"', b"'"),
    lambda _body, _: b"",
    lambda body, random: body.ljust(random.choice((65_536, 65_537, 70_000))),
    lambda body, _: body.replace(b":", b":" + b"9" * 5000, 1),
    lambda body, _: b"/* comment */" + body,
    lambda body, _: body.replace(b"e", b"\\u0000", 1).replace(b"o", b"\\ud800", 1),
    lambda _body, random: random.randbytes(random.choice((1, 20, 300))),
)
