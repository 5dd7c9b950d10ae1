"""Virtual time, and an asyncio event loop for each process of the simulated cluster.

Rules of this file:
  * time passes only between events; what a callback does takes none;
  * each process has a clock of its own, with an offset and a rate;
  * what falls on the same moment runs in an order that the seed draws; in some seeds so do the
    ready callbacks of one process, which a loop would run first come first served;
  * a paused process runs nothing, a dead one never will again.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, cast

from tests.harness.patch import patched
from warouter.link import listen as server

EPOCH = 1.7e9  # what wall clocks say when a run begins
STEPS_A_MOMENT = 100_000  # so many callbacks without time passing: it would never end


_running: list[Any] = [None]


class Over(Exception):
    """The run has shown what it was for: its time does not go on."""


@contextmanager
def installed() -> Iterator[None]:
    """Within, asyncio asks here which loop runs, and coreapps listen on simulated ports.

    CPython 3.11 makes a system call each time it is asked; that was half of a run's time.
    """
    names = (
        (asyncio.events, "get_running_loop", _get_running_loop),
        (asyncio.events, "_get_running_loop", lambda: _running[0]),
        (asyncio.events, "_get_event_loop", lambda stacklevel=3: _get_running_loop()),
        (asyncio.events, "get_event_loop", _get_running_loop),
        (asyncio.tasks, "current_task", _current_task),
        (asyncio, "get_running_loop", _get_running_loop),
        (asyncio, "get_event_loop", _get_running_loop),
        (asyncio, "current_task", _current_task),
        (server, "listen", _listen),
        (time, "time", wall),
    )
    with patched([change for change in names if hasattr(*change[:2])]):
        yield


async def _listen(_host: str, port: int, keeper: Any, _tls: object = None) -> list[Any]:
    """As ``acceptor.listen``."""
    return [_get_running_loop().listen(lambda: keeper.enter("", None), port)]


def wall(real: Callable[[], float] = time.time) -> float:
    """time.time of the process that runs, and of no other: it may be stepped."""
    loop = _running[0]
    return real() if loop is None else EPOCH + loop.clock.now + loop.ahead


def _get_running_loop() -> Any:
    if _running[0] is None:
        raise RuntimeError("no running event loop")
    return _running[0]


def _current_task(loop: Any = None) -> Any:
    return asyncio.tasks._current_tasks.get(loop or _get_running_loop())  # type: ignore[attr-defined]


class Timer:
    """A callback that is scheduled; the handle that asyncio asks for."""

    __slots__ = ("args", "fn", "loop", "stopped", "time")

    def __init__(
        self, time: float, loop: Loop | None, fn: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self.time = time
        self.loop = loop
        self.fn = fn
        self.args = args
        self.stopped = False

    def cancel(self) -> None:
        self.stopped = True
        self.args = ()

    def cancelled(self) -> bool:
        return self.stopped

    def when(self) -> float:
        return self.time


class Clock:
    """True time, which nobody in the cluster can read, and everything that waits for it."""

    def __init__(self, random: Random) -> None:
        self.now = 0.0
        self.over = False
        self.steps = 0
        self.busy: list[Loop] = []
        self._draw = random.random
        self._heap: list[tuple[float, float, int, Timer]] = []
        self._count = 0

    def at(self, when: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Call ``fn`` at a true time, outside of any process."""
        timer = Timer(when, None, fn, args)
        self.push(when, timer)
        return timer

    def push(self, when: float, timer: Timer) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._draw(), self._count, timer))

    def end(self) -> None:
        """Let no further moment come."""
        self.over = True

    def run(self, until: float) -> None:
        """Everything up to a true time; raises Over at the moment of ``end``."""
        heap, busy = self._heap, self.busy
        while busy:
            busy.pop().drain()
        while heap and heap[0][0] <= until:
            when, _, _, timer = heapq.heappop(heap)
            if timer.stopped:
                continue
            if when > self.now:
                self.now = when
            if timer.loop is None:
                timer.fn(*timer.args)
            else:
                timer.loop.enqueue(timer)
            while busy:
                busy.pop().drain()
            if self.over:
                raise Over
        self.now = until


