"""The state of one message and every known step, read in one read-only snapshot.

Nothing is searched through: a row is found by its id, the statuses of a message lie next to each
other in the index of event keys (``<id>:<status>...``), and cursors say what is settled.

The range of those keys is written so that it holds in any collation: its ends differ from the keys
between them by letters, never by punctuation, which some collations pass over, and no status begins
with a letter after w. Keys of other ids that a collation puts between them are filtered out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from warouter.flow.cursor import Cursor
from warouter.kinds import INBOUND, MEDIA, MESSAGE, READ_MARK, STATUS, base_of
from warouter.message_id import parse, slot_of_id
from warouter.store.database import Taken
from warouter.store.dead_letters import LetterPosition
from warouter.store.views.attempts import Attempts, read_attempts

_TIME = "to_char({} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
MESSAGE_SQL = f"""
select m.seq, m.kind, m.recipient, m.ttl, {_TIME.format("m.accepted_at")} as at,
       p.attempts, p.reason, case when p.due_at < 'infinity' then
       extract(epoch from p.due_at - clock_timestamp())::float8 end as due_in_s,
       is_aside(m.slot, 0::smallint, m.seq) as aside
  from message m left join parked_message p on p.slot = m.slot and p.seq = m.seq
 where m.id = $1 and m.number = $2"""
_SLOT = """
select s.epoch, n.name as owner, m.shards, c.mark, c.ranges
  from slot s join send_cursor c using (slot) cross join shard_map m
  left join node n on n.incarnation = s.owner where s.slot = $1"""
# Who owned a slot at each of some times, as far back as the log of owners goes.
OWNERS_SQL = """
select o.to_node, o.epoch
  from unnest($2::text[]) with ordinality t(at, n)
  left join lateral (
    select l.to_node, l.epoch from owner_log l
     where l.slot = $1 and l.at < t.at::timestamptz + interval '1 ms'
     order by l.slot desc, l.id desc limit 1) o on true
 order by t.n"""
_OF_MESSAGE = "{0}.key >= $1 || ':' and {0}.key < $1 || ':xx' and starts_with({0}.key, $1 || ':')"
_STATE = f"""
       d.reason as dead_reason, d.attempts as dead_attempts, {_TIME.format("d.died_at")} as died_at,
       p.reason as parked_reason, p.attempts as parked_attempts,
       extract(epoch from p.due_at - clock_timestamp())::float8 as due_in_s,
       c.mark, c.ranges"""
_EVENTS = f"""
select e.slot, e.kind, e.seq, e.key, e.recipient, status_said(e.key) as payload,
       {_TIME.format("e.recorded_at")} as at, {_STATE}
  from event e join event_cursor c using (slot, kind)
  left join parked_event p using (slot, kind, seq)
  left join dead_letter d using (slot, kind, seq)
 where e.kind = $2 and e.number = $3 and """
_BURIED = f"""
select d.slot, d.kind, d.seq, d.key, d.recipient, status_said(d.key) as payload,
       {_TIME.format("d.recorded_at")} as at, {_STATE}
  from dead_letter d join event_cursor c using (slot, kind)
  left join parked_event p using (slot, kind, seq)
 where d.kind = $2 and d.number = $3
   and not exists (select 1 from event e where e.key = d.key and e.number = d.number) and """
STATUSES_SQL = _EVENTS + _OF_MESSAGE.format("e")
BURIED_STATUSES_SQL = _BURIED + _OF_MESSAGE.format("d")
INBOUND_SQL = f"{_EVENTS} e.key = $1"
BURIED_INBOUND_SQL = f"{_BURIED} d.key = $1"
_NAMES = {MESSAGE: "message", READ_MARK: "read mark"}
_RANKS = {"failed": 4, "read": 3, "delivered": 2, "sent": 1}


class Callback(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a callback. ``settled``: delivered, or not wanted.

    ``letter`` is the id of its dead letter.
    """

    state: str  # waiting, settled, parked, dead letter
    attempts: int | None = None
    due_in_s: float | None = None
    reason: str | None = None
    at: str | None = None
    letter: str | None = None


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step; ``at`` is UTC by the database's clock, where known.

    ``owner`` and ``epoch`` are those of the slot at that time, if they are on record. ``codes`` are
    those of the errors that ``reason`` names.
    """

    step: str  # accepted, parked, settled, received, or a status of the upstream
    at: str | None = None
    timestamp: str | None = None  # the upstream's own, seconds since 1970
    attempts: int | None = None
    due_in_s: float | None = None
    reason: str | None = None
    callback: Callback | None = None
    owner: str | None = None
    epoch: int | None = None
    codes: list[int] = []


class Trace(msgspec.Struct, frozen=True, omit_defaults=True):
    """``state``: waiting (or sent and not answered), parked, in_doubt, held, taken (no status yet),
    or the furthest status; of an inbound message received. ``recipient`` is the wa_id of the other
    side. ``cloud`` is there once a request to the Cloud API is on record. With ``media`` the owner
    fetches and uploads media before it sends the message.
    """

    id: str
    direction: str  # outgoing, incoming
    kind: str
    state: str
    recipient: str | None
    slot: int
    shard: int
    owner: str | None
    epoch: int
    ttl: int | None
    steps: list[Step]
    cloud: Attempts | None = None
    media: bool = False


class UpstreamFailure(msgspec.Struct):
    """The upstream's words about a message that failed."""

    code: int = 0
    title: str = ""
    details: str = ""

    @property
    def text(self) -> str:
        return f"{self.code} {self.title}: {self.details}".rstrip(": ")


class _Payload(msgspec.Struct):
    errors: list[UpstreamFailure] = []
    timestamp: str | None = None


