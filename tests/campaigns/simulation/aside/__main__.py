"""Run many seeds of the model of consumers that go aside, or show one.

python -m tests.campaigns.simulation.aside --seeds 10000
python -m tests.campaigns.simulation.aside --seed 4711 --trace
python -m tests.campaigns.simulation.aside --seed 4711 --without "the cursor is recorded first"
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from typing import Any

from tests.campaigns.simulation.aside.mutants import MUTANTS
from tests.campaigns.simulation.aside.report import report_aside
from tests.campaigns.simulation.aside.world import run_aside, run_untraced
from tests.harness.patch import patched


def main() -> int:
    """The exit code: 1 when an invariant was broken."""
    given = _arguments()
    if given.seed is not None:
        return _one(given)
    seeds = range(given.first, given.first + given.seeds)
    with multiprocessing.Pool(given.jobs) as pool:
        return report_aside(pool.imap_unordered(run_untraced, seeds, chunksize=50))


def _one(given: Any) -> int:
    with patched(MUTANTS[given.without].changes if given.without else []):
        result = run_aside(given.seed)
    if given.trace:
        for step in result.trace:
            print(*step)
    print(f"seed {result.seed}: {result.messages} rows")
    print(f"trace {result.digest}")
    for at, number, how in result.violations:
        print(f"{number} at step {at:.0f}: {how}")
    return int(bool(result.violations))


def _arguments() -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.simulation.aside", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=10_000, help="how many (10,000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--seed", type=int, help="run this one only")
    parser.add_argument("--trace", action="store_true", help="with --seed: show its steps")
    parser.add_argument("--without", choices=MUTANTS, help="with --seed: without this rule")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
