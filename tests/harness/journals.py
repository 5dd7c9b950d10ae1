"""Rows of the journals of an owner of slots 3 and 5."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import asyncpg

from warouter.flow.event import EventRow
from warouter.link.wire import Message
from warouter.store.journal import Journal, ReadRow, Stretch

ME, OTHER = uuid4(), uuid4()
OWNED = {3: 10, 5: 20}
RECIPIENT = "4915112345678"


async def own(pool: asyncpg.Pool, slot: int, epoch: int, owner: UUID = ME) -> None:
    await pool.execute(
        "update slot set owner = $3, epoch = $2, successor = null where slot = $1",
        *(slot, epoch, owner),
    )


def an_id(number: int, slot: int = 3) -> bytes:
    return bytes((1, slot)) + number.to_bytes(18, "big")


def row(seq: int, slot: int = 3, *, number: int = 0, of: int = 1, **fields: Any) -> Message:
    """A message ``of`` a number; of equal ``number`` is one, which is its seq unless told."""
    given = {"recipient": RECIPIENT, "kind": 0, "body": b"{}", **fields}
    return Message(slot, 0, an_id(number or seq, slot), **given, number=of, seq=seq)


async def page_of(
    journal: Journal,
    slot: int,
    after: int = 0,
    upto: int = 99,
    limit: int = 99,
    most_bytes: int = 1 << 20,
) -> list[ReadRow]:
    """A page of one slot's messages."""
    return (await journal.pages([Stretch(slot, after, upto)], limit, most_bytes))[slot]


def event(seq: int, key: str, slot: int = 3, recipient: str = RECIPIENT) -> EventRow:
    return EventRow(slot, seq, 0, key, recipient, b"{}", None)
