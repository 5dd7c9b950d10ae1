"""Names of modules and classes, set for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any


@contextmanager
def patched(changes: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """Set names of modules or classes, and set them back."""
    before: list[Callable[[], None]] = []
    try:
        for where, name, value in changes:
            before.append(partial(setattr, where, name, vars(where)[name]))
            setattr(where, name, value)
        yield
    finally:
        for restore in reversed(before):
            restore()
