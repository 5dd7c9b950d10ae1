"""``python -m tests.campaigns.chaos``: hurt a cluster of real processes and judge what it did.

Exit 0 when every invariant held, 1 when one did not. The seed repeats a run's schedule.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import uvloop

from tests.campaigns.chaos import campaign, report
from tests.campaigns.chaos.clocks import CLOCKS, NOT_RUN, available
from tests.campaigns.chaos.lab import Lab, Size
from tests.campaigns.chaos.nemeses import NEMESES
from tests.campaigns.chaos.network import enter_namespace
from tests.campaigns.chaos.schedule import LONG, SHORT, drawn


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.chaos", description=__doc__)
    parser.add_argument("--long", action="store_true", help="the long campaign (300 faults)")
    parser.add_argument("--seed", type=int, default=None, help="repeat a schedule")
    parser.add_argument("--only", action="append", choices=sorted(NEMESES), help="these faults")
    parser.add_argument("--times", type=int, default=1, help="each of --only so often")
    parser.add_argument("--faults", type=int, help="only the first so many faults of the schedule")
    parser.add_argument("--rate", type=float, default=600.0, help="messages a second")
    parser.add_argument("--out", type=Path, help="folder for report.json and throughput.svg")
    parser.add_argument("--keep", action="store_true", help="keep the cluster's folder")
    return parser.parse_args()


async def main(options: argparse.Namespace) -> int:
    seed = options.seed if options.seed is not None else int(time.time())
    names = (
        (options.only * options.times)
        if options.only
        else drawn(seed, LONG if options.long else SHORT)
    )[: options.faults]
    clocks = any(CLOCKS in NEMESES[name].needs for name in names)
    if clocks and not available():
        print(NOT_RUN, file=sys.stderr)
    lab = Lab(Size(rate=options.rate), seed, clocks=clocks and available())
    print(f"seed {seed}, {len(names)} faults, {lab.folder}", file=sys.stderr, flush=True)
    keep = options.keep
    try:
        await lab.start()
        outcome = await campaign.run(lab, names)
        keep = keep or bool(outcome.wrong)
        report.write(lab, outcome, options.out)
        return 1 if outcome.wrong else 0
    finally:
        await lab.stop(keep=keep)


if __name__ == "__main__":
    given = parsed()
    enter_namespace()
    sys.exit(uvloop.run(main(given)))
