"""The Cloud API as upstream, on real processes: every figure beside its goal.

A cluster of ``warouter up`` sends through the simulator's Cloud door, over TLS, which answers after
80 to 600 ms. Parts run one after the other, each on clusters of its own; all of them take some 50
minutes, and 70 at most: what was not measured by then has failed. Prints figures for people and, as
its last line, all of them as one JSON object. Exit code 0 only if every part was measured and no
message was lost, taken twice or out of order; a missed goal is shown and changes no exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec

from bench.cloud import (
    budget,
    connections,
    doubts,
    failover,
    growth,
    lives,
    memory,
    priority,
    storm,
    sustained,
    webhooks,
)
from bench.cloud.extent import FULL, QUICK, Extent
from bench.cloud.site import below
from bench.command import in_folder, reported
from bench.e2e.site import Found, say
from bench.report.cloud import GOALS

MOST_SECONDS = 70 * 60.0

Part = Callable[[Path, Extent], Awaitable[tuple[Found, list[str]]]]
PARTS: dict[str, Part] = {
    "sustained": sustained.measure,
    "lives": lives.measure,
    "budget": budget.measure,
    "webhooks": webhooks.measure,
    "storm": storm.measure,
    "failover": failover.measure,
    "memory": memory.measure,
    "connections": connections.measure,
    "doubts": doubts.measure,
    "growth": growth.measure,
    "priority": priority.measure,
}


async def run(options: argparse.Namespace, folder: Path) -> int:
    """The exit code."""
    extent = QUICK if options.quick else FULL
    if options.seconds is not None:
        extent = extent._replace(seconds=options.seconds)
    if options.rows is not None:
        extent = extent._replace(grown=options.rows)
    ends = time.monotonic() + MOST_SECONDS
    figures: Found = {"seconds": {}}
    wrong: list[str] = []
    for name in options.parts:
        began = time.monotonic()
        say(f"{name} ...")
        found, facts = await _part(name, below(folder, name), extent, ends - began)
        for key, value in found.items():
            if key in figures:
                figures[key] |= value
            else:
                figures[key] = value
        wrong += facts
        figures["seconds"][name] = round(time.monotonic() - began, 1)
    figures |= {"ok": not wrong, "quick": options.quick or options.seconds is not None}
    show(figures)
    if options.only and options.out is not None and options.out.exists():
        figures = added(msgspec.json.decode(options.out.read_bytes(), type=Found), figures)
    return reported(figures, wrong, options.out)


def added(before: Found, figures: Found) -> Found:
    """Figures of some parts beside those of the others, as they were found before."""
    whole = {**before, **figures}
    for name in ("seconds", "foreign_cores"):
        whole[name] = before.get(name, {}) | figures.get(name, {})
    whole["ok"] = before["ok"] and figures["ok"]
    whole["quick"] = before["quick"] or figures["quick"]
    return whole


async def _part(name: str, folder: Path, extent: Extent, seconds: float) -> tuple[Found, list[str]]:
    """In a folder of its own; what ends it early is said, and the others go on."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            return await PARTS[name](folder, extent)
    except Exception as error:
        return {}, [f"{name}: not measured ({type(error).__name__}: {error})"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def show(figures: Found) -> None:
    """Each figure that was measured, beside its goal."""
    for row in (goal.row(figures) for goal in GOALS):
        if row[1] != "-":
            say(f"  {row[0]:<70}{row[1]:>10}  {row[2]:<8} {row[3]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cloud",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", help=f"parts, of {','.join(PARTS)}", metavar="PARTS")
    parser.add_argument("--seconds", type=float, help="the most that any stretch of load lasts")
    parser.add_argument("--rows", type=int, help="the life cycles of part growth that are over")
    parser.add_argument("--quick", action="store_true", help="little of each: no figures")
    parser.add_argument(
        "--out",
        type=Path,
        help="also write the JSON into this file; with --only, beside what it has of other parts",
    )
    options = parser.parse_args()
    options.parts = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


def main() -> int:
    return in_folder("cloud", partial(run, _options()))


if __name__ == "__main__":
    sys.exit(main())
