"""Messages in doubt or held, and a number that is stopped: what only the Cloud API brings about.

The names of their states are here for all who show them.

When a wait ends is an estimate: the category of a template, and whether webhooks provably come, are
known to its owner alone. The spans are those that the coreapps report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

from warouter.config import Settings
from warouter.flow.causes import word_of
from warouter.flow.windows import Wait, Windows
from warouter.message_id import text_of
from warouter.store.cloud.notices import AccountNotice, read_notices
from warouter.store.database import Source
from warouter.store.journal.issues import (
    AGAIN,
    ASIDE,
    DOUBTED,
    IN_DOUBT,
    ISSUED,
    KEPT,
    NOT_TAKEN,
    RETURNING,
    SAID,
)
from warouter.store.views.backlog import MOST_COUNTED
from warouter.store.views.number_status import NumberStatus, read_number_status

STATES = {
    ISSUED: "issued",
    DOUBTED: "in_doubt",
    KEPT: "held",
    NOT_TAKEN: "waiting",
    AGAIN: "waiting",
    ASIDE: "aside",
    RETURNING: "returning",
    SAID: "said",  # told as failed, and its lane is shut until the fence is past
}
# The states of what may have been taken, and is not out.
LISTED = (*IN_DOUBT, KEPT)

Word = Literal["resend", "fail", "hold"]  # an operator's
# The states in which a message hears it; ``say_word`` has the same.
HEARS: Mapping[Word, tuple[int, ...]] = {
    "resend": (KEPT,),
    "fail": (KEPT,),
    "hold": (DOUBTED, ASIDE),
}

COLUMNS = """s.id, s.state, s.recipient, s.cause, s.attempt, s.doubts, s.at as since,
       clock_timestamp() as now, m.accepted_at + make_interval(secs => m.ttl) as expires,
       of_template(s.slot, s.seq) as template, word_said(s.id) as asked"""
MESSAGE_OF = "left join message m on m.slot = s.slot and m.seq = s.seq"
ONE_SQL = f"select {COLUMNS} from send_issue s {MESSAGE_OF} where s.id = $1"
_REPORTED = """
select body -> 'facts' -> 'env' from report
 where role = 'coreapp' and jsonb_typeof(body -> 'facts' -> 'env') = 'array'
 order by at desc limit 1"""
CLOUD_SQL = f"""
select (select upstream from format) <> 'simulator' as cloud,
       (select count(*) from (select from send_issue where state in {IN_DOUBT}
                               limit {MOST_COUNTED}) d) as in_doubt,
       (select count(*) from (select from send_issue where state = {KEPT}
                               limit {MOST_COUNTED}) h) as held,
       (select extract(epoch from clock_timestamp() - min(at))::float8 from send_issue
         where state in {IN_DOUBT}) as oldest_s,
       p.code, p.details, extract(epoch from clock_timestamp() - p.at)::float8 as stopped_s,
       p.at as stopped_at
  from (select) one
  left join (select * from cloud_pause where number = $1 order by at limit 1) p on true"""


class Spans(NamedTuple):
    """How long messages wait: in doubt by ``windows``, held for ``held`` seconds."""

    windows: Windows
    held: float


class Doubtful(msgspec.Struct, frozen=True, kw_only=True):
    """One message in doubt since ``since``, or held since then. Times are UTC.

    ``ends`` is the first moment ahead at which that may end by itself; None if there is none.
    """

    id: str
    state: str  # in_doubt, held; of one that is neither: issued, waiting, said
    recipient: str
    cause: str
    attempt: int
    since: str
    ends: str | None


class DoubtfulMessage(Doubtful, frozen=True, kw_only=True):
    """One message with all of its row. ``doubts``: so many attempts may have been taken.

    ``said`` is what its owner heard; ``asked`` an operator's word that is not taken up yet.
    """

    doubts: int
    said: str | None
    asked: str | None


class Stopped(msgspec.Struct, frozen=True):
    """Why the number is stopped, by Meta's code and in its words. ``at`` is UTC."""

    code: int
    details: str
    age_s: float
    at: str


class CloudStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the Cloud API as upstream.

    Messages in doubt or held, of all numbers and counted up to a limit; why one number is stopped,
    what Meta said of its account, and how it fares.
    """

    in_doubt: int
    held: int
    oldest_doubt_s: float | None
    stopped: Stopped | None
    notices: list[AccountNotice]
    number: NumberStatus | None = None


async def read_spans(connection: Source, settings: Settings) -> Spans:
    """The spans that are in force at the coreapps; those of ``settings`` while none reports."""
    said = await connection.fetchval(_REPORTED)
    reported = dict(each.split("=", 1) for each in msgspec.json.decode(said or "[]"))
    base = reported.get("WAROUTER_CLOUD_DOUBT_SECONDS")
    held = reported.get("WAROUTER_PENDING")
    return Spans(
        Windows(float(base or settings.cloud_doubt_seconds)),
        float(held or settings.pending_seconds),
    )


async def find_one(connection: Source, message_id: bytes, spans: Spans) -> DoubtfulMessage | None:
    """The row of one message, whatever its state; None if it has none."""
    row = await connection.fetchrow(ONE_SQL, message_id)
    return None if row is None else shown_of(row, spans)


async def read_cloud(connection: Source, number: int) -> CloudStatus | None:
    """Read the state of the Cloud API and of a number; None if the simulator is upstream and
    nothing is left.
    """
    row = await connection.fetchrow(CLOUD_SQL, number)
    assert row is not None
    if not row["cloud"] and not row["held"]:
        return None
    stopped = None
    if row["code"] is not None:
        stopped = Stopped(row["code"], row["details"], row["stopped_s"], iso(row["stopped_at"]))
    return CloudStatus(
        in_doubt=row["in_doubt"],
        held=row["held"],
        oldest_doubt_s=row["oldest_s"],
        stopped=stopped,
        notices=await read_notices(connection, number),
        number=await read_number_status(connection, number),
    )


def iso(at: datetime) -> str:
    """A time as the views show it: UTC, to the millisecond."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def spoken(states: Iterable[int]) -> str:
    """The names of states as people read them: ``in doubt or held``."""
    return " or ".join(STATES[state].replace("_", " ") for state in states)


def age(seconds: float) -> str:
    """A span of time in its largest unit of which there are two."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def shown_of(row: Any, spans: Spans) -> DoubtfulMessage:
    """A row of ``COLUMNS`` as it is shown."""
    over = _over(row, spans)
    said = row["cause"]
    return DoubtfulMessage(
        id=text_of(row["id"]),
        state=STATES[row["state"]],
        recipient=row["recipient"],
        cause=word_of(said or ""),
        attempt=row["attempt"],
        since=iso(row["since"]),
        ends=None if over is None else iso(over),
        doubts=row["doubts"],
        said=said,
        asked=row["asked"],
    )


def _over(row: Any, spans: Spans) -> datetime | None:
    """The first moment ahead at which the wait of this row may end."""
    moments = [row["since"] + timedelta(seconds=wait) for wait in _waits(row, spans)]
    if row["state"] in IN_DOUBT and row["expires"] is not None:
        moments.append(row["expires"])
    return min((moment for moment in moments if moment > row["now"]), default=None)


def _waits(row: Any, spans: Spans) -> list[float]:
    """Seconds after which the wait may end: in doubt with proof or without, by kind of message."""
    if row["state"] == KEPT:
        return [spans.held]
    if row["state"] not in IN_DOUBT:
        return []
    kinds = (Wait.ORDINARY, Wait.HELD) if row["template"] else (Wait.ORDINARY,)
    return [wait for kind in kinds for wait in spans.windows.of(kind)[:2]]