_PAYLOAD = msgspec.json.Decoder(_Payload)


async def read_trace(connection: Taken, message_id: str, number: int = 1) -> Trace | None:
    """The trace of a message of the number, outgoing or inbound; None if it is not known."""
    if not message_id.isprintable():
        return None
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        try:
            raw = parse(message_id)
        except ValueError:
            return await _incoming(connection, message_id, number)
        return await _outgoing(connection, message_id, raw, number) or await _incoming(
            connection, message_id, number
        )


async def _outgoing(connection: Taken, message_id: str, raw: bytes, number: int) -> Trace | None:
    known = await connection.fetchrow(MESSAGE_SQL, raw, number)
    events = [
        *await connection.fetch(STATUSES_SQL, message_id, STATUS, number),
        *await connection.fetch(BURIED_STATUSES_SQL, message_id, STATUS, number),
    ]
    if known is None and not events:
        return None
    where = await connection.fetchrow(_SLOT, slot_of_id(raw))
    assert where is not None
    statuses = sorted(map(_status, events), key=lambda s: (s.at or "", _RANKS.get(s.step, 0)))
    own = _own_steps(known, Cursor(where["mark"], where["ranges"]))
    cloud = await read_attempts(connection, raw)
    return Trace(
        id=message_id,
        direction="outgoing",
        kind=_NAMES.get(base_of(known["kind"]), "message") if known else "message",
        state=_state(own, statuses, cloud),
        recipient=known["recipient"] if known else events[0]["recipient"],
        ttl=known["ttl"] if known else None,
        steps=await _owned(connection, slot_of_id(raw), [*own, *statuses]),
        cloud=cloud,
        media=known is not None and base_of(known["kind"]) == MEDIA,
        **_place(where, slot_of_id(raw)),
    )


async def _incoming(connection: Taken, message_id: str, number: int) -> Trace | None:
    event = await connection.fetchrow(INBOUND_SQL, message_id, INBOUND, number)
    event = event or await connection.fetchrow(BURIED_INBOUND_SQL, message_id, INBOUND, number)
    if event is None:
        return None
    where = await connection.fetchrow(_SLOT, event["slot"])
    assert where is not None
    received = Step("received", event["at"], callback=_callback(event))
    return Trace(
        id=message_id,
        direction="incoming",
        kind="message",
        state="received",
        recipient=event["recipient"],
        ttl=None,
        steps=await _owned(connection, event["slot"], [received]),
        **_place(where, event["slot"]),
    )


async def _owned(connection: Taken, slot: int, steps: list[Step]) -> list[Step]:
    """The steps, each that has a time with the owner of the slot then."""
    times = [step.at for step in steps if step.at is not None]
    found = iter(await connection.fetch(OWNERS_SQL, slot, times) if times else ())
    named = []
    for step in steps:
        row = next(found) if step.at is not None else None
        known = {} if row is None else {"owner": row["to_node"], "epoch": row["epoch"]}
        named.append(msgspec.structs.replace(step, **known))
    return named


def _place(where: Any, slot: int) -> dict[str, Any]:
    return {
        "slot": slot,
        "shard": slot % where["shards"],
        "owner": where["owner"],
        "epoch": where["epoch"],
    }


def _state(own: list[Step], statuses: list[Step], cloud: Attempts | None) -> str:
    """A message in doubt is parked at first, and one that is held counts as settled."""
    names = [s.step for s in statuses if s.step in _RANKS]
    if cloud is not None and not names and (cloud.doubt or cloud.held):
        return "in_doubt" if cloud.doubt else "held"
    last = own[-1].step if own else "settled"
    if last != "settled":
        return "waiting" if last == "accepted" else last
    return max(names, key=_RANKS.__getitem__, default="taken")


def _own_steps(known: Any, cursor: Cursor) -> list[Step]:
    """The steps in the journal: accepted, then parked or settled, or neither."""
    if known is None:
        return []
    steps = [Step("accepted", known["at"])]
    if known["reason"] is not None:
        why = {"attempts": known["attempts"], "due_in_s": known["due_in_s"]}
        steps.append(Step("parked", reason=known["reason"], **why))
    elif cursor.settled(known["seq"]) and not known["aside"]:
        steps.append(Step("settled"))
    return steps


def _status(event: Any) -> Step:
    payload = _payload(event["payload"])
    return Step(
        event["key"].split(":")[1],
        event["at"],
        payload.timestamp,
        reason=reason_of(payload.errors),
        codes=[error.code for error in payload.errors],
        callback=_callback(event),
    )


def errors_of(status: bytes | None) -> list[UpstreamFailure]:
    """The errors in a status, as the upstream gave it."""
    return [] if status is None else _payload(status).errors


def reason_of(errors: list[UpstreamFailure]) -> str | None:
    """Join all reasons in one line."""
    return "; ".join(error.text for error in errors) or None


def _payload(raw: bytes) -> _Payload:
    try:
        return _PAYLOAD.decode(raw)
    except msgspec.DecodeError:
        return _Payload()


def _callback(event: Any) -> Callback:
    if event["dead_reason"] is not None:
        attempts, reason = event["dead_attempts"], event["dead_reason"]
        letter = LetterPosition(event["kind"], event["slot"], event["seq"]).text
        return Callback("dead letter", attempts, None, reason, event["died_at"], letter)
    if event["parked_reason"] is not None:
        attempts, reason = event["parked_attempts"], event["parked_reason"]
        return Callback("parked", attempts, event["due_in_s"], reason)
    done = Cursor(event["mark"], event["ranges"]).settled(event["seq"])
    return Callback("settled" if done else "waiting")
