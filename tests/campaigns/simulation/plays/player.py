"""Plays calls on a database through the product's own store objects; each gives an answer.

The same object plays on the model and on PostgreSQL: what differs between the two is which
connections ``asyncpg.connect`` gives, and ``Elsewhere``, for what none of these statements does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from tests.campaigns.simulation.plays.calls import (
    INCARNATIONS,
    LEADERS,
    NEXT,
    NODES,
    SLOTS,
    STATUSES,
    THE_LEADER,
    THE_OWNER,
    Call,
    Elsewhere,
    Event,
    Message,
    Owned,
    id_of,
)
from tests.campaigns.simulation.plays.outcome import plain
from warouter.config import Settings
from warouter.errors import FencedError
from warouter.flow.event import EventRow
from warouter.flow.lane_key import lane_of
from warouter.link import wire
from warouter.message_id import text_of
from warouter.store.beats import NodeRegistration, NodeSession
from warouter.store.election import LeaderSession
from warouter.store.journal import Journal
from warouter.store.nodes import ShardRequest

_NAMES = {incarnation: name for name, incarnation in INCARNATIONS.items()}
_ORDERED = (
    "pages",
    "aside_page",
    "event_pages",
    "inbox",
)  # the rows of others come in whatever order is found
_LOOKS_AFTER = frozenset(("renew", "hand_over", "release", "quiet"))  # and whatever a leader writes


class Player:
    """The processes of a tiny cluster, as far as they talk to the database."""

    def __init__(self, settings: Settings, elsewhere: Elsewhere) -> None:
        self._elsewhere = elsewhere
        self.leaders = {
            name: LeaderSession(settings, INCARNATIONS[name], f"leader-{name}") for name in LEADERS
        }
        self._nodes = {
            name: NodeSession(settings, _registration(name), lambda _hint: None) for name in NODES
        }
        self._journals = {
            name: Journal(settings, INCARNATIONS[name], f"journal-{name}") for name in NODES
        }
        self.forget_all()

    def forget_all(self) -> None:
        """Before another database, or the same one emptied."""
        self._epochs = dict.fromkeys(SLOTS, 0)
        self._owners = dict.fromkeys(SLOTS, NODES[0])
        self._leader = LEADERS[0]
        self._terms = dict.fromkeys(LEADERS, 0)
        self._requests = [ShardRequest(UUID(int=999), 1, "waiting")]
        self._newest: Counter[tuple[Any, ...]] = Counter()

    async def close(self) -> None:
        for session in (*self._nodes.values(), *self._journals.values(), *self.leaders.values()):
            session.terminate()

    async def play(self, call: Call) -> Any:
        """What came of a call, as plain values that can be compared."""
        await self._elsewhere.step(0.001)  # nothing happens at the same time
        try:
            return await self._answer(call)
        except FencedError:
            return "fenced"
        except asyncpg.PostgresError as error:
            return f"failed: {error.sqlstate}"

    async def _answer(self, call: Call) -> Any:
        who = self._who(call)
        if call.name == "look":
            return await self._look(who, **call.arguments)
        theirs = (self._journals.get(who), self._nodes.get(who), self.leaders.get(who))
        has = next(one for one in (*theirs, self._elsewhere) if hasattr(one, call.name))
        given = call.arguments
        meant = {name: self._meant(call, who, name, value) for name, value in given.items()}
        answer = await getattr(has, call.name)(**meant)
        if call.name == "win":
            self._leader, self._terms[who] = who, answer
        shown = plain(answer, ordered=call.name in _ORDERED)
        if call.name in _LOOKS_AFTER or "term" in given:
            return shown, await self._look(LEADERS[0])
        return shown

    async def _look(self, leader: str, beat: bool = False) -> Any:
        """The whole picture but for what is of the server and its sessions."""
        seen = await self.leaders[leader].look(beat)
        moved = await self.leaders[leader].moved_lately()
        for slot in SLOTS:
            self._epochs[slot] = seen.map.slots[slot].epoch
            self._owners[slot] = _NAMES.get(seen.map.slots[slot].owner, NODES[0])
        return seen.map, seen.term, seen.leader, seen.nodes, seen.request, seen.beaten, moved

    def _who(self, call: Call) -> str:
        if call.who == THE_LEADER:
            return self._leader
        if call.who == THE_OWNER:
            return self._owners[_slots(call.arguments)[0]]
        return call.who

    def _meant(self, call: Call, who: str, name: str, value: Any) -> Any:
        """An argument as the method takes it."""
        match name:
            case "owned":
                off = value.off if isinstance(value, Owned) else value
                return {slot: self._epochs[slot] + off for slot in _slots(call.arguments)}
            case "above":
                return [self._epochs[slot] + value for slot in _slots(call.arguments)]
            case "rows" if isinstance(value, list) and call.name != "issue":
                return self._rows(value)
            case "term":
                return self._terms[who]
            case "moves" | "marks":
                epochs = [self._epochs[move.slot] + move.seen_epoch for move in value]
                moves = zip(value, epochs, strict=True)
                return [msgspec.structs.replace(move, seen_epoch=epoch) for move, epoch in moves]
            case "ages":
                return [7] * len(call.arguments["moves"])
            case "request":
                return self._request(call.name, value)
        return value

    def _request(self, method: str, new: ShardRequest | None) -> Any:
        """The last one, unless another is asked for."""
        if new is not None:
            number = UUID(int=1000 + len(self._requests))
            self._requests.append(msgspec.structs.replace(new, id=number))
        last = self._requests[-1]
        return last.id if method in ("end_request", "mark_slots") else last

    def _rows(self, rows: Iterable[Message | Event]) -> list[Any]:
        """Of two in one place the last."""
        made: dict[tuple[Any, ...], Any] = {}
        for row in rows:
            what = type(row).__name__
            journal = (what, row.slot, row.kind if isinstance(row, Event) else 0)
            seq = self._new(journal, row.seq)
            number = self._new(("number", what, row.slot), row.number)
            made[*journal, seq] = _made(row, seq, number)
        return [*made.values()]

    def _new(self, counter: tuple[Any, ...], given: int) -> int:
        self._newest[counter] += given == NEXT
        return given or self._newest[counter]


def _slots(arguments: dict[str, Any]) -> list[int]:
    """Those that a call is about."""
    match arguments:
        case {"owned": Owned(slots, _)} | {"slots": slots}:
            return list(slots)
    return sorted({row.slot for row in arguments["rows"]})


def _made(row: Message | Event, seq: int, number: int) -> wire.Message | EventRow:
    """As the product has it."""
    slot, recipient = row.slot, row.recipient
    if isinstance(row, Message):
        key = (
            wire.IdempotencyKey(row.key[0].encode() * 32, row.key[1].encode() * 32)
            if row.key
            else None
        )
        fields = row.kind, recipient, bytes(100 * (number % 4)), row.ttl, key
        made = wire.Message(slot, 0, id_of(slot, number), *fields, row.of, seq)
        made.aside = row.aside
        return made
    status = f"{text_of(id_of(slot, number))}:{row.status}"
    inbound = f"wamid.{slot}.{number}.{STATUSES.index(row.status)}"
    payload = b'{"errors": [{"code": 1}]}'
    name = inbound if row.kind else status
    lane = lane_of(row.of, recipient)
    of = {"number": row.of, "aside": row.aside}
    return EventRow(slot, seq, row.kind, name, lane, payload, row.contact, **of)


def _registration(name: str) -> NodeRegistration:
    return NodeRegistration(
        incarnation=INCARNATIONS[name],
        name=name,
        role="coreapp",
        host="localhost",
        port=1,
        version="1",
        pid=1,
    )
