"""How often a master that does not lead looks, and when it takes the leader for dead."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from warouter.cluster.membership import Node
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.config import Timing
from warouter.errors import OutcomeUnknown
from warouter.node import master
from warouter.node.master import Master
from warouter.store.election import Poll
from warouter.store.nodes import LINK_GONE
from warouter.systemd import Notifier

DEFAULT = Timing()
PATIENT = Timing(beat=1.9, lease=6.0, margin=0.2)
LEADER = uuid4()
MAP = ShardMap(1, 1, tuple(SlotOwner(slot, 1, None) for slot in range(32)))


class Ended(Exception):
    """The test has seen enough."""


class Follower:
    """A master whose clock goes on while it waits; it is its own database and its own session."""

    connected = True

    def __init__(self, timing: Timing, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.away = False
        self.looks: list[float] = []
        self.until = self.now + 100.0
        self.deposed = 0.0
        monkeypatch.setattr(master, "wait_for", self.wait)
        session: Any = self
        self.master = Master(uuid4(), timing, session, session, Notifier(""), lambda: self.now)

    async def wait(self, _event: object, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.until:
            raise Ended

    async def contend(self, _beat: bool) -> tuple[Poll, bool]:
        """The leader is frozen: it holds the lock, and its beat stands still."""
        self.looks.append(self.now)
        if self.away:
            raise OutcomeUnknown("connection refused")
        nodes = {LEADER: Node(LEADER, "leader", "master", 1)}
        found = Poll(MAP, 1, LEADER, nodes, frozenset(nodes), (0, 0), None, False)
        return found, False

    async def beat(self, *_: object) -> None: ...

    async def depose_holder(self, _spared: object) -> None:
        self.deposed = self.now
        raise Ended

    def terminate(self) -> None: ...

    async def run(self) -> None:
        with pytest.raises(Ended):
            await self.master.run()


async def test_a_follower_looks_with_each_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower(DEFAULT, monkeypatch)
    follower.until = follower.now + 2.5 * DEFAULT.beat
    await follower.run()
    assert len(follower.looks) == 3


async def test_a_follower_looks_ten_times_in_a_tenth_of_a_second_once_a_link_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session of a process that was killed ends within a few of these looks."""
    follower = Follower(DEFAULT, monkeypatch)
    follower.until = follower.now + 0.105
    follower.master.wake(LINK_GONE)
    await follower.run()
    assert len(follower.looks) == 1 + 10


async def test_while_the_database_is_away_it_is_asked_as_often_as_by_a_leader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each look is a connection then, and its beats are overdue all the time."""
    follower = Follower(DEFAULT, monkeypatch)
    follower.away, follower.until = True, follower.now + 10.0
    await follower.run()
    assert len(follower.looks) <= 10.0 / DEFAULT.poll + 1


@pytest.mark.parametrize("timing", [DEFAULT, PATIENT])
async def test_a_frozen_leader_is_deposed_after_its_lease(
    timing: Timing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However rarely beats, and with them looks, are asked for."""
    follower = Follower(timing, monkeypatch)
    await follower.run()
    assert follower.deposed
    assert timing.lease <= follower.deposed - 1000.0 <= timing.lease + 2 * timing.beat
