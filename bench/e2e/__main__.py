"""Whole clusters under load: every figure of the table of goals, by name.

Prints what it finds for people and, as its last line, all figures as one JSON object. Exit code 0
only if every part was measured, and every 201 was a row in the database and a message at the
simulator, in order, with all the callbacks that it was to have.

With --base the builds of two clones are measured in turn, three times each; medians count.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.command import in_folder, reported
from bench.e2e import (
    accepts,
    backlog,
    compiled,
    connections,
    growth,
    journal,
    keys,
    lag,
    lives,
    scaling,
)
from bench.e2e.extent import FULL, QUICK, TURN, Extent
from bench.e2e.site import Found, say
from bench.e2e.turns import Turn, in_turn

MOST_SECONDS = 35 * 60.0  # for everything; a part that is not done by then has failed

# In this order: each with the seconds after which it repeats no noisy round any more.
Part = Callable[[Path, float, Extent], Awaitable[tuple[Found, list[str]]]]
PARTS: dict[str, tuple[Part, float]] = {
    "compiled": (compiled.measure, 20.0),
    "accepts": (accepts.measure, 300.0),
    "keys": (keys.measure, 90.0),
    "connections": (connections.measure, 120.0),
    "latency": (lag.measure, 70.0),
    "lives": (lives.measure, 320.0),
    "backlog": (backlog.measure, 200.0),
    "scaling": (scaling.measure, 180.0),
    "growth": (growth.measure, 380.0),
    "journal": (journal.measure, 220.0),
}


COMPARED = ("accepts", "latency", "lives", "backlog")  # that another build can take part in
TURNS = 3
# Their ratios are shown: this build by the other.
VS_BASE = (
    *("accepts_per_s", "accepts_c64_per_s", "accepts_full_per_s", "accepts_aiohttp_per_s"),
    *("accept_cpu_us", "accept_aiohttp_cpu_us", "lifecycles_per_s", "pg_us"),
)


class Bench:
    """The parts one after the other, and what they found; ``base`` is another clone."""

    def __init__(self, folder: Path, extent: Extent, base: Path | None) -> None:
        self._extent = extent
        self._turns = 1 if base is None or extent is QUICK else TURNS
        self._base = base
        self._folder = folder
        self._ends = time.monotonic() + MOST_SECONDS
        self.figures: Found = {"foreign_cores": {}, "noisy_rounds": {}}
        self.seconds: dict[str, float] = {}
        self.wrong: list[str] = []

    async def run(self, name: str) -> None:
        """One part; what ends it early is said, and the others go on."""
        say(f"{name} ...")
        began = time.monotonic()
        sides = {"this": self._turn(name, None)}
        if self._base is not None:
            sides["base"] = self._turn(name, self._base)
        found = await in_turn(sides, self._turns, self._left())
        kept = found.medians()
        self._keep(self.figures, kept.get("this", {}))
        if self._base is not None:
            self._keep(self.figures.setdefault("base", {}), kept.get("base", {}))
            ratios = found.ratios("this", "base")
            vs = {name: round(ratios[name], 3) for name in VS_BASE if name in ratios}
            self._keep(self.figures, {"vs_base": vs})
        self.wrong += [f"{name}: {fact}" for fact in found.wrong]
        self.seconds[name] = round(time.monotonic() - began, 1)
        say(f"{name}: {self.seconds[name]:g} s")

    def _turn(self, name: str, build: Path | None) -> Turn:
        """A part, in a folder of its own; what ends it early is said, and the others go on."""
        part, share = PARTS[name]

        async def measure() -> tuple[Found, list[str]]:
            folder = self._folder / name
            folder.mkdir(mode=0o711)
            try:
                until = time.monotonic() + share
                return await part(folder, until, self._extent._replace(build=build))
            finally:
                shutil.rmtree(folder, ignore_errors=True)

        return measure

    def _left(self) -> float:
        return max(0.0, self._ends - time.monotonic())

    def _keep(self, figures: Found, found: Found) -> None:
        for name, value in found.items():
            if isinstance(value, dict):
                figures.setdefault(name, {}).update(value)
            else:
                figures[name] = value


def show(figures: Found) -> None:
    """The figures for people, one a line, and below it what the other build has there."""
    base = figures.get("base", {})
    for name, value in figures.items():
        if name != "base":
            say(f"  {name:<22} {_text(value)}")
        if name in base:
            say(f"  {'  the other build':<22} {_text(base[name])}")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n} {_text(one)}" for n, one in value.items())
    return f"{value:,}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.e2e", description=__doc__)
    parser.add_argument("--only", help=f"parts, of {','.join(PARTS)}", metavar="PARTS")
    parser.add_argument("--quick", action="store_true", help="little of each: no figures")
    parser.add_argument("--base", type=Path, help="a clone with its .venv, to compare with")
    parser.add_argument("--out", type=Path, help="also write the JSON into this file")
    options = parser.parse_args()
    known = tuple(PARTS) if options.base is None else COMPARED
    options.parts = options.only.split(",") if options.only else known
    if unknown := set(options.parts) - set(known):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return options


async def run(options: argparse.Namespace, folder: Path) -> int:
    """The exit code."""
    extent = QUICK if options.quick else FULL if options.base is None else TURN
    bench = Bench(folder, extent, options.base)
    for name in PARTS:
        if name in options.parts:
            await bench.run(name)
    bench.figures["seconds"] = bench.seconds
    bench.figures["ok"] = not bench.wrong
    bench.figures["quick"] = options.quick
    show(bench.figures)
    return reported(bench.figures, bench.wrong, options.out)


def main() -> int:
    return in_folder("bench", partial(run, _options()))


if __name__ == "__main__":
    sys.exit(main())
