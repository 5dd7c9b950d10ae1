"""A slot with two messages to one recipient: what its owners know, its database has, and Meta does.

It is a value, which can be kept in a set. There is no clock in it: what time guarantees is a guard,
``fence_passed``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

from warouter.flow.doubt.states import DoubtState, Issue, RowState
from warouter.flow.doubt.verdict import DoubtRule, Policy
from warouter.flow.progress import Change

S = DoubtState
ISSUED = RowState.ISSUED
T = TypeVar("T")
MESSAGES = (0, 1)
IDS = tuple(bytes([m]) * 20 for m in MESSAGES)
TO = "4915100000000"
FENCE = 30.0
# How long ago a wait began, as far as a look can tell: the fence may not be past; it is, and those
# behind a long wait go on; every wait is over.
EARLY, FENCED, LATE = 15.0, 50.0, 200.0
TTL, HELD, SENT = 5.0, 100.0, 5.0
IN_FLIGHT = frozenset({S.PLACED, S.ISSUING, S.ISSUED, S.OUT, S.PROBING, S.TAKEN})


class Broken(Exception):
    """A promise is broken."""


class Life(IntEnum):
    UP = 1
    FROZEN = 2
    DOWN = 3


class Place(IntEnum):
    """A message is in its lane, or out of it until its status is on disk, or gone."""

    LANE = 1
    ENDING = 2
    GONE = 3


class Row(NamedTuple):
    """The issue row of a message. ``fresh``: it is in doubt since a takeover."""

    attempt: int
    doubts: int
    state: RowState
    fresh: bool = False


class Said(NamedTuple):
    """A status ``failed`` that is being written. ``sure``: it was certainly not sent; ``lane``: the
    lane ends its message, and not the machine.
    """

    message: int
    sure: bool
    lane: bool


class Request(NamedTuple):
    """One that was written. ``process``: who reads its answer, -1: nobody. ``end``: "" while Meta
    may still take it. ``passed``: others may have passed its message before that.
    """

    message: int
    attempt: int
    process: int
    end: str = ""
    passed: bool = False


class Memory(NamedTuple):
    """What a process knows of the slot; nothing while its epoch is 0.

    ``hand``: the message whose request it is about to write, -1: none. ``loaded``: those that were
    read into their lane; ``over``: those that have ended, whose rows may still be there. ``shut``:
    nothing of the lane goes; ``far``: nothing of it is read, as it was shut by a former owner.
    """

    life: Life = Life.UP
    epoch: int = 0
    lease: bool = False
    hand: int = -1
    issues: tuple[Issue | None, ...] = (None, None)
    places: tuple[Place, ...] = (Place.GONE, Place.GONE)
    loaded: frozenset[int] = frozenset()
    over: frozenset[int] = frozenset()
    shut: bool = False
    far: bool = False
    notes: tuple[Change, ...] = ()
    leaving: frozenset[int] = frozenset()
    said: tuple[Said, ...] = ()


class Budget(NamedTuple):
    """How often each may still happen.

    ``take``: a takeover from an owner that lives. ``cut``: a connection breaks while Meta may still
    take its request; ``lose``: an answer, or a whole request, is lost. ``refuse``, ``final``: Meta
    says no, for now or for good. ``never``: a webhook is lost; ``again``: it comes twice. ``back``:
    an issued request is taken back. ``ask``: an operator has a word.
    """

    crash: int = 0
    take: int = 0
    freeze: int = 0
    cut: int = 0
    lose: int = 0
    refuse: int = 0
    final: int = 0
    never: int = 0
    again: int = 0
    back: int = 0
    ask: int = 0


class Rules(NamedTuple):
    """How messages are treated here. ``long``: those behind a wait go on after a while; ``ttl``:
    messages that it may end; ``forgets``: what is on disk leaves memory; ``until_sent``: those
    behind a taken message wait for its ``sent``.
    """

    policies: tuple[Policy, Policy] = (Policy.RESEND, Policy.RESEND)
    long: bool = False
    ttl: frozenset[int] = frozenset()
    forgets: bool = False
    until_sent: bool = False
    budget: Budget = Budget()

    def of(self, m: int) -> DoubtRule:
        # A window may be shorter than the fence: that counts, too.
        window, lane = (100.0, 40.0) if self.long else (10.0, 10.0)
        return DoubtRule(self.policies[m], window, blind=LATE, lane=lane, most=2)


class World(NamedTuple):
    """The slot. On disk: ``rows``, ``stored`` (not settled), ``shut`` (its lane), ``known``
    (taken), ``told`` (as failed: surely not sent, or unknown), ``inbox``. Meta's: ``requests``,
    ``coming`` webhooks, ``taken`` in their order.

    ``repeated`` may be taken twice, as their policy or an operator had them sent again; ``passed``
    are those that others may pass, as they are aside or held.
    """

    budget: Budget
    timed: frozenset[int] = frozenset()
    epoch: int = 0
    owner: int = 0
    rows: tuple[Row | None, ...] = (None, None)
    stored: tuple[bool, ...] = (True, True)
    shut: bool = False
    known: frozenset[int] = frozenset()
    told: tuple[str, ...] = ("", "")
    inbox: frozenset[tuple[int, int, str]] = frozenset()
    coming: frozenset[tuple[int, int]] = frozenset()
    requests: tuple[Request, ...] = ()
    taken: tuple[tuple[int, int], ...] = ()
    repeated: frozenset[int] = frozenset()
    passed: frozenset[int] = frozenset()
    processes: tuple[Memory, Memory] = (Memory(), Memory())

    def spend(self, what: str) -> World:
        return self._replace(budget=self.budget._replace(**{what: getattr(self.budget, what) - 1}))

    def with_memory(self, p: int, memory: Memory) -> World:
        return self._replace(processes=put(self.processes, p, memory))

    def is_current(self, p: int) -> bool:
        return self.processes[p].epoch == self.epoch

    def is_read(self, m: int) -> bool:
        """True if nothing of the message is in the inbox: then it may just have been read.

        Whatever comes in between a reading and a look may as well come after the look.
        """
        return all(of != m for of, _, _ in self.inbox)


Step = tuple[str, World]  # its name in a trace, and where it leads


def put(values: tuple[T, ...], i: int, value: T) -> Any:
    return (*values[:i], value, *values[i + 1 :])


def closed(world: World, p: int, life: Life = Life.UP) -> World:
    """The process has the slot no more; one that ended reads no answers, either."""
    world = world.with_memory(p, Memory(life))
    if life is not Life.DOWN:
        return world
    left = (r._replace(process=-1) if r.process == p else r for r in world.requests)
    return world._replace(requests=tuple(sorted(r for r in left if r.process >= 0 or not r.end)))


def fence_passed(world: World, m: int) -> bool:
    """True if time may have passed in which a request of it could be taken, or be begun by a former
    owner.
    """
    if any(r.message == m and not r.end for r in world.requests):
        return False
    for each in world.processes:
        issue = each.issues[m]
        issued = issue is not None and issue.state is S.ISSUED
        if each.hand == m or (each.epoch and each.epoch < world.epoch and each.lease and issued):
            return False
    return True
