"""Plays calls on a database through the product's own store objects; each gives an answer.

The same object plays on the model and on PostgreSQL: what differs between the two is which
connections ``asyncpg.connect`` gives, and ``Side``, which does what no statement of these does.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import asyncpg

from tests.campaigns.simulation.plays.calls import (
    NEXT,
    NODES,
    OWNER,
    RECIPIENTS,
    SLOTS,
    Call,
)
from tests.campaigns.simulation.plays.leading import INCARNATIONS, Leading, Side
from tests.campaigns.simulation.plays.values import id_of, key_of, picked, rounded, staggered
from warouter.config import Settings
from warouter.errors import FencedError
from warouter.link.wire import Key
from warouter.message_id import text_of
from warouter.store.journal import EventRow, Journal, Progress, Row
from warouter.store.nodes import NodeSession, Registration

PATIENCE = 60.0
MOST = 1 << 20


class Player(Leading):
    """The processes of a tiny cluster, as far as they talk to the database."""

    def __init__(self, settings: Settings, side: Side) -> None:
        super().__init__(settings, side)
        self._nodes = {
            name: NodeSession(settings, _registration(name), lambda _hint: None) for name in NODES
        }
        self._journals = {
            name: Journal(settings, INCARNATIONS[name], f"journal-{name}") for name in NODES
        }

    def forget_all(self) -> None:
        super().forget_all()
        self._newest: Counter[tuple[Any, ...]] = Counter()

    async def play(self, call: Call) -> Any:
        """What came of a call, as plain values that can be compared."""
        await self.side.step(0.001)  # nothing happens at the same time
        try:
            return await getattr(self, call.name)(**call.arguments)
        except FencedError:
            return "fenced"
        except asyncpg.PostgresError as error:
            return f"failed: {error.sqlstate}"

    async def close(self) -> None:
        for session in (*self._nodes.values(), *self._journals.values(), *self.leaders.values()):
            session.terminate()

    # the journals of an owner

    async def append(self, node: str, epoch: int, rows: list[dict[str, Any]]) -> Any:
        made: dict[tuple[int, int], Row] = {}
        for r in rows:
            slot, (seq, number) = r["slot"], self._new(r, "message")
            key = r["key"] and Key(r["key"][0].encode() * 32, r["key"][1].encode() * 32)
            body = bytes(100 * (number % 4))
            made[slot, seq] = Row(
                slot, seq, id_of(slot, number), r["recipient"], r["kind"], body, r["ttl"], key
            )
        return await self._of(node, rows).append(self._owned(rows, epoch), [*made.values()])

    async def append_events(self, node: str, epoch: int, rows: list[dict[str, Any]]) -> Any:
        made: dict[tuple[int, int, int], EventRow] = {}
        for r in rows:
            slot, kind, (seq, number) = r["slot"], r["kind"], self._new(r, "event")
            key = key_of(slot, kind, number, r["status"])
            payload = b'{"errors": [{"code": 1}]}'
            made[slot, kind, seq] = EventRow(
                slot, seq, kind, key, r["recipient"], payload, r["contact"]
            )
        return await self._of(node, rows).append_events(self._owned(rows, epoch), [*made.values()])

    async def record(
        self,
        node: str,
        epoch: int,
        slots: tuple[int, ...],
        send: dict[int, dict[str, Any]],
        events: dict[tuple[int, int], dict[str, Any]],
        rare: dict[str, list[dict[str, Any]]],
    ) -> Any:
        progress = Progress(
            {slot: (c["mark"], c["ranges"]) for slot, c in send.items()},
            {lane: (c["mark"], c["ranges"]) for lane, c in events.items()},
            {what: [staggered(row) for row in rows] for what, rows in rare.items()},
        )
        return await self._at(node, slots).record(self._known(slots, epoch), progress)

    async def open(self, node: str, epoch: int, slots: tuple[int, ...]) -> Any:
        opened = await self._at(node, slots).open(self._known(slots, epoch))
        return sorted(opened, key=lambda each: each.slot)

    async def renew(self, node: str, slots: tuple[int, ...], above: int) -> Any:
        floors = [self.epochs[slot] + above for slot in slots]
        return await self._at(node, slots).renew(slots, floors), await self.look("m")

    async def hand_over(self, node: str, epoch: int, slots: tuple[int, ...]) -> Any:
        gone = await self._at(node, slots).hand_over(self._known(slots, epoch))
        return gone, await self.look("m")

    async def release(self, node: str, epoch: int, slots: tuple[int, ...]) -> Any:
        gone = await self._at(node, slots).release(self._known(slots, epoch))
        return gone, await self.look("m")

    async def page(self, slot: int, after: int, limit: int, most: int) -> Any:
        rows = await self._journals["a"].page(slot, after, 9, limit, most * 100)
        return [(row._replace(body=bytes(row.body)), rounded(age)) for row, age in rows]

    async def event_page(self, slot: int, kind: int, after: int, limit: int) -> Any:
        return await self._journals["a"].event_page(slot, kind, after, 9, limit, MOST)

    async def with_status(self, slot: int) -> Any:
        ids = [text_of(id_of(slot, number)) for number in (1, 2, 3)]
        return await self._journals["a"].with_status(ids)

    async def parked(self, slots: tuple[int, ...], pending: float, most: int) -> Any:
        rows = await self._journals["a"].parked(slots, pending, most)
        return picked(rows, "slot", "recipient", "due_in", "ends_in", "full")

    async def parked_among(self, slot: int, pending: float) -> Any:
        rows = await self._journals["a"].parked_among(slot, RECIPIENTS[:2], pending)
        return picked(rows, "recipient", "due_in", "ends_in")

    async def parked_of(self, slot: int, limit: int) -> Any:
        rows = await self._journals["a"].parked_of(slot, RECIPIENTS[:2], limit)
        return picked(
            rows, "recipient", "seq", "id", "kind", "body", "attempts", "reason", "ttl", "age"
        )

    async def parked_events(self, slots: tuple[int, ...]) -> Any:
        lanes = [(slot, kind) for slot in slots for kind in (0, 1)]
        rows = await self._journals["a"].parked_events(lanes, 100)
        among = await self._journals["a"].parked_events_among(slots[0], 0, RECIPIENTS[:2])
        return (
            picked(rows, "slot", "kind", "recipient", "due_in", "ends_in", "full"),
            picked(among, "recipient", "due_in", "ends_in"),
        )

    async def parked_events_of(self, slot: int, kind: int, limit: int) -> Any:
        rows = await self._journals["a"].parked_events_of(slot, RECIPIENTS[0], kind, limit)
        return picked(
            rows, "recipient", "seq", "kind", "key", "payload", "contact", "attempts", "age"
        )

    async def mend(self, node: str, epoch: int, slots: tuple[int, ...]) -> Any:
        return await self._at(node, slots).mend_parked(self._known(slots, epoch), 100)

    async def lead(self, node: str, epoch: int, slots: tuple[int, ...]) -> Any:
        return await self._at(node, slots).lead_parked(self._known(slots, epoch), 100, 0.0)

    async def prune(self, node: str, epoch: int, slots: tuple[int, ...]) -> Any:
        """Nothing goes: the model keeps all, and a play is shorter than ten minutes."""
        journal = self._at(node, slots)
        gone = await journal.prune(self._known(slots, epoch), 0.0, 100)
        return gone, await journal.prune_keys(slots, 100)

    async def ask_for_letters(self, slot: int, kind: int, seq: int) -> Any:
        await self.side.ask_for_letter(slot, kind, seq)
        return sorted(await self._journals["a"].asked_letters(SLOTS))

    async def take_up_letters(self, node: str, epoch: int, slot: int, limit: int) -> Any:
        owned = self._known((slot,), epoch)
        return sorted(await self._at(node, (slot,)).take_up_letters(owned, 5.0, limit))

    # nodes

    async def beat(
        self, node: str, upstream_ok: bool, unreached: list[str], journal_ok: bool
    ) -> Any:
        coreapps = [INCARNATIONS[name] for name in unreached]
        return await self._nodes[node].beat(upstream_ok, PATIENCE, coreapps, journal_ok)

    async def leave(self, node: str) -> Any:
        return await self._nodes[node].say_leaving()

    async def step(self, seconds: float) -> Any:
        await self.side.step(seconds)

    # inside

    def _at(self, node: str, slots: tuple[int, ...]) -> Journal:
        return self._journals[self.owners[slots[0]] if node == OWNER else node]

    def _of(self, node: str, rows: list[dict[str, Any]]) -> Journal:
        return self._at(node, (rows[0]["slot"],))

    def _new(self, row: dict[str, Any], what: str) -> tuple[int, int]:
        """The seq and the number of a row that is to be appended."""
        journal, ids = (what, row["slot"], row.get("kind", 0)), ("id", what, row["slot"])
        if what == "message":
            journal = (what, row["slot"])
        for counter, given in ((journal, row["seq"]), (ids, row["number"])):
            self._newest[counter] += given == NEXT
        return row["seq"] or self._newest[journal], row["number"] or self._newest[ids]

    def _known(self, slots: tuple[int, ...], off: int) -> dict[int, int]:
        return {slot: self.epochs[slot] + off for slot in slots}

    def _owned(self, rows: list[dict[str, Any]], off: int) -> dict[int, int]:
        return self._known(tuple(sorted({row["slot"] for row in rows})), off)


def _registration(name: str) -> Registration:
    return Registration(
        incarnation=INCARNATIONS[name],
        name=name,
        role="coreapp",
        host="localhost",
        port=1,
        version="1",
        pid=1,
    )
