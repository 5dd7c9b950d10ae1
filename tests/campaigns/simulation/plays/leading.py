"""What leaders ask of the database, and what is known of it by their looks."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from tests.campaigns.simulation.plays.calls import LEADER, LEADERS, NODES, SLOTS
from warouter.cluster.plan import Succession, Takeover
from warouter.config import Settings
from warouter.store.election import LeaderSession
from warouter.store.nodes import ShardRequest

INCARNATIONS = {name: UUID(int=n) for n, name in enumerate((*NODES, *LEADERS), 1)}
NAMES = {incarnation: name for name, incarnation in INCARNATIONS.items()}


class Side(Protocol):
    """What is done to a database from elsewhere: by webapps, by operators, by its clock."""

    async def step(self, seconds: float) -> None:
        """Set its clock forward, or back."""

    async def ask_for_shards(self, request: UUID, shards: int) -> bool: ...

    async def give_up(self, request: UUID) -> None: ...

    async def ask_for_letter(self, slot: int, kind: int, seq: int) -> None:
        """An event of the journal that is not parked is a dead letter that shall come again."""


class Leading:
    """Two masters, as far as they talk to the database."""

    def __init__(self, settings: Settings, side: Side) -> None:
        self.side = side
        self.leaders = {
            name: LeaderSession(settings, INCARNATIONS[name], f"leader-{name}") for name in LEADERS
        }
        self.forget_all()

    def forget_all(self) -> None:
        """Before another database, or the same one emptied."""
        self.epochs = dict.fromkeys(SLOTS, 0)
        self.owners = dict.fromkeys(SLOTS, NODES[0])
        self._leader = LEADERS[0]
        self._terms = dict.fromkeys(LEADERS, 0)
        self._requests: list[UUID] = []
        self._shards = 1

    async def lock(self, leader: str) -> Any:
        return await self.leaders[leader].try_lock()

    async def win(self, leader: str) -> Any:
        self._terms[leader] = await self.leaders[leader].win()
        self._leader = leader
        return self._terms[leader]

    async def look(self, leader: str) -> Any:
        """The whole picture but for what is of the server and its sessions."""
        seen = await self.leaders[leader].look()
        for slot in SLOTS:
            self.epochs[slot] = seen.map.slots[slot].epoch
            self.owners[slot] = NAMES.get(seen.map.slots[slot].owner, "a")
        return seen.map, seen.term, seen.leader, seen.nodes, seen.request, seen.moved

    async def take_over(self, leader: str, moves: list[dict[str, Any]]) -> Any:
        made = [
            Takeover(
                m["slot"],
                self.epochs[m["slot"]] + m["epoch"],
                INCARNATIONS[m["to"]],
                None,
                m["reason"],
            )
            for m in moves
        ]
        session, term = self._leads(leader)
        await session.take_over(term, made, [7] * len(made))
        return await self.look("m")

    async def name_successors(self, leader: str, moves: list[dict[str, Any]]) -> Any:
        session, term = self._leads(leader)
        await session.name_successors(term, self._successions(moves))
        return await self.look("m")

    async def ask_for_shards(self, shards: int) -> Any:
        request = UUID(int=1000 + len(self._requests))
        self._requests.append(request)
        self._shards = shards
        return await self.side.ask_for_shards(request, shards)

    async def give_up(self) -> Any:
        await self.side.give_up(self._request())

    async def begin_request(self, leader: str, moves: list[dict[str, Any]]) -> Any:
        asked = ShardRequest(self._request(), self._shards, "waiting")
        session, term = self._leads(leader)
        begun = await session.begin_request(term, self._successions(moves), asked)
        return begun, await self.look("m")

    async def end_request(self, leader: str) -> Any:
        session, term = self._leads(leader)
        await session.end_request(term, self._request(), "done", "")
        return await self.look("m")

    async def raise_epochs(self, leader: str) -> Any:
        session, term = self._leads(leader)
        await session.raise_epochs(term)
        return await self.look("m")

    async def forget(self, leader: str, node: str) -> Any:
        session, term = self._leads(leader)
        await session.forget_nodes(term, [INCARNATIONS[node]])
        return await self.look("m")

    def _leads(self, leader: str) -> tuple[LeaderSession, int]:
        """The session of a leader, and the term that it won last."""
        name = self._leader if leader == LEADER else leader
        return self.leaders[name], self._terms[name]

    def _successions(self, moves: list[dict[str, Any]]) -> list[Succession]:
        return [
            Succession(
                m["slot"],
                self.epochs[m["slot"]] + m["epoch"],
                INCARNATIONS[m["to"]],
                m["reason"],
            )
            for m in moves
        ]

    def _request(self) -> UUID:
        return self._requests[-1] if self._requests else UUID(int=999)
