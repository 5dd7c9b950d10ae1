"""CPU and memory of each process from its start until it is ready: ``python -m bench.start``.

Processes are executed, one at a time, and join a cluster that runs; their CPU is read at READY=1.
With --base the build of another clone takes turns with this one's, each in a cluster of its own.
Prints medians and, as its last line, one JSON object; `vs_base` has the ratios of the turns.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from bench import machine
from bench.command import in_folder, reported
from bench.e2e.elsewhere import PYTHON, Elsewhere
from bench.e2e.running import Running
from bench.e2e.site import Found, say
from bench.e2e.turns import Turn, Turns, in_turn
from warouter.local.cluster import Cluster
from warouter.local.options import UPSTREAMS, UpOptions, executed
from warouter.local.process import Process

ROLES = ("webapp", "coreapp", "master", "console")
MOST_SECONDS = 9 * 60.0
# An interpreter that may not keep its bytecode would compile every module again.
ENVIRONMENT = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--base", type=Path, help="a clone with its .venv, to compare with")
    parser.add_argument("--upstream", choices=UPSTREAMS[:2], default=UPSTREAMS[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="also write the JSON into this file")
    return parser.parse_args()


async def turn(python: Path, cluster: Path, folder: Path) -> tuple[Found, list[str]]:
    """Each role once, in the cluster of that data directory."""
    found: Found = {}
    for role in ROLES:
        arguments = [role, "--data-dir", str(cluster)]
        process = Process(role, role, arguments, ENVIRONMENT, folder, by_fork=False)
        process.command[0] = str(python)
        try:
            await process.start()
            assert process.pid is not None
            cpu, memory = cpu_seconds(process.pid), machine.resident_mib(process.pid)
            found[role] = {"cpu_ms": cpu * 1000, "rss_mib": memory}
        finally:
            await process.stop()
    return found, []


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, finer than the ticks of /proc."""
    return time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid() makes the number


async def run(options: argparse.Namespace, folder: Path) -> int:
    """The exit code."""
    sides: dict[str, Turn] = {}
    async with AsyncExitStack() as stack:
        for name, clone in (("this", None), ("base", options.base))[: 2 if options.base else 1]:
            data = folder / name
            wanted = UpOptions(
                data_dir=data, port=0, tls=False, place=executed, upstream=options.upstream
            )
            cluster: Running = Elsewhere(clone, wanted) if clone else Cluster(wanted)
            stack.push_async_callback(cluster.stop)
            await cluster.start()
            python = clone.absolute() / PYTHON if clone else Path(sys.executable)
            (folder / f"started-{name}" / "run").mkdir(parents=True)
            sides[name] = partial(turn, python, data, folder / f"started-{name}")
            await sides[name]()  # bytecode and files are in memory from now on
        found = await in_turn(sides, options.rounds, MOST_SECONDS)
    show(found)
    figures: Found = {
        **found.medians(),
        "vs_base": found.ratios("this", "base"),
        "upstream": options.upstream,
        "rounds": options.rounds,
    }
    return reported(figures, found.wrong, options.out)


def show(found: Turns) -> None:
    """A line for each side and role."""
    say(f"{'':<6}{'':<9}{'CPU ms':>8}{'RSS MiB':>9}")
    for name, figures in found.medians().items():
        for role in ROLES:
            one = figures[role]
            say(f"{name:<6}{role:<9}{one['cpu_ms']:>8.0f}{one['rss_mib']:>9.1f}")


def main() -> int:
    return in_folder("start", partial(run, _options()))


if __name__ == "__main__":
    sys.exit(main())
