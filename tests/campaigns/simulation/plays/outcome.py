"""What a play came to, and what both sides have in common."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from tests.campaigns.simulation.plays.calls import PATIENCE
from tests.harness.patch import patched
from warouter.store import election
from warouter.store.journal import sessions
from warouter.store.journal.inbox import InboxRow

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)  # before any node's clock: so it is never ahead of that
LONGEST = 590.0  # seconds that a play's clock goes forward: nothing is old enough to be pruned
Rows = dict[str, list[Any]]


class Outcome(msgspec.Struct, frozen=True):
    """What a play came to: an answer a call, and the rows in the end."""

    answers: list[Any]
    rows: Rows


def outcome(answers: list[Any], tables: dict[str, Iterable[Any]]) -> Outcome:
    return Outcome(answers, {name: plain([*map(tuple, rows)]) for name, rows in tables.items()})


def plain(value: Any, *, ordered: bool = False) -> Any:
    """The same for the same, whoever says it and however; lists are sorted unless ``ordered``."""
    if isinstance(value, list):
        found = list(map(_plain, value))
        return found if ordered else sorted(found, key=repr)
    return _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case float():
            return round(value, 3) + 0.0  # no -0.0, which is sorted as another text
        case datetime():
            return round((value - BEGIN).total_seconds(), 3)
        case memoryview():
            return bytes(value)
        case InboxRow(stored=list(names)) if names != sorted(
            names
        ):  # in whatever order they are found
            return _plain(replace(value, stored=sorted(names)))
        case msgspec.Struct():
            return list(map(_plain, msgspec.structs.astuple(value)))
        case list() | tuple():
            return list(map(_plain, value))
    if hasattr(value, "items"):  # a row with its columns
        return {name: _plain(value[name]) for name in sorted(value.keys())}
    return value


@contextmanager
def patient() -> Iterator[None]:
    """Within, the store waits for as long as the machine needs."""
    limits = sessions._LIMITS | {"lock_timeout": "0", "statement_timeout": "0"}
    changes = [
        (sessions, "WRITE_SECONDS", PATIENCE),
        (sessions, "_LIMITS", limits),
        (election, "WRITE_SECONDS", PATIENCE),
        (election, "LOOK_SECONDS", PATIENCE),
    ]
    logging.disable(logging.CRITICAL)
    try:
        with patched(changes):
            yield
    finally:
        logging.disable(logging.NOTSET)
