"""``python -m tests.campaigns.chaos``: hurt a cluster of real processes and judge what it did.

Exit 0 when every invariant held, 1 when one did not or, unless GO_ON is set as in `.ci/run`, when
faults could not be had here. The seed repeats a run's schedule.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path

from tests.campaigns.chaos import campaign, report, told
from tests.campaigns.chaos.clocks import CLOCKS, NOT_RUN, available
from tests.campaigns.chaos.doors import Door
from tests.campaigns.chaos.doors.cloud import CloudDoor
from tests.campaigns.chaos.doors.native import NativeDoor
from tests.campaigns.chaos.lab import Lab, Size
from tests.campaigns.chaos.nemeses import NEMESES
from tests.campaigns.chaos.network import enter_namespace
from tests.campaigns.chaos.schedule import CLOUD, DOORS, LONG, NATIVE, SHORT, drawn, shared

RATE, SLOW_RATE = 600.0, 40.0  # messages/s; with the default rates a number sends 76


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.chaos", description=__doc__)
    parser.add_argument("--long", action="store_true", help="the long campaign (300 faults)")
    parser.add_argument(
        "--upstream", choices=DOORS, help="this door of the simulator; else a short run has both"
    )
    parser.add_argument(
        "--defaults",
        type=float,
        metavar="MINUTES",
        help="the Cloud door with the default windows and rates, for so long",
    )
    parser.add_argument("--seed", type=int, default=None, help="repeat a schedule")
    parser.add_argument("--only", action="append", choices=sorted(NEMESES), help="these faults")
    parser.add_argument("--times", type=int, default=1, help="each of --only so often")
    parser.add_argument("--faults", type=int, help="only the first so many faults of the schedule")
    parser.add_argument("--minutes", type=float, help="only what begins within so many of them")
    parser.add_argument("--rate", type=float, help=f"messages a second ({RATE:g})")
    parser.add_argument(
        "--out", type=Path, help="for folders, each with report.json and throughput.svg"
    )
    parser.add_argument("--keep", action="store_true", help="keep the cluster's folder")
    options = parser.parse_args()
    if options.defaults:
        options.upstream, options.long = CLOUD, True
        options.rate = min(options.rate or SLOW_RATE, SLOW_RATE)
    if not options.upstream and (options.long or options.only):
        options.upstream = NATIVE
    options.rate = options.rate or RATE
    return options


async def main(options: argparse.Namespace) -> int:
    seed = options.seed if options.seed is not None else int(time.time())
    runs = scheduled(options, seed)
    # One lab after the other: each takes the machine's namespaces for itself.
    ended = {
        upstream: await run(options, seed, upstream, names) for upstream, names in runs.items()
    }
    # Said once more at the end: of a log that was cut, it is the end that is left.
    for upstream, outcome in ended.items():
        print(f"{upstream}, seed {seed}: {'; '.join(outcome.wrong) or 'every invariant held'}")
    skipped = sorted({name for outcome in ended.values() for name in outcome.skipped})
    if skipped:
        print(f"Not all of it ran: run it as root, after `make apt`, for {', '.join(skipped)}")
    lacks = bool(skipped) and not os.environ.get("GO_ON")
    return 1 if lacks or any(outcome.wrong for outcome in ended.values()) else 0


def scheduled(options: argparse.Namespace, seed: int) -> dict[str, list[str]]:
    """The faults of each door that has a run."""
    if options.only:
        runs = {options.upstream: options.only * options.times}
    elif options.upstream:
        profile = LONG if options.long else SHORT
        runs = {options.upstream: drawn(seed, profile, options.upstream)}
    else:
        runs = shared(seed)
    return {upstream: names[: options.faults] for upstream, names in runs.items()}


async def run(
    options: argparse.Namespace, seed: int, upstream: str, names: list[str]
) -> campaign.Outcome:
    """One cluster from its start to the judge's word."""
    clocks = any(CLOCKS in NEMESES[name].needs for name in names)
    if clocks and not available():
        print(NOT_RUN, file=sys.stderr)
    door: Door = CloudDoor(defaults=bool(options.defaults)) if upstream == CLOUD else NativeDoor()
    lab = Lab(Size(rate=options.rate), seed, clocks=clocks and available(), door=door)
    print(
        f"seed {seed}, {upstream}, {len(names)} faults, {lab.folder}", file=sys.stderr, flush=True
    )
    keep = options.keep
    try:
        await lab.start()
        seconds = 60 * (options.defaults or options.minutes or math.inf)
        outcome = await campaign.run(lab, names, seconds)
        keep = keep or bool(outcome.wrong)
        report.write(lab, outcome, options.out and options.out / upstream)
        return outcome
    finally:
        await lab.stop(keep=keep)


if __name__ == "__main__":
    given = parsed()
    enter_namespace()
    sys.exit(told.run(main(given)))
