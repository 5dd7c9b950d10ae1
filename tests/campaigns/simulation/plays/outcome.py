"""What a play came to, and what both sides have in common."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from tests.campaigns.simulation.patch import patched
from tests.campaigns.simulation.plays.player import PATIENCE
from warouter.store import election, journal

LONGEST = 590.0  # seconds that a play's clock goes forward: nothing is old enough to be pruned
Rows = dict[str, list[tuple[Any, ...]]]


class Outcome(msgspec.Struct, frozen=True):
    """What a play came to: an answer a call, and the rows in the end."""

    answers: list[Any]
    rows: Rows


@contextmanager
def patient() -> Iterator[None]:
    """Within, the store waits for as long as the machine needs."""
    limits = journal._LIMITS | {"lock_timeout": "0", "statement_timeout": "0"}
    changes = [
        (journal, "WRITE_SECONDS", PATIENCE),
        (journal, "_LIMITS", limits),
        (election, "WRITE_SECONDS", PATIENCE),
        (election, "LOOK_SECONDS", PATIENCE),
    ]
    logging.disable(logging.CRITICAL)
    try:
        with patched(changes):
            yield
    finally:
        logging.disable(logging.NOTSET)


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(map(_plain, row)) for row in rows), key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    return list(value) if isinstance(value, tuple) else value
