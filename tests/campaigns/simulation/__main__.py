"""Run many seeds, or show one.

python -m tests.campaigns.simulation --seeds 10000
python -m tests.campaigns.simulation --seed 4711 --trace
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.campaigns.simulation.faults import Kind
from tests.campaigns.simulation.kinds import BY_NAME, DRAWN
from tests.campaigns.simulation.world import Result, run

SHOWN = 20  # failing seeds
ENOUGH = 300  # seeds in which every kind of fault must have hit something


def main() -> int:
    """The exit code: 1 when an invariant was broken."""
    given = _arguments()
    if given.seed is not None:
        return _one(given)
    began = time.monotonic()
    tally = Tally()
    seeds = range(given.first, given.first + given.seeds)
    work = [(seed, given.seconds, given.only) for seed in seeds]
    if given.jobs == 1:
        for n, result in enumerate(map(_run, work), 1):
            tally.add(n, result)
    else:
        with multiprocessing.Pool(given.jobs) as pool:
            for n, result in enumerate(pool.imap_unordered(_run, work, chunksize=10), 1):
                tally.add(n, result)
    print(tally.summary(time.monotonic() - began))
    return tally.report(given)


class Tally:
    """What all runs came to."""

    def __init__(self) -> None:
        self._failed: list[Result] = []
        self._faults: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()
        self._seeds = self._messages = 0
        self._seconds = self._cpu = 0.0

    def add(self, number: int, result: Result) -> None:
        self._seeds += 1
        self._seconds += result.seconds
        self._cpu += result.cpu
        self._messages += result.messages
        self._faults.update(result.faults)
        self._hits.update(result.hits)
        if result.violations:
            self._failed.append(result)
            print(f"seed {result.seed} failed: {result.violations[0]}", flush=True)
        if number % 500 == 0:
            print(f"{number} seeds, {len(self._failed)} failed", flush=True)

    def summary(self, elapsed: float) -> str:
        faults = ", ".join(
            f"{name} {self._hits[name]}/{n}" for name, n in sorted(self._faults.items())
        )
        return (
            f"{self._seeds} seeds, {self._seconds:.0f} simulated s, {self._messages} messages,"
            f" {self._hits.total()} faults that hit of {self._faults.total()} ({faults})"
            f" in {elapsed:.1f} s,"
            f" {self._cpu / self._seeds * 1000:.0f} ms of CPU a seed: {len(self._failed)} failed"
        )

    def report(self, given: Any) -> int:
        for result in self._failed[:SHOWN]:
            at, number, how = result.violations[0]
            print(f"\nseed {result.seed}: {number} at {at:.3f} s: {how}")
            only = "".join(f" --only {name}" for name in given.only)
            again = f"--seed {result.seed} --seconds {given.seconds:g}{only} --trace"
            print(f"  again: python -m tests.campaigns.simulation {again}")
        missed = sorted({kind.__name__ for kind in DRAWN} - self._hits.keys())
        if missed and not given.only and self._seeds >= ENOUGH:
            print(f"\nnothing was hit by: {', '.join(missed)}")
            return 1
        return 1 if self._failed else 0


def _arguments() -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.simulation", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--seconds", type=float, default=30.0, help="simulated, at least (30)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--seed", type=int, help="run this one only")
    parser.add_argument(
        "--only", action="append", choices=sorted(BY_NAME), default=[], help="these faults"
    )
    parser.add_argument("--trace", action="store_true", help="with --seed: show what happened")
    return parser.parse_args()


def _kinds(names: Sequence[str]) -> Sequence[Kind]:
    return [BY_NAME[name] for name in names] or DRAWN


def _run(work: tuple[int, float, Sequence[str]]) -> Result:
    seed, seconds, only = work
    result = run(seed, seconds, kinds=_kinds(only))
    if seed % 50 == 0:
        gc.collect()  # a run leaves cycles, and collects none itself
    return result._replace(trace=[])


def _one(given: Any) -> int:
    result = run(given.seed, given.seconds, kinds=_kinds(given.only), digest=True)
    if given.trace:
        for at, what, *details in result.trace:
            print(f"{at:10.6f}  {what:9}", *details)
    faults = ", ".join(f"{name} {n}" for name, n in sorted(result.faults.items()))
    print(f"seed {result.seed}: {result.seconds:g} simulated s, faults: {faults}")
    print(f"trace {result.digest}")
    for at, number, how in result.violations:
        print(f"{number} at {at:.3f} s: {how}")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