class Loop:
    """The event loop of one process, as far as asyncio and warouter ask for one."""

    def __init__(
        self,
        clock: Clock,
        random: Random,
        *,
        offset: float,
        rate: float,
        shuffles: bool,
        failed: Callable[[str], None],
    ) -> None:
        self.clock = clock
        self.process: Any = None
        self._draw = random.random
        self._offset = offset
        self._rate = rate
        self._shuffles = shuffles
        self._failed = failed
        self._ready: list[Timer] = []
        self._queued = False  # stands in clock.busy, or is being drained
        self.ahead = 0.0  # seconds of this process's wall clock before the true time
        self.paused = False
        self.dead = False

    # for asyncio

    def time(self) -> float:
        """Seconds on this process's clock."""
        return self._offset + self._rate * self.clock.now

    def call_soon(self, fn: Callable[..., object], *args: Any, context: object = None) -> Timer:
        timer = Timer(0.0, self, fn, args)
        self._ready.append(timer)
        if not self._queued:
            self._queued = True
            self.clock.busy.append(self)
        return timer

    def call_later(
        self, delay: float, fn: Callable[..., object], *args: Any, context: object = None
    ) -> Timer:
        return self.call_at(self.time() + delay, fn, *args)

    def call_at(
        self, when: float, fn: Callable[..., object], *args: Any, context: object = None
    ) -> Timer:
        timer = Timer(when, self, fn, args)
        if not self.dead:
            # A hair later, lest rounding lets a timer see the moment before its own.
            self.clock.push((when - self._offset) / self._rate + 1e-9, timer)
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.asyncio)

    def create_task(
        self,
        coroutine: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: object = None,
    ) -> asyncio.Task[Any]:
        return asyncio.Task(coroutine, loop=self.asyncio, name=name)

    def get_debug(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.dead:
            self._failed(f"{context.get('message')}: {context.get('exception')!r}")

    async def create_connection(
        self, factory: Callable[[], Any], host: str, port: int, ssl: object = None
    ) -> tuple[Any, Any]:
        return cast("tuple[Any, Any]", await self.process.dial(factory, port))

    def listen(self, factory: Callable[[], Any], port: int) -> Any:
        return self.process.listen(factory, port)

    # for the simulation

    @property
    def asyncio(self) -> asyncio.AbstractEventLoop:
        """This loop, as the type that asyncio's signatures name."""
        return cast(asyncio.AbstractEventLoop, self)

    def enqueue(self, timer: Timer) -> None:
        """A timer is due."""
        self._ready.append(timer)
        if not self._queued:
            self._queued = True
            self.clock.busy.append(self)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        if self._ready and not self._queued:
            self._queued = True
            self.clock.busy.append(self)

    def drain(self) -> None:
        """Run what is ready, and what becomes ready by it."""
        if self.paused:
            self._queued = False
            return
        _running[0] = self
        clock = self.clock
        limit = clock.steps + STEPS_A_MOMENT
        try:
            while self._ready:
                batch, self._ready = self._ready, []
                if self._shuffles and len(batch) > 1:
                    self._shuffle(batch)
                self._run(batch)
                if clock.steps > limit:
                    raise RuntimeError(f"{self.process.name} spins at {clock.now}")
        finally:
            self._queued = False
            _running[0] = None

    def unwind(self) -> None:
        """The process is gone: end its coroutines, whose words nobody hears any more."""
        self.dead, self.paused, self._shuffles = True, False, False
        self._ready.clear()
        for _ in range(4):
            tasks = asyncio.all_tasks(self.asyncio)
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            self.drain()

    def _run(self, batch: list[Timer]) -> None:
        clock = self.clock
        for timer in batch:
            if timer.stopped:
                continue
            clock.steps += 1
            try:
                timer.fn(*timer.args)
            except Exception as error:
                if not self.dead:
                    self._failed(f"a callback raised {error!r}")

    def _shuffle(self, batch: list[Timer]) -> None:
        draw = self._draw
        for i in range(len(batch) - 1, 0, -1):
            j = int(draw() * (i + 1))
            batch[i], batch[j] = batch[j], batch[i]
