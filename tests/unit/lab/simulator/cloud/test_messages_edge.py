"""A request for a message, from its last byte to its answer, at times that the test says."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

import msgspec

from tests.unit.lab.simulator.cloud.cloud_world import TO, WALL, Meta
from warouter.lab.simulator.cloud.graph.messages_edge import EdgeClock, MessagesEdge

BEGUN = 100.0


class Caller:
    """A connection that notes what becomes of it."""

    requests = 1

    def __init__(self) -> None:
        self.is_open = True
        self.answers: list[tuple[int, bytes]] = []
        self.ended: list[str] = []

    def when_gone(self, then: Callable[[], None]) -> None:
        self.gone = then

    def answer(self, status: int, body: bytes, _kind: str = "", _location: str = "") -> None:
        self.answers.append((status, body))

    def half(self, _status: int, _body: bytes) -> None:
        self.ended.append("half")

    def endless(self) -> None:
        self.ended.append("endless")

    def close(self) -> None:
        self.ended.append("close")

    def reset(self) -> None:
        self.ended.append("reset")

    @property
    def code(self) -> int:
        """The error of the only answer."""
        ((_, body),) = self.answers
        code: int = msgspec.json.decode(body)["error"]["code"]
        return code


class Edge:
    """The edge of a number, and what is to happen later."""

    def __init__(self, **switches: Any) -> None:
        self.meta = Meta(**switches)
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._count = count()
        world = self.meta.world
        self._edge = MessagesEdge(
            world.intake,
            world.record,
            lambda: world.faults,
            lambda then: then(),
            lambda: "trace",
            Random(1),
            EdgeClock(lambda: self.meta.now, lambda: WALL + self.meta.now, self._at),
        )

    @property
    def taken(self) -> int:
        return self.meta.world.record.counters.accepted

    def ask(self, begun: float = BEGUN) -> Caller:
        caller = Caller()
        body = {"messaging_product": "whatsapp", "to": TO, "text": {"body": "x"}}
        self._edge.handle(caller, msgspec.json.encode(body), begun, WALL + begun)
        return caller

    def run(self, seconds: float) -> None:
        until = self.meta.now + seconds
        while self._later and self._later[0][0] <= until:
            self.meta.now, _, then = heappop(self._later)
            then()
        self.meta.now = until

    def _at(self, seconds: float, then: Callable[[], None]) -> None:
        heappush(self._later, (self.meta.now + seconds, next(self._count), then))


def test_taken_and_answered_at_once() -> None:
    edge = Edge()
    caller = edge.ask()
    assert edge.taken == 1
    assert [status for status, _ in caller.answers] == [200]


def test_taken_late_and_answered_later_still() -> None:
    edge = Edge(late=1.0, late_least_ms=1000, late_ms=1000, latency_ms=500)
    caller = edge.ask()
    edge.run(0.999)
    assert edge.taken == 0
    edge.run(0.002)
    assert (edge.taken, caller.answers) == (1, [])
    edge.run(0.5)
    assert len(caller.answers) == 1


def test_an_expired_message_is_never_taken() -> None:
    edge = Edge(late=1.0, late_least_ms=1000, late_ms=1000, expire_ms=1500)
    late = edge.ask(BEGUN - 0.6)
    soon = edge.ask(BEGUN - 0.4)
    edge.run(10.0)
    assert (edge.taken, late.answers, late.ended, len(soon.answers)) == (1, [], [], 1)


def test_one_that_is_abandoned_may_come_late_as_well() -> None:
    edge = Edge(late=1.0, late_least_ms=1000, late_ms=1000, abandon=1.0, abandon_ms=100)
    stays, goes = edge.ask(), edge.ask()
    edge.run(1.05)
    assert edge.taken == 0
    goes.is_open = False
    edge.run(0.1)
    assert (edge.taken, len(stays.answers)) == (1, 1)


def test_taken_and_never_answered() -> None:
    edge = Edge(unanswered=1.0, hold_dropped_s=5)
    caller = edge.ask()
    edge.run(1.0)
    assert (edge.taken, caller.answers, caller.ended) == (1, [], [])
    assert edge.meta.names(3.0) == []
    assert edge.meta.names(2.0) == ["sent", "delivered", "read"]


def test_the_statuses_of_a_caller_who_has_gone_are_held_back_too() -> None:
    edge = Edge(late=1.0, late_least_ms=100, late_ms=100, hold_dropped_s=5)
    edge.ask().is_open = False
    edge.run(0.2)
    assert (edge.taken, edge.meta.names(1.0)) == (1, [])


def test_an_unclear_answer_is_each_of_several() -> None:
    edge = Edge(fail_before=1.0, fail_before_as="unclear")
    answers = {caller.answers[0][0] for caller in (edge.ask() for _ in range(50))}
    assert (answers, edge.taken) == ({500, 502, 200}, 0)


def test_a_throttled_one_gets_one_of_the_codes() -> None:
    edge = Edge(throttle=1.0, throttle_as=(131056, 131016))
    assert {edge.ask().code for _ in range(20)} == {131056, 131016}
