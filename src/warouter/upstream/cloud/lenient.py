"""JSON of others, read as far as it goes: what is wrong in one place costs that place. Pure.

A webhook is taken apart by the levels of its envelope, each a scan for the next one's borders, so
that an element is read by itself. What no parser takes (half of a surrogate pair, bytes that are no
UTF-8, raw control characters, numbers beyond a double, nesting without end) is mended in the text,
which only happens after an ordinary parser has refused it.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

import msgspec
from msgspec import Raw

# Brackets that an element may have inside each other. Parsers of receivers end at 512 and more.
DEEPEST = 200
_LONGEST_NUMBER = 300  # characters

_objects = msgspec.json.Decoder(dict[str, Raw]).decode
_array = msgspec.json.Decoder(list[Raw]).decode
_any = msgspec.json.Decoder().decode

# Each part takes what it has looked at, a string without an end up to the text's: no character is
# looked at again from the next quote on, and the time is linear in the text.
_STRING = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_TOKEN = re.compile(rf"{_STRING}|[\[\]{{}}]|-?[0-9][0-9.eE+-]*+", re.DOTALL)
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"({_HIGH}{_LOW})|{_HIGH}|{_LOW}|(\\.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")


def fields(data: bytes | Raw | None) -> dict[str, Raw] | None:
    """The fields of a JSON object, each still to be read; None if it is none.

    ValueError or RecursionError if its JSON is broken.
    """
    try:
        return _objects(data) if data else None
    except msgspec.ValidationError:
        return None


def items(data: bytes | Raw | None) -> list[Raw] | None:
    """The items of a JSON array, each still to be read; None if it is none."""
    try:
        return _array(data) if data else None
    except msgspec.ValidationError:
        return None


def value(data: Raw | None) -> Any:
    """Decode a JSON value; None if there is none, or none that can be read."""
    try:
        return _any(data) if data else None
    except (ValueError, RecursionError):
        return None


def whole(data: bytes | Raw) -> tuple[bytes, dict[str, Any]] | None:
    """A JSON object in a text that every parser takes, and its content; None if it is none."""
    text = bytes(data)
    if text.count(b"[") + text.count(b"{") <= DEEPEST:
        try:
            found = _any(text)
            return (text, found) if isinstance(found, dict) else None
        except ValueError:
            pass
    text = mended(text)
    try:
        found = _any(text)
    except ValueError:
        return None
    return (text, found) if isinstance(found, dict) else None


def content(data: bytes | Raw) -> dict[str, Any]:
    """The content of a JSON object; empty if it is none."""
    found = whole(data)
    return found[1] if found else {}


def mended(data: bytes) -> bytes:
    """Mend what an ordinary parser refuses in JSON; broken structure stays broken.

    What is nested deeper than ``DEEPEST`` becomes null, as does a number that no double holds.
    Takes time linear in the text, whatever it is.
    """
    text = data.decode(errors="replace")
    kept: list[str] = []
    depth = end = 0
    for token in _TOKEN.finditer(text):
        if depth <= DEEPEST:
            kept.append(text[end : token.start()])
        end = token.end()
        kind = token[0][0]
        if kind in "]}":
            depth -= 1
        if depth <= DEEPEST:
            kept.append(_mended(token[0], depth))
        if kind in "[{":
            depth += 1
    kept.append(text[end:])
    return "".join(kept).encode()


def _mended(token: str, depth: int) -> str:
    if token[0] == '"':
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", _ESCAPE.sub(_paired, token))
    if token in "[{":
        return "null" if depth == DEEPEST else token
    if token in "]}":
        return "" if depth == DEEPEST else token
    return token if _is_usual(token) else "null"


def _paired(escape: re.Match[str]) -> str:
    """The escape as it is, unless it is half of a surrogate pair."""
    return escape[0] if escape[1] or escape[2] else "\\ufffd"


def _is_usual(number: str) -> bool:
    try:
        return len(number) <= _LONGEST_NUMBER and isfinite(float(number))
    except ValueError:
        return True  # of broken structure
