"""Reads stored settings, which another build or a manual restore may have written.

So nothing that is read is trusted to be what the API checked. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec


class Usable(NamedTuple):
    """The usable fields, and the problem of each other one."""

    fields: dict[str, Any]
    problems: list[str]


def decoded(text: str) -> Any:
    """The JSON of a setting; None if Python cannot represent it, such as 1e999."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def usable(stored: Any, kind: type[msgspec.Struct], last: Mapping[str, Any]) -> Usable:
    """``stored`` as fields of ``kind``; an unusable field keeps its value in ``last``.

    ``kind`` requires no field. Those that it does not know are left as they are.
    """
    if not isinstance(stored, Mapping):
        return Usable(dict(last), ["it is not an object"])
    fields: dict[str, Any] = {}
    problems = []
    for name, value in stored.items():
        try:
            msgspec.convert({name: value}, kind, strict=False)
            fields[name] = value
        except (msgspec.ValidationError, ValueError, TypeError, RecursionError) as error:
            problems.append(str(error)[:200])
            if name in last:
                fields[name] = last[name]
    return Usable(fields, problems)


def text_of(stored: Any, *names: str) -> str | None:
    """The texts under these names, joined; None unless each is an ASCII string."""
    if not isinstance(stored, Mapping):
        return None
    texts = [stored.get(name) for name in names]
    if not all(isinstance(text, str) and text.isascii() for text in texts):
        return None
    return "".join(map(str, texts))
