"""Whole clusters under load: every figure of the table of goals, by name.

Prints what it finds for people and, as its last line, all figures as one JSON object. Exit code 0
only if every part was measured, and every 201 was a row in the database and a message at the
simulator, in order, with all the callbacks that it was to have.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from bench import machine
from bench.e2e import accepts, backlog, compiled, growth, journal, lag, lives, scaling
from bench.e2e.extent import FULL, QUICK, Extent
from bench.e2e.site import Found, say

MOST_SECONDS = 29 * 60.0  # for everything; a part that is not done by then has failed

# In this order: each with the seconds after which it repeats no noisy round any more.
Part = Callable[[Path, float, Extent], Awaitable[tuple[Found, list[str]]]]
PARTS: dict[str, tuple[Part, float]] = {
    "compiled": (compiled.measure, 20.0),
    "accepts": (accepts.measure, 300.0),
    "latency": (lag.measure, 70.0),
    "lives": (lives.measure, 320.0),
    "backlog": (backlog.measure, 200.0),
    "scaling": (scaling.measure, 180.0),
    "growth": (growth.measure, 380.0),
    "journal": (journal.measure, 220.0),
}


class Bench:
    """The parts one after the other, and what they found."""

    def __init__(self, folder: Path, extent: Extent) -> None:
        self._extent = extent
        self._folder = folder
        self._ends = time.monotonic() + MOST_SECONDS
        self.figures: Found = {"foreign_cores": {}, "noisy_rounds": {}}
        self.seconds: dict[str, float] = {}
        self.wrong: list[str] = []

    async def run(self, name: str) -> None:
        """One part; what ends it early is said, and the others go on."""
        part, share = PARTS[name]
        say(f"{name} ...")
        began = time.monotonic()
        folder = self._folder / name
        folder.mkdir(mode=0o711)
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._left()):
                found, wrong = await part(folder, began + share, self._extent)
        except Exception as error:  # the others go on, and the exit code tells
            found, wrong = {}, [f"{name}: not measured ({type(error).__name__}: {error})"]
        self._keep(found)
        self.wrong += wrong
        self.seconds[name] = round(time.monotonic() - began, 1)
        shutil.rmtree(folder, ignore_errors=True)
        say(f"{name}: {self.seconds[name]:g} s")

    def _left(self) -> float:
        return max(0.0, self._ends - time.monotonic())

    def _keep(self, found: Found) -> None:
        for name, value in found.items():
            if isinstance(value, dict):
                self.figures.setdefault(name, {}).update(value)
            else:
                self.figures[name] = value


def show(figures: Found) -> None:
    """The figures for people, one a line."""
    for name, value in figures.items():
        if isinstance(value, dict):
            value = ", ".join(f"{n} {one:,}" for n, one in value.items())
        else:
            value = f"{value:,}"
        say(f"  {name:<22} {value}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.e2e", description=__doc__)
    parser.add_argument(
        "--only", default=",".join(PARTS), help=f"parts, of {','.join(PARTS)}", metavar="PARTS"
    )
    parser.add_argument("--quick", action="store_true", help="little of each: no figures")
    options = parser.parse_args()
    options.parts = options.only.split(",")
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


async def run(parts: list[str], folder: Path, extent: Extent) -> int:
    """The exit code."""
    say(f"on {machine.description()}; only ratios compare between machines")
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    bench = Bench(folder, extent)
    for name in PARTS:
        if name in parts:
            await bench.run(name)
    bench.figures["seconds"] = bench.seconds
    bench.figures["ok"] = not bench.wrong
    show(bench.figures)
    for fact in bench.wrong:
        say(f"WRONG: {fact}")
    print(msgspec.json.encode(bench.figures).decode(), flush=True)
    return 1 if bench.wrong else 0


def main() -> int:
    options = _options()
    # Not below /root: the server may run under another account.
    folder = Path(tempfile.mkdtemp(prefix="warouter-bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        return uvloop.run(run(options.parts, folder, QUICK if options.quick else FULL))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
