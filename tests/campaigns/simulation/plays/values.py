"""Ids and keys of plays, and answers as plain values that can be compared."""

from __future__ import annotations

from typing import Any

from tests.campaigns.simulation.plays.calls import STATUSES
from warouter.message_id import text_of


def id_of(slot: int, number: int) -> bytes:
    return bytes((1, slot)) + number.to_bytes(18, "big")


def key_of(slot: int, kind: int, number: int, status: str) -> str:
    """A status of a message, or an inbound message."""
    if kind:
        return f"wamid.{slot}.{number}.{STATUSES.index(status)}"
    return f"{text_of(id_of(slot, number))}:{status}"


def staggered(row: dict[str, Any]) -> dict[str, Any]:
    """No two rows are due at the same time, or either of them might be first."""
    more = {"delay_ms": 7 * row["seq"], "ends_ms": 3 * row["seq"]}
    return {name: value + more[name] if name in more else value for name, value in row.items()}


def picked(rows: list[Any], *columns: str) -> list[tuple[Any, ...]]:
    """These columns of the rows, in an order that does not depend on the database's."""
    found = [tuple(rounded(row[column]) for column in columns) for row in rows]
    return sorted(found, key=repr)


def rounded(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return round(value, 3) if isinstance(value, float) else value
