"""Dead letters as operators see them: find them, and ask for their replay.

Nothing here writes what an owner writes: a letter that is asked for is marked, and the owner of its
slot moves it (``Journal.take_up_letters``), fenced as ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from warouter.kinds import EVENT_NAMES
from warouter.log import without_numbers
from warouter.store import locks
from warouter.store.database import Source
from warouter.store.views.messages.short import short_id

LETTERS = "letters"  # the payload of NOTIFY: some were asked for

_WHERE = """
 where ($1::smallint is null or kind = $1) and ($2::text is null or recipient = $2)
   and ($3::text[] is null or slot || '-' || kind || '-' || seq = any ($3))
   and ($4::text is null or position(lower($4) in lower(reason)) > 0)"""
_COLUMNS = """slot, kind, seq, key, recipient, attempts, reason, asked_at is not null as asked,
       to_char(died_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as died_at"""
_OLDEST_FIRST = "order by dead_letter.died_at, slot, kind, seq"
_FIND = f"""
select {_COLUMNS}, payload, contact from dead_letter {_WHERE} {_OLDEST_FIRST} limit $5"""
_LIST = f"select {_COLUMNS} from dead_letter {_WHERE} {_OLDEST_FIRST} limit $5"
_COUNT = f"""
select count(*) from (select from dead_letter {_WHERE} limit $5::bigint) d"""
# What was asked for already is left to those who asked.
_COUNT_UNASKED = f"""
select count(*) from (select from dead_letter {_WHERE} and asked_at is null limit $5::bigint) d"""
_ASK = f"""
with chosen as (
    select slot, kind, seq from dead_letter {_WHERE} and ($5::bigint is null or asked_at is null)
     {_OLDEST_FIRST} limit $5),
asked as (
    update dead_letter d set asked_at = now() from chosen c
     where d.slot = c.slot and d.kind = c.kind and d.seq = c.seq returning 1)
select count(*) from asked"""
_ID = re.compile(r"(status|inbound)-(\d{1,2})-(\d{1,18})")


class LetterPosition(NamedTuple):
    """The journal position of a letter's event."""

    kind: int
    slot: int
    seq: int

    @property
    def text(self) -> str:
        """The letter's id: ``status-13-204``."""
        return f"{EVENT_NAMES[self.kind]}-{self.slot}-{self.seq}"


def parse(text: str) -> LetterPosition:
    """The place that an id names; raises ValueError with a sentence."""
    found = _ID.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not the id of a dead letter, such as status-13-204 or inbound-5-17."
        )
    return LetterPosition(EVENT_NAMES.index(found[1]), int(found[2]), int(found[3]))


class Selection(NamedTuple):
    """A selection of letters: those that match every field that is not None.

    ``reason`` is a part of it, in capitals or not.
    """

    kind: int | None = None
    recipient: str | None = None
    places: Sequence[LetterPosition] | None = None
    reason: str | None = None

    @property
    def arguments(self) -> tuple[Any, ...]:
        places = self.places
        keys = None if places is None else [f"{p.slot}-{p.kind}-{p.seq}" for p in places]
        return self.kind, self.recipient, keys, self.reason


class Cover(msgspec.Struct, frozen=True):
    """One dead letter without what somebody wrote.

    ``key`` is message id, status and timestamp, or the inbound message's id as people see it.
    ``asked``: its replay was asked for and has not begun.
    """

    id: str
    kind: str
    slot: int
    seq: int
    key: str
    recipient: str
    attempts: int
    died_at: str
    reason: str
    asked: bool


class Letter(Cover, frozen=True):
    """A whole one; ``payload`` and ``contact`` are elements of the callback's arrays."""

    payload: msgspec.Raw
    contact: msgspec.Raw | None


async def find(connection: Source, which: Selection, limit: int) -> list[Letter]:
    """The first letters of a selection, oldest death first."""
    return [_letter(row) for row in await connection.fetch(_FIND, *which.arguments, limit)]


async def covers(connection: Source, which: Selection, limit: int) -> list[Cover]:
    """List letters without their events, for logins that may not read these."""
    rows = await connection.fetch(_LIST, *which.arguments, limit)
    return [Cover(**_cover(row)) for row in rows]


async def count(connection: Source, which: Selection, most: int | None = None) -> int:
    """How many there are, counted up to ``most``."""
    return int(await connection.fetchval(_COUNT, *which.arguments, most))


async def count_unasked(connection: Source, which: Selection, most: int) -> int:
    """How many of them nobody has asked for, counted up to ``most``."""
    return int(await connection.fetchval(_COUNT_UNASKED, *which.arguments, most))


async def ask(connection: Source, which: Selection, most: int | None = None) -> int:
    """Ask for the replay of a selection; returns its size. Asking twice changes nothing.

    With ``most``, for the oldest so many of those that nobody has asked for.
    """
    asked = int(await connection.fetchval(_ASK, *which.arguments, most))
    if asked:
        await connection.execute("select pg_notify($1, $2)", locks.CHANNEL, LETTERS)
    return asked


def _letter(row: Any) -> Letter:
    return Letter(
        **_cover(row),
        payload=msgspec.Raw(row["payload"]),
        contact=None if row["contact"] is None else msgspec.Raw(row["contact"]),
    )


def _cover(row: Any) -> dict[str, Any]:
    kind = row["kind"]
    same = ("slot", "seq", "recipient", "attempts", "died_at", "reason", "asked")
    key = row["key"]
    inbound = EVENT_NAMES[kind] == "inbound"
    return {
        "id": LetterPosition(kind, row["slot"], row["seq"]).text,
        "kind": EVENT_NAMES[kind],
        "key": short_id(key, row["slot"], row["seq"]) if inbound else without_numbers(key),
        **{name: row[name] for name in same},
    }
