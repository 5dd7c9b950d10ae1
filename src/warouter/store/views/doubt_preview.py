"""The messages that an operator's word would reach, counted, and what it may cost, in sentences.

The words are those of the command line and of the console.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from warouter.flow.causes import GONE
from warouter.store.database import Source
from warouter.store.views.backlog import MOST_COUNTED
from warouter.store.views.doubt_choice import CAUSE_SQL, CHOSEN_SQL, DoubtChoice
from warouter.store.views.doubts import STATES, Spans, Word, age, iso

# What is chosen is older than this: the word goes to what was previewed, and to nothing after it.
_NOW = "select date_trunc('milliseconds', clock_timestamp())"
# A row for each state, one for each cause, and one for all, which is there if there is none.
# Templates are counted with $8, which has each message looked at.
PREVIEW_SQL = f"""
with chosen as materialized (
    select s.state, {CAUSE_SQL} as cause, s.recipient, s.doubts, s.at,
           $8::boolean and of_template(s.slot, s.seq) as template
      from send_issue s {CHOSEN_SQL} limit {MOST_COUNTED + 1})
select state, cause, count(*) as messages, count(distinct recipient) as recipients,
       count(*) filter (where doubts > 0) as doubtful,
       count(distinct recipient) filter (where doubts > 0) as doubtful_recipients,
       count(*) filter (where template) as templates, min(at) as oldest, max(at) as newest
  from chosen group by grouping sets ((), (state), (cause))
 order by messages desc, state, cause"""
DEEDS: dict[Word, str] = {
    "resend": "will be sent once more",
    "fail": "will end as failed",
    "hold": "will be held",
}


class DoubtPreview(NamedTuple):
    """The messages of a choice, counted up to a limit: ``more`` if there are more.

    ``choice`` has those that were there at the time of the preview. ``doubtful`` messages may have
    been taken by Meta, of so many recipients. ``held_s``: what is held fails after so long.
    """

    word: Word
    choice: DoubtChoice
    at: datetime
    messages: int
    more: bool
    recipients: int
    states: dict[str, int]
    causes: dict[str, int]
    doubtful: int
    doubtful_recipients: int
    templates: int
    oldest: datetime | None
    newest: datetime | None
    held_s: float


async def read_preview(
    connection: Source, which: DoubtChoice, word: Word, spans: Spans
) -> DoubtPreview:
    """Count what this word to this choice would reach."""
    at = await connection.fetchval(_NOW)
    which = which._replace(before=at if which.before is None else min(at, which.before))
    rows = await connection.fetch(PREVIEW_SQL, *which.arguments, word == "resend")
    [whole] = [row for row in rows if row["state"] is None and row["cause"] is None]
    return DoubtPreview(
        word=word,
        choice=which,
        at=at,
        messages=min(whole["messages"], MOST_COUNTED),
        more=whole["messages"] > MOST_COUNTED,
        recipients=whole["recipients"],
        states={STATES[row["state"]]: row["messages"] for row in rows if row["state"] is not None},
        causes={row["cause"]: row["messages"] for row in rows if row["cause"] is not None},
        doubtful=whole["doubtful"],
        doubtful_recipients=whole["doubtful_recipients"],
        templates=whole["templates"],
        oldest=whole["oldest"],
        newest=whole["newest"],
        held_s=spans.held,
    )


def messages_of(count: int, *, more: bool = False) -> str:
    """The number of messages in words."""
    if more:
        return f"more than {count:,} messages"
    return "1 message" if count == 1 else f"{count:,} messages"


def sentences_of(preview: DoubtPreview) -> list[str]:
    """Say what the word would reach and what it may cost; nothing if it reaches nothing."""
    if preview.oldest is None or preview.newest is None:
        return []
    count = messages_of(preview.messages, more=preview.more)
    waits = [age((preview.at - at).total_seconds()) for at in (preview.newest, preview.oldest)]
    waiting = " to ".join(dict.fromkeys(waits))
    said = [
        f"{count} to {_customers(preview.recipients)} {DEEDS[preview.word]}.",
        f"By state: {_counted(preview.states)}. By cause: {_counted(preview.causes)}.",
        f"Waiting for {waiting}; the oldest since {iso(preview.oldest)}.",
        *_costs(preview),
    ]
    if preview.more:
        said.append(f"The figures are those of {preview.messages:,} of them.")
    return [f"{sentence[0].upper()}{sentence[1:]}" for sentence in said]


def _costs(preview: DoubtPreview) -> list[str]:
    if preview.word == "hold":
        ends = iso(preview.at + timedelta(seconds=preview.held_s))
        return [
            f"Without another word of yours they fail {age(preview.held_s)} after they are held,"
            f" about {ends}; a status that Meta took one ends it before.",
            "What waits behind them is sent.",
        ]
    if preview.word == "fail":
        return [
            f"{_customers(preview.doubtful_recipients)} may have got a message of which the"
            " business is told that it failed."
        ]
    said = [
        f"{messages_of(preview.doubtful)} may have been taken by Meta already: each that was"
        " reaches its customer twice, and Meta charges each delivery."
    ]
    if preview.templates:
        are = (
            "1 is a template" if preview.templates == 1 else f"{preview.templates:,} are templates"
        )
        said.append(f"{are}, whose delivery costs the price of its category.")
    if gone := preview.causes.get(GONE):
        said.append(f"Not sent, and held as before: {messages_of(gone)}, no longer stored.")
    return said


def _customers(count: int) -> str:
    return "1 customer" if count == 1 else f"{count:,} customers"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
