"""Messages as they are read back; where a slot's journals stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from warouter.flow.aside import AsideReason, AsideRow
from warouter.flow.lane_key import lane_of
from warouter.store.journal.issues import StoredIssue


class Stretch(NamedTuple):
    """The part of a slot's journal to be read: the seqs after one, and up to another."""

    slot: int
    after: int
    upto: int


class ReadRow(NamedTuple):
    """One message as it is read back, ``age`` seconds after it was accepted."""

    seq: int
    id: bytes
    recipient: str
    kind: int
    body: bytes
    ttl: int | None
    age: float
    number: int = 1
    issue: StoredIssue | None = None

    @property
    def lane(self) -> str:
        return lane_of(self.number, self.recipient)

    @property
    def size(self) -> int:
        return len(self.body)


class Opened(msgspec.Struct, frozen=True):
    """The state of a slot's journals when its epoch began."""

    slot: int
    send_mark: int
    send_ranges: list[int]
    next_seq: int
    status_mark: int
    status_ranges: list[int]
    next_status_seq: int
    inbound_mark: int
    inbound_ranges: list[int]
    next_inbound_seq: int
    aside: dict[int, list[AsideRow]] = {}  # by log: 0 messages, 1 statuses, 2 inbound


def opened_of(row: Sequence[Any]) -> Opened:
    """A row of `open_slots`, whose last column is JSON."""
    *positions, found = row
    aside: dict[int, list[AsideRow]] = {}
    for fields in msgspec.json.decode(found):
        log, why = fields.pop("log"), AsideReason(fields.pop("why"))
        aside.setdefault(log, []).append(AsideRow(**fields, why=why))
    return Opened(*(*positions, aside))
