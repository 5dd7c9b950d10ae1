"""Find a seed for each mutant: one whose run breaks what the missing mechanism keeps.

python -m tests.campaigns.simulation.mutation
python -m tests.campaigns.simulation.mutation --only no_fence --only "no window" --anew --among 20

``make test`` runs each mutant with its one seed in ``seeds.json``. When what seeds draw changes,
some of these runs no longer show their mutant; this puts the first seed that does in the place,
or the one of several that needs the least CPU.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tests.campaigns.simulation import nemeses
from tests.campaigns.simulation.aside import mutants as aside
from tests.campaigns.simulation.aside.world import run_aside
from tests.campaigns.simulation.cloud import mutants as cloud
from tests.campaigns.simulation.cloud.world import HELD_SECONDS, CloudWorld
from tests.campaigns.simulation.kinds import BY_NAME
from tests.campaigns.simulation.world import Result, run
from tests.harness.mutants import MUTANTS, Mutant
from tests.harness.patch import patched
from warouter.flow import windows

SEEDS = Path(__file__).with_name("seeds.json")
MOST_SEEDS = 250
MOST_ASIDE = 20_000  # of some milliseconds each
SIMULATED = [name for name, mutant in MUTANTS.items() if mutant.threats or mutant.plan]
NAMES = (*SIMULATED, *cloud.MUTANTS, *aside.MUTANTS)
Violations = list[tuple[float, str, str]]


class Search(NamedTuple):
    """What came of a mutant: a seed, or -1; CPU seconds; what is wrong with the product."""

    name: str
    seed: int
    cpu: float
    wrong: Violations


def frozen() -> dict[str, int]:
    """The seed of each mutant."""
    seeds: dict[str, int] = json.loads(SEEDS.read_text())
    return seeds


def breaks(name: str) -> tuple[str, ...]:
    """The invariants of which one must not hold without the mechanism."""
    if name in aside.MUTANTS:
        return aside.MUTANTS[name].breaks
    of = MUTANTS if name in SIMULATED else cloud.MUTANTS
    return of[name].breaks


def without(name: str, seed: int) -> Result:
    """One seed of the product without a mechanism, until it is missed."""
    if name in SIMULATED:
        return _simulated(MUTANTS[name], seed, breaks(name))
    if name in aside.MUTANTS:
        with patched(aside.MUTANTS[name].changes):
            return run_aside(seed, breaks(name))
    return _with_cloud(cloud.MUTANTS[name], seed, breaks(name))


def whole(name: str, seed: int) -> Result:
    """The same run of the product with all of its mechanisms, to its end."""
    if name in SIMULATED:
        return _simulated(MUTANTS[name]._replace(changes=[], flag=""), seed)
    if name in aside.MUTANTS:
        return run_aside(seed)
    return _with_cloud(cloud.MUTANTS[name].whole(), seed)


def misses(name: str, result: Result) -> bool:
    """The run misses what the mutant lacks."""
    return not {number for _, number, _ in result.violations}.isdisjoint(breaks(name))


def search(name: str, first: int | None, among: int) -> Search:
    """Begin with ``first``, which found it last; of ``among`` that find it the cheapest is kept."""
    began = time.process_time()
    most = MOST_ASIDE if name in aside.MUTANTS else MOST_SEEDS
    seeds = dict.fromkeys([*([] if first is None else [first]), *range(most)])
    _, seed, wrong = min(islice(_finding(name, seeds), among), default=(0.0, -1, []))
    return Search(name, seed, time.process_time() - began, wrong)


def _finding(name: str, seeds: Iterable[int]) -> Iterator[tuple[float, int, Violations]]:
    """Those that miss it: the CPU seconds of both runs, and what the whole product breaks."""
    for seed in seeds:
        result = without(name, seed)
        if misses(name, result):
            control = whole(name, seed)
            yield result.cpu + control.cpu, seed, control.violations


def _simulated(mutant: Mutant, seed: int, enough: Collection[str] = ()) -> Result:
    plan = getattr(nemeses, mutant.plan) if mutant.plan else ()
    seconds = nemeses.SLOW_SECONDS if mutant.plan.startswith("SLOW_") else 30.0
    kinds = [BY_NAME[threat] for threat in mutant.threats]
    with patched(mutant.changes):
        return run(
            seed,
            seconds,
            lose=mutant.flag,
            kinds=kinds,
            plan=plan,
            small=not plan,
            enough=enough,
        )


def _with_cloud(mutant: cloud.Mutant, seed: int, enough: Collection[str] = ()) -> Result:
    def made(*given: Any) -> CloudWorld:
        held = windows.HELD_SECONDS if mutant.held else HELD_SECONDS
        world = CloudWorld(*given, policy=mutant.policy, way=mutant.way, held=held)
        history = world.history
        history.once, history.moves, history.prompt = mutant.once, mutant.moves, mutant.prompt
        history.spared = mutant.spared
        history.before = world.tables.unsettled_before
        if mutant.held:
            world.upstream.switch(held_templates=("promo",))
        if mutant.moves:
            world.upstream.slow(0.6)
        mutant.spoil(world)
        return world

    with patched(mutant.changes):
        return run(seed, kinds=mutant.threats, small=not mutant.full, enough=enough, world=made)


def main() -> int:
    """The exit code: 1 when a mutant is not found, or the product is broken without one."""
    given = _arguments()
    known = frozen() if SEEDS.exists() else {}
    work = [
        (name, None if given.anew else known.get(name), given.among) for name in given.only or NAMES
    ]
    with multiprocessing.Pool(given.jobs, maxtasksperchild=1) as pool:
        done = _told(pool.imap_unordered(_search, work, chunksize=1))
    seeds = known | {one.name: one.seed for one in done if one.seed >= 0}
    kept = {name: seeds[name] for name in NAMES if name in seeds}
    SEEDS.write_text(json.dumps(kept, indent=2) + "\n")
    changed = [name for name in kept if kept[name] != known.get(name)]
    print(f"{len(done)} mutants, {sum(one.seed < 0 for one in done)} not found,", end=" ")
    print(f"{len(changed)} new seeds in {SEEDS.name}")
    return int(any(one.seed < 0 or one.wrong for one in done))


def _search(work: tuple[str, int | None, int]) -> Search:
    return search(*work)


def _told(searches: Iterable[Search]) -> list[Search]:
    """All of them; each is shown at once."""
    done: list[Search] = []
    for one in searches:
        done.append(one)
        what = f"seed {one.seed}" if one.seed >= 0 else "NOT FOUND"
        print(f"{one.name}: {what}, {one.cpu:.1f} s of CPU", flush=True)
        if one.wrong:
            print(f"  and the whole product breaks with it: {one.wrong[0]}", flush=True)
    return done


def _arguments() -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.simulation.mutation", description=__doc__
    )
    parser.add_argument("--only", action="append", choices=NAMES, default=[], help="these mutants")
    parser.add_argument("--anew", action="store_true", help="do not begin with the seed known")
    parser.add_argument("--among", type=int, default=1, help="take the cheapest of so many (1)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
