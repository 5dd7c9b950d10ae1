"""Runs ``warouter`` as it is, and notes each long turn of its event loop.

    python -m bench.cloud.turns coreapp …

A timer asks for the thread's CPU seconds in nearly every turn: what was used since it was last
asked bounds the one turn between, whatever else the machine has to do. A line for each long one,
with the monotonic clock and the milliseconds, goes into a file of the folder ``BENCH_TURNS``.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import uvloop

from warouter.cli import main

FOLDER = "BENCH_TURNS"
TICK_SECONDS = 0.002
START_SECONDS = 2.0  # what a process that just begins does at once delays nobody
LONG_SECONDS = 0.005


class Turns:
    """The turns of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lines: TextIO) -> None:
        self._loop = loop
        self._lines = lines
        self._used = 0.0

    def begin(self) -> None:
        """Time from here on."""
        self._used = time.thread_time()
        self._tick()

    def _tick(self) -> None:
        used = time.thread_time()
        if used - self._used >= LONG_SECONDS:
            self._lines.write(f"{time.monotonic():.3f} {(used - self._used) * 1000:.1f}\n")
            self._lines.flush()
            used = time.thread_time()
        self._used = used
        self._loop.call_later(TICK_SECONDS, self._tick)


def long_turns(folder: Path, since: float) -> Iterator[float]:
    """Milliseconds of each long turn that ended after that moment of the monotonic clock."""
    for path in folder.iterdir():
        for line in path.read_text().splitlines():
            at, ms = map(float, line.split())
            if at > since:
                yield ms


def _timed() -> uvloop.Loop:
    loop = _new_event_loop()
    path = Path(os.environ[FOLDER]) / str(os.getpid())
    loop.call_later(START_SECONDS, Turns(loop, path.open("a")).begin)
    return loop


if __name__ == "__main__":
    _new_event_loop = uvloop.new_event_loop
    uvloop.new_event_loop = _timed
    main()
