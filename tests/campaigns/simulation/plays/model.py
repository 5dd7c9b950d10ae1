"""The model as one side of a play: the simulation's tables behind the simulation's driver."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any
from uuid import UUID

from tests.campaigns.simulation import driver, loop, nodes
from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.loop import Clock, Loop
from tests.campaigns.simulation.network import Network
from tests.campaigns.simulation.plays.calls import Call
from tests.campaigns.simulation.plays.outcome import LONGEST, Outcome, Rows, in_order, patient
from tests.campaigns.simulation.plays.player import Player
from tests.campaigns.simulation.server import Server
from tests.campaigns.simulation.tables import Tables
from warouter._hash import SLOTS
from warouter.config import Settings


class Model:
    """The simulation's tables behind the simulation's driver."""

    def __init__(self) -> None:
        self.clock = Clock(Random(1))
        self.history = History()
        self.network = Network(self.clock, Random(2))
        self.tables = Tables(self.history, 1)
        self.server = Server(self.clock, Random(3), self.history, self.tables)
        self.at = 0.0
        self.server.now = self.tables.now = lambda: self.at  # type: ignore[method-assign]
        self.failures: list[str] = []
        own = Loop(
            self.clock,
            Random(4),
            offset=0.0,
            rate=1.0,
            shuffles=False,
            failed=self.failures.append,
        )
        self._process = nodes.Process(self, "player", "player", own, UUID(int=0))

    def play(self, calls: Sequence[Call]) -> Outcome:
        answers: list[Any] = []
        with patient(), loop.installed(), driver.installed():
            self._process.spawn(self._play(calls, answers))
            self.clock.run(1e9)
        assert not self.failures, self.failures
        assert len(answers) == len(calls), "the simulation stopped in the middle of a play"
        return Outcome(answers, model_rows(self.tables))

    async def _play(self, calls: Sequence[Call], answers: list[Any]) -> None:
        player = Player(Settings(), self)
        answers += [await player.play(call) for call in calls]

    async def step(self, seconds: float) -> None:
        self.at = min(self.at + seconds, LONGEST)

    async def ask_for_shards(self, request: UUID, shards: int) -> bool:
        if self.tables.request is not None:
            return False
        self.tables.ask(request, shards)
        return True

    async def give_up(self, request: UUID) -> None:
        self.tables.give_up(request)

    async def ask_for_letter(self, slot: int, kind: int, seq: int) -> None:
        found = self.tables.events[slot][kind]
        if seq in found.rows and seq not in found.parked:
            self.tables.asked[slot, kind, seq] = found.rows[seq]


def model_rows(tables: Tables) -> Rows:
    """The model's contents as PostgreSQL's tables have them."""
    rows: Rows = {
        "slot": list(
            zip(
                range(SLOTS),
                tables.epochs,
                tables.owners,
                tables.successors,
                tables.why,
                strict=True,
            )
        ),
        "shard_map": [(tables.version, tables.shards)],
        "term": [(tables.term, tables.leader)],
        "shard_request": [tuple(tables.request)] if tables.request else [],
        "owner_log": [(c.slot, c.was, c.to, c.epoch, c.term, c.reason, c.at) for c in tables.log],
        "node": [
            (
                n["incarnation"],
                n["name"],
                n["role"],
                n["leaving"],
                n["counter"],
                n["upstream_ok"],
                n["unreached"],
                n["journal_ok"],
            )
            for n in tables.nodes.values()
        ],
        "request_key": [(key, *first) for key, first in tables.requests.items()],
        "dead_letter": list(tables.asked),
        "message": [],
        "send_cursor": [],
        "parked_message": [],
        "event": [],
        "event_cursor": [],
        "parked_event": [],
    }
    for slot in range(SLOTS):
        _add_messages(rows, slot, tables.messages[slot])
        for kind in (0, 1):
            _add_events(rows, slot, kind, tables.events[slot][kind])
    return {name: in_order(found) for name, found in rows.items()}


def _add_messages(rows: Rows, slot: int, held: Any) -> None:
    rows["message"] += [(slot, *m) for m in held.rows.values()]
    rows["send_cursor"].append((slot, held.mark, held.ranges))
    rows["parked_message"] += [
        (slot, *p.row, p.attempts, p.due, p.since, p.reason) for p in held.parked.values()
    ]


def _add_events(rows: Rows, slot: int, kind: int, held: Any) -> None:
    rows["event"] += [(slot, *e) for e in held.rows.values()]
    rows["event_cursor"].append((slot, kind, held.mark, held.ranges))
    rows["parked_event"] += [
        (slot, *p.row, p.attempts, p.due, p.since, p.first, p.reason) for p in held.parked.values()
    ]
