"""What warouter costs at rest, at 80 and 1,000 messages a second, and at full load, CPU first.

Beside it, in turn: another clone's build (--base), and the smallest honest aiohttp server. Each
turn starts afresh; medians of the turns count. Prints tables for people and, as its last line, one
JSON object. Exit code 0 only if every turn was measured and every message was called back.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from functools import partial
from pathlib import Path

from bench.command import in_folder, reported
from bench.e2e.site import Found
from bench.e2e.turns import Turn, in_turn
from bench.idle.plain import plain_site
from bench.idle.show import ratios, rounded, show
from bench.idle.turn import Length, cluster, turn

MOST_SECONDS = 20 * 60.0  # three rounds beside another build take eight minutes
QUICK = Length(idle=3.0, paced=3.0, full=2.0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--base", type=Path, help="a clone with its .venv, to compare with")
    parser.add_argument("--quick", action="store_true", help="one short round: no figures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rates", default="80,1000", help="messages a second, by commas")
    parser.add_argument("--out", type=Path, help="also write the JSON into this file")
    options = parser.parse_args()
    options.rates = tuple(map(int, options.rates.split(",")))
    return options


def sides(options: argparse.Namespace, folder: Path) -> dict[str, Turn]:
    """Every turn has a folder of its own, which goes when the run ends."""
    length = (QUICK if options.quick else Length())._replace(rates=options.rates)
    number = itertools.count()

    def fresh() -> Path:
        one = folder / str(next(number))
        one.mkdir(mode=0o711)
        return one

    found: dict[str, Turn] = {"this": lambda: turn(cluster(fresh()), length)}
    if options.base is not None:
        found["base"] = lambda: turn(cluster(fresh(), options.base), length)
    found["plain"] = lambda: turn(plain_site(fresh()), length)
    return found


async def run(options: argparse.Namespace, folder: Path) -> int:
    """The exit code."""
    times = 1 if options.quick else options.rounds
    found = await in_turn(sides(options, folder), times, MOST_SECONDS)
    end = {"rounds": times, "ok": not found.wrong, "quick": times < 3}
    figures: Found = rounded({**found.medians(), "cpu_vs": ratios(found), **end})
    show(figures)
    return reported(figures, found.wrong, options.out)


def main() -> int:
    return in_folder("idle", partial(run, _options()))


if __name__ == "__main__":
    sys.exit(main())
