"""A choice among the messages in doubt or held, as people write it in a URL or at a shell.

Whatever lists, counts or ends several of them goes by it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from warouter._hash import SLOTS, slot_of
from warouter.flow.causes import ANSWER, CAUSES, CONNECTION, ERROR, ODD, OTHER, SAID
from warouter.recipient import wa_id
from warouter.store.database import Source
from warouter.store.views.backlog import MOST_COUNTED
from warouter.store.views.doubts import (
    COLUMNS,
    LISTED,
    MESSAGE_OF,
    STATES,
    DoubtfulMessage,
    Spans,
    shown_of,
)
from warouter.store.views.messages.asked import number_of, one_of, time_of, words_of

# The fields, and what each is called at a shell.
OPTIONS = {
    "state": "--state",
    "number": "--to",
    "since": "--since",
    "before": "--before",
    "cause": "--cause",
    "template": "--template",
    "slot": "--slot",
}
_TEMPLATE = re.compile(r"[a-z0-9_]{1,512}")  # as Meta names them

# ``flow.causes.word_of``, of what an owner heard.
_WORDS = " ".join(f"when s.cause = '{said}' then '{word}'" for said, word in SAID.items())
CAUSE_SQL = f"""case when s.cause is null then '{OTHER}' {_WORDS}
         when s.cause ~ '^({ODD.pattern})' then '{ANSWER}'
         when s.cause ~ '^({ERROR.pattern})' then '{OTHER}' else '{CONNECTION}' end"""
# Seven parameters: ``DoubtChoice.arguments``.
CHOSEN_SQL = f"""
 where s.state = any ($1::smallint[]) and ($2::text is null or s.recipient = $2)
   and ($3::timestamptz is null or s.at >= $3) and ($4::timestamptz is null or s.at < $4)
   and ($5::smallint is null or s.slot = $5)
   and ($6::text is null or {CAUSE_SQL} = $6)
   and ($7::text is null or of_template(s.slot, s.seq, $7))"""
LIST_SQL = f"""
select {COLUMNS}
  from (select s.* from send_issue s {CHOSEN_SQL} order by s.at, s.slot, s.seq limit $8) s
  {MESSAGE_OF}
 order by s.at, s.slot, s.seq"""
COUNT_SQL = f"""
select c.state, count(*) as messages
  from (select s.state from send_issue s {CHOSEN_SQL} limit {MOST_COUNTED + 1}) c
 group by c.state"""
IDS_SQL = f"select s.id from send_issue s {CHOSEN_SQL} and s.id > $8 order by s.id limit $9"


class DoubtChoice(NamedTuple):
    """The messages that match every field that is not None.

    ``states`` are those of the rows; a message is in its state ``since`` then, and since a time
    ``before`` that one. ``template`` is a name.
    """

    states: tuple[int, ...] = LISTED
    recipient: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    slot: int | None = None
    cause: str | None = None
    template: str | None = None

    @property
    def arguments(self) -> tuple[Any, ...]:
        return (list(self.states), *self[1:])


class DoubtCounts(NamedTuple):
    """The number of messages by the name of their state, of the states in which there are some;
    ``more`` than these if there are many.
    """

    states: dict[str, int]
    more: bool

    @property
    def total(self) -> int:
        return sum(self.states.values())


class DoubtListing(NamedTuple):
    """Messages of a choice, the longest in their state first, and how many there are."""

    messages: list[DoubtfulMessage]
    counts: DoubtCounts


def choice_of(
    fields: Mapping[str, str], now: datetime, states: tuple[int, ...] = LISTED
) -> DoubtChoice:
    """The choice of these fields, among ``states``; raises ValueError with a sentence.

    Empty fields ask for nothing. ``state`` may have several words with commas between them. A time
    is ISO 8601, of UTC unless it says another zone, or a span before ``now`` such as ``15m``.
    """
    given = {name: text for name in OPTIONS if (text := fields.get(name, "").strip())}
    known = {STATES[state]: state for state in states}
    names = words_of("state to choose here", given.get("state", ""), tuple(known))
    recipient = wa_id(given["number"]) if "number" in given else None
    slot = number_of("a slot", given.get("slot"), 0, SLOTS - 1)
    if slot is None and recipient is not None:
        slot = slot_of(recipient)
    return DoubtChoice(
        states=tuple(known[name] for name in names) or states,
        recipient=recipient,
        since=_moment(given.get("since"), now),
        before=_moment(given.get("before"), now),
        slot=slot,
        cause=one_of("cause", given.get("cause", ""), CAUSES) or None,
        template=_template(given.get("template")),
    )


def options_of(fields: Mapping[str, str]) -> str:
    """The fields as options of the command line; "" if there are none."""
    words = [
        word
        for name, option in OPTIONS.items()
        if (text := fields.get(name, "").strip())
        for word in (option, text)
    ]
    return shlex.join(words)


async def read_listing(
    connection: Source, which: DoubtChoice, spans: Spans, most: int
) -> DoubtListing:
    """List at most so many messages of a choice, and count them all up to a limit, by state."""
    rows = await connection.fetch(LIST_SQL, *which.arguments, most)
    counted = await connection.fetch(COUNT_SQL, *which.arguments)
    found = {row["state"]: row["messages"] for row in counted}
    counts = {STATES[state]: found[state] for state in which.states if state in found}
    more = sum(found.values()) > MOST_COUNTED
    return DoubtListing([shown_of(row, spans) for row in rows], DoubtCounts(counts, more))


async def chosen_ids(
    connection: Source, which: DoubtChoice, after: bytes, most: int
) -> list[bytes]:
    """The next ids of a choice, in their order: at most so many ``after`` this one."""
    rows = await connection.fetch(IDS_SQL, *which.arguments, after, most)
    return [row["id"] for row in rows]


def _moment(text: str | None, now: datetime) -> datetime | None:
    ms = time_of(text, now)
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def _template(name: str | None) -> str | None:
    if name is not None and not _TEMPLATE.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no name of a template: a-z, 0-9 and _ only.")
    return name
