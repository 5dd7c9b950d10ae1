"""One run: rows come, consumers stop, go aside and come back, and the owner dies at any step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from hashlib import sha256
from random import Random
from typing import Any

from tests.campaigns.simulation.aside.disk import NUMBER_OF, Disk
from tests.campaigns.simulation.aside.judge import STUCK, Judge
from tests.campaigns.simulation.aside.owner import ModelOwner
from tests.campaigns.simulation.world import Result
from tests.harness.patch import patched
from warouter.flow import aside

STEPS = 300
LAST_ROWS = 100  # steps before the end without new rows
LAST_DEATHS = 70
TRIES = 10
PATIENCE = 400  # rounds in which everything must run dry
ALL = tuple(NUMBER_OF)
DRAWN = {
    "give": 10,
    "commit": 6,
    "page": 6,
    "read": 6,
    "record": 4,
    "go on": 20,
    "send": 16,
    "answer": 12,
    "stop": 0.7,
    "enter": 4,
    "leave": 6,
    "die": 1.5,
}


class AsideWorld:
    """A run of one seed; each step is a line of ``trace``."""

    def __init__(self, seed: int) -> None:
        self._random = random = Random(f"aside:{seed}")
        # Half of the runs have one lane, and consumers that go aside whenever they are asked to.
        self._hot = random.random() < 0.5
        self._lanes = "x" if self._hot else "xy"
        self.few_ranges = random.random() < 0.25
        # Each run has much of some steps and little of others: so rare turns meet each other.
        self._weights = [weight * random.choice((0.3, 1, 1, 3)) for weight in DRAWN.values()]
        self.disk = Disk()
        self.judge = Judge(self.disk)
        self._stopped: set[int] = set()
        self._owner = self._open()
        self.trace: list[tuple[Any, ...]] = []
        self.violations: list[tuple[float, str, str]] = []
        self.counts = Counter[str]()
        self._looked = 0

    def _open(self) -> ModelOwner:
        judge = self.judge
        return ModelOwner(self.disk, self._random, self._stopped, judge.on_sent, judge.on_ended)

    def run(self, enough: Collection[str]) -> None:
        """All steps, then an end in which nobody is stopped; until one of ``enough`` is broken."""
        for n in range(STEPS):
            self._step(n)
            if self._broken(n, enough):
                return
        self._stopped.clear()
        for n in range(PATIENCE):
            if self._done():
                break
            self._round()
            if self._broken(STEPS + n, enough):
                return
        else:
            self.judge.found.append((STUCK, "it never runs dry"))
        self.judge.look_last()
        self._broken(STEPS + PATIENCE, enough)

    def _step(self, n: int) -> None:
        """Any step that has something to do."""
        for _ in range(TRIES):
            (name,) = self._random.choices(tuple(DRAWN), self._weights)
            drawn = self._drawn(n, name)
            if drawn is not None and drawn[0](*drawn[1]):
                shown = (each for each in drawn[1] if isinstance(each, (int, str)))
                self.trace.append((n, name, *shown))
                self.counts[name] += 1
                return

    def _drawn(self, n: int, name: str) -> tuple[Callable[..., bool], tuple[Any, ...]] | None:
        owner, random = self._owner, self._random
        consumer = random.choice((11, 11, 12, 12, 21))
        if name == "give" and n < STEPS - LAST_ROWS:
            return owner.give, (random.choice((1, 1, 1, 2)), random.choice(self._lanes))
        if name in ("commit", "page", "record"):
            return owner.begin, (name, getattr(owner, name)())
        if name == "read":
            return owner.begin, (name, owner.read(consumer), consumer)
        if name == "go on" and owner.works:
            return owner.go_on, (random.choice([*owner.works]),)
        if name in ("send", "answer"):
            return getattr(owner, name), ()
        if name == "stop":
            return self._stop, (consumer, random.random() < 0.6)
        if name == "leave" or (name == "enter" and self._goes_aside(consumer)):
            return getattr(owner, name), (consumer,)
        if name == "die" and n < STEPS - LAST_DEATHS and self._dies():
            return self._die, ()
        return None

    def _goes_aside(self, consumer: int) -> bool:
        return self._hot or consumer in self._stopped or len(self._owner.waiting(consumer)) > 1

    def _dies(self) -> bool:
        """Rather while a consumer leaves, which takes no time."""
        ends = [position.upto for position in self._owner.consumers.aside.values()]
        return any(upto is not None for upto in ends) or self._random.random() < 0.25

    def _stop(self, consumer: int, stop: bool) -> bool:
        (self._stopped.add if stop else self._stopped.discard)(consumer)
        return True

    def _die(self) -> bool:
        self.judge.on_death()
        self._owner = self._open()
        return True

    def _round(self) -> None:
        owner = self._owner
        for name, work in (
            ("commit", owner.commit()),
            ("page", owner.page()),
            *(("read", owner.read(consumer)) for consumer in ALL),
            ("record", owner.record()),
        ):
            owner.begin(name, work)
            while name in owner.works:
                owner.go_on(name)
        owner.send()
        owner.answer()
        for consumer in ALL:
            owner.leave(consumer)

    def _done(self) -> bool:
        owner = self._owner
        busy = owner.queue or owner.works or owner.out or owner.log.dirty or owner.log.behind
        return not (busy or any(owner.lanes.values()) or owner.consumers.aside)

    def _broken(self, n: int, enough: Collection[str]) -> bool:
        """Note what the judge has found; True if it is no use to go on."""
        if self._looked != self.disk.version:
            self._looked = self.disk.version
            self.judge.look()
        found, self.judge.found = self.judge.found, []
        self.violations += ((float(n), number, how) for number, how in found)
        if enough:
            return any(number in enough for _, number, _ in self.violations)
        return bool(self.violations)


def run_aside(seed: int, enough: Collection[str] = ()) -> Result:
    """One seed, until something is broken, or one of the invariants ``enough``."""
    began = time.process_time()
    world = AsideWorld(seed)
    bounds = [(aside, "MAX_ASIDE_RANGES", 6)] if world.few_ranges else []
    with patched(bounds):
        world.run(enough)
    digest = sha256(repr(world.trace).encode()).hexdigest()
    cpu, counts = time.process_time() - began, dict(world.counts)
    rows = len(world.disk.rows)
    return Result(seed, world.violations, digest, 0.0, counts, counts, rows, cpu, world.trace)


def run_untraced(seed: int) -> Result:
    """One seed of many."""
    return run_aside(seed)._replace(trace=[])
