"""Run many seeds, or show one.

python -m tests.campaigns.simulation --seeds 10000
python -m tests.campaigns.simulation --seed 4711 --upstream cloud --trace

Each seed also has runs of the model of consumers that go aside (``aside``), which shows one by
``python -m tests.campaigns.simulation.aside --seed N --trace``.

To see what a change of the code changes: ``--digests FILE`` writes a digest of each seed's history
into a file that is not there yet, and compares with one that is.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.campaigns.simulation.aside.report import report_aside
from tests.campaigns.simulation.aside.world import run_untraced
from tests.campaigns.simulation.cloud import faults as cloud
from tests.campaigns.simulation.cloud.world import CloudWorld
from tests.campaigns.simulation.faults import Kind
from tests.campaigns.simulation.kinds import BY_NAME, DRAWN
from tests.campaigns.simulation.world import Result, run

SHOWN = 20  # failing seeds
ENOUGH = 300  # seeds in which every kind of fault must have hit something
ASIDE = 4  # runs of the model of consumers that go aside, for each seed
SIMULATOR, CLOUD, BOTH = UPSTREAMS = ("simulator", "cloud", "both")


def main() -> int:
    """The exit code: 1 when an invariant was broken."""
    given = _arguments()
    if given.seed is not None:
        return _one(given)
    began = time.monotonic()
    seeds = range(given.first, given.first + given.seeds)
    digest = given.digests is not None
    work = [
        (seed, given.seconds, given.only, _upstream(given.upstream, seed), digest) for seed in seeds
    ]
    models = range(0) if given.only else range(ASIDE * seeds.start, ASIDE * seeds.stop)
    if given.jobs == 1:
        results = _told(map(_run, work))
        failed = _report(given, results, time.monotonic() - began)
        failed |= report_aside(map(run_untraced, models))
    else:
        with multiprocessing.Pool(given.jobs) as pool:
            results = _told(pool.imap_unordered(_run, work, chunksize=10))
            failed = _report(given, results, time.monotonic() - began)
            failed |= report_aside(pool.imap_unordered(run_untraced, models, chunksize=50))
    if given.digests is not None:
        _compare(given.digests, {result.seed: result.digest for result in results})
    return failed


def _compare(path: Path, digests: dict[int, str]) -> None:
    """Write the digests, or say which of them differ from those of the file."""
    if not path.exists():
        path.write_text("".join(f"{seed} {digests[seed]}\n" for seed in sorted(digests)))
        print(f"{len(digests)} digests written to {path}")
        return
    before = dict(line.split() for line in path.read_text().splitlines())
    both = [seed for seed in sorted(digests) if str(seed) in before]
    differ = [seed for seed in both if before[str(seed)] != digests[seed]]
    shown = ", ".join(map(str, differ[:SHOWN]))
    print(f"{len(differ)} of {len(both)} digests differ from {path}: {shown or 'none'}")


def _told(results: Iterable[Result]) -> list[Result]:
    """All of them; which failed is said at once."""
    found: list[Result] = []
    for result in results:
        found.append(result)
        if result.violations:
            print(f"seed {result.seed} failed: {result.violations[0]}", flush=True)
        if len(found) % 500 == 0:
            print(f"{len(found)} seeds", flush=True)
    return found


def _report(given: Any, results: list[Result], elapsed: float) -> int:
    faults, hits = Counter[str](), Counter[str]()
    for result in results:
        faults.update(result.faults)
        hits.update(result.hits)
    met = ", ".join(f"{name} {hits[name]}/{n}" for name, n in sorted(faults.items()))
    failed = [result for result in results if result.violations]
    print(
        f"{len(results)} seeds, {sum(r.seconds for r in results):.0f} simulated s,"
        f" {sum(r.messages for r in results)} messages,"
        f" {hits.total()} faults that hit of {faults.total()} ({met}) in {elapsed:.1f} s,"
        f" {sum(r.cpu for r in results) / len(results) * 1000:.0f} ms of CPU a seed:"
        f" {len(failed)} failed"
    )
    for result in failed[:SHOWN]:
        at, number, how = result.violations[0]
        print(f"\nseed {result.seed}: {number} at {at:.3f} s: {how}")
        only = "".join(f" --only {name}" for name in given.only)
        to = f"--upstream {_upstream(given.upstream, result.seed)}"
        again = f"--seed {result.seed} --seconds {given.seconds:g}{only} {to} --trace"
        print(f"  again: python -m tests.campaigns.simulation {again}")
    drawn = {kind.__name__ for kind in _drawn(given.upstream)}
    missed = sorted(drawn - hits.keys())
    if missed and not given.only and len(results) >= ENOUGH * (1 + (given.upstream == BOTH)):
        print(f"\nnothing was hit by: {', '.join(missed)}")
        return 1
    return 1 if failed else 0


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
        "--only", action="append", choices=sorted(cloud.BY_NAME), default=[], help="these faults"
    )
    parser.add_argument(
        "--upstream", choices=UPSTREAMS, default=BOTH, help="each seed draws one of both (both)"
    )
    parser.add_argument("--digests", type=Path, metavar="FILE", help="write them, or compare")
    parser.add_argument("--trace", action="store_true", help="with --seed: show what happened")
    return parser.parse_args()


def _upstream(given: str, seed: int) -> str:
    if given != BOTH:
        return given
    return Random(f"upstream:{seed}").choice((SIMULATOR, CLOUD))


def _drawn(upstream: str) -> Sequence[Kind]:
    of = {SIMULATOR: DRAWN, CLOUD: cloud.DRAWN, BOTH: (*DRAWN, *cloud.DRAWN)}
    return of[upstream]


def _simulated(
    seed: int, seconds: float, only: Sequence[str], upstream: str, digest: bool
) -> Result:
    of = BY_NAME if upstream == SIMULATOR else cloud.BY_NAME
    kinds = [of[name] for name in only] or _drawn(upstream)
    world = CloudWorld if upstream == CLOUD else None
    return run(seed, seconds, kinds=kinds, digest=digest, world=world)


def _run(work: tuple[int, float, Sequence[str], str, bool]) -> Result:
    seed = work[0]
    result = _simulated(*work)
    if seed % 50 == 0:
        gc.collect()  # a run leaves cycles, and collects none itself
    return result._replace(trace=[])


def _one(given: Any) -> int:
    upstream = _upstream(given.upstream, given.seed)
    result = _simulated(given.seed, given.seconds, given.only, upstream, True)
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
