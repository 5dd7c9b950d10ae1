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
from tests.campaigns.simulation.plays.outcome import LONGEST, Outcome, outcome, patient
from tests.campaigns.simulation.plays.player import Player
from tests.campaigns.simulation.server import Server
from tests.campaigns.simulation.tables import Tables
from warouter._hash import SLOTS
from warouter.config import Settings
from warouter.store.nodes import ShardRequest

_OF_NODE = (
    *("incarnation", "name", "role", "leaving", "counter"),
    *("upstream_ok", "unreached", "journal_ok"),
)


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
        return outcome(answers, rows_of(self.tables))

    async def _play(self, calls: Sequence[Call], answers: list[Any]) -> None:
        player = Player(Settings(), self)
        answers += [await player.play(call) for call in calls]

    async def step(self, by: float) -> None:
        self.at = min(self.at + by, LONGEST)

    async def ask_for_shards(self, request: ShardRequest) -> bool:
        if self.tables.request is not None:
            return False
        self.tables.ask(request.id, request.shards)
        return True

    async def give_up(self, request: ShardRequest) -> None:
        self.tables.give_up(request.id)

    async def ask_for_letter(self, slot: int, kind: int, seq: int) -> None:
        found = self.tables.events[slot][kind]
        if seq in found.rows and seq not in found.parked:
            self.tables.asked[slot, kind, seq] = found.rows[seq]


def rows_of(t: Tables) -> dict[str, list[Any]]:
    """Its contents as PostgreSQL's tables have them."""
    messages = list(enumerate(t.messages))
    events = [(slot, kind, both[kind]) for slot, both in enumerate(t.events) for kind in (0, 1)]
    return {
        "slot": list(
            zip(range(SLOTS), t.epochs, t.owners, t.successors, t.why, t.moving, strict=True)
        ),
        "shard_map": [(t.version, t.shards)],
        "term": [(t.term, t.leader)],
        "shard_request": [t.request] if t.request else [],
        "owner_log": t.log,
        "node": [[node[column] for column in _OF_NODE] for node in t.nodes.values()],
        "request_key": [(key, *first) for key, first in t.requests.items()],
        "dead_letter": list(t.asked),
        "aside": [(*at[:2], *row.values()) for at, row in t.aside.items()],
        "message": [(slot, *row) for slot, journal in messages for row in journal.rows.values()],
        "send_cursor": [(slot, journal.mark, journal.ranges) for slot, journal in messages],
        "parked_message": [
            (
                slot,
                p.seq,
                m.id,
                p.recipient,
                m.ttl is not None,
                p.attempts,
                p.due,
                p.since,
                p.reason,
                p.number,
            )
            for slot, journal in messages
            for p, m in journal.waiting()
        ],
        "event": [(slot, *row) for slot, _, journal in events for row in journal.rows.values()],
        "send_issue": list(t.issues.rows.values()),
        "upstream_id": list(t.issues.upstream.values()),
        "cloud_unreachable": [(*at, when) for at, when in t.inbox.unreachable.items()],
        "cloud_inbox": list(t.inbox.rows.values()),
        "event_cursor": [
            (slot, kind, journal.mark, journal.ranges) for slot, kind, journal in events
        ],
        "parked_event": [
            (
                slot,
                p.seq,
                kind,
                p.recipient,
                p.attempts,
                p.due,
                p.since,
                p.first,
                p.reason,
                p.number,
            )
            for slot, kind, journal in events
            for p in journal.parked.values()
        ],
    }
