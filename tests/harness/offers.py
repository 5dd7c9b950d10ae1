"""What the fast path needs beside its context, without a webapp."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from warouter.errors import ApiError
from warouter.link.wire import Outgoing


class Links(NamedTuple):
    """Takes each message with one function."""

    offer: Callable[[Outgoing, Callable[[bytes | ApiError], None]], None]


class Number(NamedTuple):
    """A number that is registered."""

    known: bool = True
