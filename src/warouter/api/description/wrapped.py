"""Builds the types of answers that the product wraps in nested objects."""

from __future__ import annotations

from typing import Any

import msgspec


def within(path: str, leaf: Any, name: str = "") -> type[msgspec.Struct]:
    """A Struct for ``{"a": {"b": leaf}}``, given the path ``a.b``.

    ``name`` stands for the leaf in the names of the Structs, which are unique in the description.
    """
    named = name or leaf.__name__
    names = path.split(".")
    for depth in range(len(names) - 1, -1, -1):
        title = "".join(part.title().replace("_", "") for part in names[: depth + 1])
        outer = f"{named}In{title}"
        leaf = msgspec.defstruct(outer, [(names[depth], leaf)], frozen=True, module=__name__)
    struct: type[msgspec.Struct] = leaf
    return struct
