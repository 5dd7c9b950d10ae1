"""Settings as they are stored, which was perhaps not by the API: a restore by hand, another build.

So nothing that is read is trusted to be what the API checked. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec


class Usable(NamedTuple):
    """The fields that can be used, and what is wrong with each that cannot, in a few words."""

    fields: dict[str, Any]
    problems: list[str]


def decoded(text: str) -> Any:
    """The JSON of a setting; None for what JSON has and Python has not, as a number of 1e999."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def usable(stored: Any, kind: type[msgspec.Struct], last: Mapping[str, Any]) -> Usable:
    """``stored`` as fields of ``kind``; in the place of what cannot be used stays that of ``last``.

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
    """The texts under these names, one behind the other; None unless each is one that is ASCII."""
    if not isinstance(stored, Mapping):
        return None
    texts = [stored.get(name) for name in names]
    if not all(isinstance(text, str) and text.isascii() for text in texts):
        return None
    return "".join(map(str, texts))
