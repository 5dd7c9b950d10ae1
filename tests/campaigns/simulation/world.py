"""One run: a cluster drawn from a seed, its faults, and what came of it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from random import Random
from time import process_time
from typing import Any, NamedTuple
from uuid import UUID

from tests.campaigns.simulation import driver, loop, nodes, seams
from tests.campaigns.simulation.faults import Faults, Kind, Plan, drawn
from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.judge import judge, left
from tests.campaigns.simulation.kinds import DRAWN
from tests.campaigns.simulation.loop import Clock, Loop, Over
from tests.campaigns.simulation.network import Link, Network
from tests.campaigns.simulation.server import Server
from tests.campaigns.simulation.tables import Tables
from tests.campaigns.simulation.upstream import PORT, Upstream
from tests.campaigns.simulation.webhook import Business, Receiver
from warouter._hash import slot_of
from warouter.config import Settings, Timing

LINK_PORT = 7000  # of the first coreapp
RATE_ERROR = 0.02
RECOVERY = 10.0  # I15
REST = 1.0  # longer than what was under way needs until it is recorded
LEAST_FAULTS, MOST_FAULTS = 3, 7


class Result(NamedTuple):
    """What one seed gave."""

    seed: int
    violations: list[tuple[float, str, str]]
    digest: str
    seconds: float
    faults: dict[str, int]
    hits: dict[str, int]
    messages: int
    cpu: float
    trace: list[tuple[Any, ...]]


def run(
    seed: int,
    seconds: float = 30.0,
    *,
    lose: str = "",
    kinds: Sequence[Kind] = DRAWN,
    plan: Plan = (),
    small: bool = True,
    digest: bool = False,
    enough: Collection[str] = (),
    world: Callable[..., World] | None = None,
) -> Result:
    """Simulate ``seed`` for at least so long.

    ``lose``: a flag of Tables to switch off; ``kinds``: which faults there are; ``plan``: those
    that there are, and when, instead of drawn ones. Not ``small``: the product's own sizes and
    limits of time. ``enough``: invariants; what witnesses saw until one is broken is all that is
    told then, and the run ends. ``world``: another kind of it.
    """
    began = process_time()
    logging.disable(logging.CRITICAL)
    collects = gc.isenabled()
    gc.disable()
    try:
        random = Random(f"warouter:{seed}")
        with loop.installed(), driver.installed(), seams.drawn(random, small=small) as window:
            made = (world or World)(seed, random, seconds, window, kinds, plan)
            made.history.enough = enough
            if lose:
                setattr(made.tables, lose, False)
            with made.seams(small=small):
                made.run()
    finally:
        logging.disable(logging.NOTSET)
        if collects:
            gc.enable()
    history = made.history
    return Result(
        seed,
        history.witnessed if made.clock.over else history.violations(),
        history.digest() if digest else "",
        made.clock.now,
        history.faults,
        history.hits,
        history.messages,
        process_time() - began,
        history.trace,
    )


class World:
    """Everything of one run."""

    country = 49  # of the recipients

    def __init__(
        self,
        seed: int,
        random: Random,
        seconds: float,
        window: int,
        kinds: Sequence[Kind],
        plan: Plan,
    ) -> None:
        self.seed = seed
        self.random = random
        self.clock = Clock(Random(random.getrandbits(64)))
        self.timing, self.settings = _timing(random)
        self.history = self._history()
        self.history.clock = lambda: self.clock.now
        self.history.end = self.clock.end
        self.history.window = window
        self.history.trust = self.timing.trust / (1 - RATE_ERROR)
        self.network = Network(self.clock, Random(random.getrandbits(64)))
        self.tables = Tables(self.history, random.choice((1, 2, 4, 8, 32)))
        self.server = Server(self.clock, Random(random.getrandbits(64)), self.history, self.tables)
        self.tables.now = self.server.now
        self.history.told = self.tables.told
        self.server.commit_seconds = random.choice((0.0, 0.0, 0.005, 0.05))
        self.server.hints = random.choice((1.0, 1.0, 0.5, 0.0))
        self.upstream: Any = self._upstream()
        self.business = Business(self.history, Random(random.getrandbits(64)).random)
        Receiver.business = self.business
        self.shuffles = random.random() < 0.3
        self.coreapps = [f"coreapp{n}" for n in range(random.choice((2, 3, 3)))]
        self.masters = ["master0", "master1"]
        self.webapps = [f"webapp{n}" for n in range(random.choice((1, 1, 1, 2)))]
        self.processes: dict[str, nodes.Process] = {}
        self.fronts: list[nodes.Webapp] = []
        self._told: set[str] = set()
        count = random.randint(LEAST_FAULTS, MOST_FAULTS)
        self.faults = Faults(self, random, plan or drawn(random, count, kinds))
        self.until = max(seconds, self.faults.healed + RECOVERY)

    def _history(self) -> History:
        return History()

    def _upstream(self) -> Any:
        upstream = Upstream(
            self.clock,
            Random(self.random.getrandbits(64)),
            self.history,
            fences=self.random.random() < 0.5,
        )
        upstream.slowness = self.random.choice((0.0, 0.01, 0.3))
        upstream.statuses = self.random.choice((0.0, 0.3, 0.7))
        upstream.stored = lambda key: (key, 1) in self.tables.keys
        self.network.ports[PORT] = upstream
        return upstream

    def seams(self, *, small: bool) -> AbstractContextManager[None]:
        """Within, the product is as this run needs it."""
        return nullcontext()

    def run(self) -> None:
        for name in (*self.masters, *self.coreapps):
            self.clock.at(self.random.random() * 0.5, self.start, name)
        for name in self.webapps:
            self._start_webapp(name)
        with suppress(Over):
            self.clock.run(self.until)
            self._come_to_rest()
            self._judge()
        for process in self.processes.values():
            process.kill()

    def _judge(self) -> None:
        judge(self)

    def _come_to_rest(self) -> None:
        """Run on while what is left falls."""
        now = left(self)
        while any(now):
            before = now
            self.clock.run(self.clock.now + REST)
            now = left(self)
            if now >= before:
                break

    def link(self, one: str, other: str) -> Link:
        return self.network.link(one, other)

    def start(self, name: str) -> None:
        """Start a master or a coreapp, under a new incarnation, unless it runs."""
        before = self.processes.get(name)
        if before is not None and before.alive:
            if name not in self._told:
                return
            before.kill()  # it was told to stop and takes too long
        self._told.discard(name)
        process = self._process(name)
        self.history.note("start", name, process.incarnation.hex[:6])
        if name in self.masters:
            process.spawn(nodes.master(process, self.settings, self.timing))
            return
        port = LINK_PORT + self.coreapps.index(name)
        settings = _with(self.settings, coreapp_ports=str(port))
        process.spawn(nodes.coreapp(process, settings, process.told))

    def kill(self, name: str) -> None:
        process = self.processes.get(name)
        if process is not None and process.alive:
            process.kill()

    def resume(self, process: nodes.Process, _since: float) -> None:
        """One that was paused at ``_since`` goes on."""
        process.loop.resume()

    def tell_to_stop(self, name: str) -> None:
        """SIGTERM."""
        process = self.processes.get(name)
        if process is not None and process.alive and name not in self._told:
            self._told.add(name)
            process.loop.call_soon(process.told.set)

    def stopped(self, process: nodes.Process) -> None:
        """It has stopped in order."""
        self.clock.at(self.clock.now, process.kill)

    def _start_webapp(self, name: str) -> None:
        process = self._process(name)
        slots = self.random.sample(range(32), self.random.choice((2, 6, 20)))
        count = self.random.randint(5, 12)
        load = self._load(name, _recipients(name, self.country, slots, count))
        if self.random.random() < 0.3:
            self.upstream.disown(self.random.sample(load.recipients, 1))
        process.loop.call_soon(self._front, process, load)

    def _load(self, _name: str, recipients: list[str]) -> nodes.Load:
        return nodes.Load(self.seed, self.faults.healed + 3.0, 2.0, recipients)

    def _front(self, process: nodes.Process, load: nodes.Load) -> None:
        front = nodes.Webapp(process, self.settings, self.timing, load)
        self.fronts.append(front)
        process.spawn(front.run())

    def _process(self, name: str) -> nodes.Process:
        own = Loop(
            self.clock,
            Random(self.random.getrandbits(64)),
            offset=self.random.random() * 1000,
            rate=1 + self.random.uniform(-RATE_ERROR, RATE_ERROR),
            shuffles=self.shuffles,
            failed=lambda how: self.history.broken("I15", f"{name}: {how}"),
        )
        incarnation = UUID(int=self.random.getrandbits(128))
        process = nodes.Process(self, name, name.rstrip("0123456789"), own, incarnation)
        self.processes[name] = process
        return process


def _timing(random: Random) -> tuple[Timing, Settings]:
    lease = random.choice((1.5, 2.5, 3.0))
    margin = lease * random.uniform(0.12, 0.19)
    beat = (lease - margin) / random.uniform(3.1, 5.0)
    hold = random.choice((2.0, 5.0, 10.0))
    timing = Timing(
        beat=beat,
        lease=lease,
        margin=margin,
        poll=random.uniform(0.25, 0.6),
        join=random.uniform(0.5, 3.0),
        hold=hold,
        map_poll=random.uniform(0.3, 1.0),
    )
    settings = Settings(
        beat=beat, lease=lease, margin=margin, hold=hold, upstream_address=f"simulated:{PORT}"
    )
    return timing, settings


def _with(settings: Settings, **changes: Any) -> Settings:
    fields = {f: getattr(settings, f) for f in settings.__struct_fields__}
    return Settings(**(fields | changes))


def _recipients(name: str, country: int, slots: list[int], count: int) -> list[str]:
    """Wa_ids of these slots, none of another webapp's."""
    found: list[str] = []
    number = country * 10**10 + 1700000000 + int(name[-1]) * 10**6
    while len(found) < count:
        number += 1
        if slot_of(str(number)) in slots:
            found.append(str(number))
    return found
