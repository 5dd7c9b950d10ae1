"""The web console: how soon it shows what is, and what it costs. A line a figure, with its goal.

Its last line is all figures as one JSON object. A missed goal changes no exit code: on a shared
machine times move by a third.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.command import in_folder, reported
from bench.console import parts
from bench.e2e.site import Found, say


class Goal(NamedTuple):
    """``most`` is a number, or the name of the figure that is the bound."""

    figure: str
    title: str
    most: float | str
    unit: str


Part = Callable[[Path, bool], Awaitable[Found]]
PARTS: dict[str, Part] = {
    "first-row": parts.first_row,
    "killed": parts.killed,
    "streams": parts.streams,
    "idle": parts.idle,
}
BROWSER = ("first-row", "killed")
GOALS = (
    Goal("first_row_s", "from the printed URL to the first live row", 10, "s"),
    Goal("killed_s", "a killed coreapp is shown as dead, median", 2, "s"),
    Goal("streams_cpu_percent", "100 streams at half load: console, of a core", 15, "%"),
    Goal("p99_more_ms", "100 streams: p99 of the API, by how much more", "p99_spread_ms", "ms"),
    Goal("resident_mib", "idle: resident memory", 70, "MiB"),
    Goal("idle_percent", "idle: CPU, of a core", 1, "%"),
    Goal("weight_kb", "first page over the wire", 60, "kB"),
)


def show(figures: Found) -> None:
    """A line a figure that was measured, and whether its goal was met."""
    for goal in GOALS:
        if goal.figure in figures:
            value = figures[goal.figure]
            most = figures[goal.most] if isinstance(goal.most, str) else goal.most
            met = "met" if value <= most else "MISSED"
            say(f"{goal.title:<50} {value:>9,.5g} {goal.unit:<4} goal {most:g}: {met}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    parser.add_argument("--only", help=f"parts, of {','.join(PARTS)}", metavar="PARTS")
    parser.add_argument("--quick", action="store_true", help="little of each: no figures")
    parser.add_argument("--out", type=Path, help="also write the JSON into this file")
    options = parser.parse_args()
    options.parts = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


async def run(options: argparse.Namespace, folder: Path) -> int:
    """The exit code."""
    figures: Found = {"quick": options.quick}
    wrong: list[str] = []
    for name in options.parts:
        if name in BROWSER and not parts.PYTHON.exists():
            say(f"{name}: not run (`make .venv-console/installed` makes {parts.PYTHON})")
            continue
        own = folder / name
        own.mkdir(mode=0o711)
        say(f"{name} ...")
        try:
            figures |= await PARTS[name](own, options.quick)
        except Exception as error:
            wrong.append(f"{name}: {error!r}")
    show(figures)
    return reported(figures, wrong, options.out)


def main() -> int:
    return in_folder("console", partial(run, _options()))


if __name__ == "__main__":
    sys.exit(main())
