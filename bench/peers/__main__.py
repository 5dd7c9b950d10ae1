"""warouter's durable accepts beside durable queues, in turns, with 256 callers, one message a call.

Prints a table for people and, as its last line, all figures as one JSON object. Exit code 0 only if
every side holds at least as many messages as it acknowledged; a peer that is not there is named.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import uvloop

from bench import machine
from bench.peers import peer
from bench.peers.warouter import Warouter
from bench.report import results

SETTLE_SECONDS = 0.3  # between turns
WARM_UP_SECONDS = 0.3  # of each turn
# A round during which others used more than this part of a core is shown, and made once more.
FOREIGN_CORES = 0.3
ENOUGH_QUIET = 3  # with fewer the noisy ones count as well: a figure there must be

Round = dict[str, dict[str, Any]]  # by side


class Bench:
    """The sides, their rounds, and what is missing."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.warouter = Warouter(folder, options.shards)
        self.peers: list[peer.Side] = []
        self.not_run: dict[str, str] = {}

    @property
    def sides(self) -> list[Warouter | peer.Side]:
        return [self.warouter, *self.peers]

    async def prepare(self, stack: AsyncExitStack) -> None:
        """The cluster runs, and every peer that can."""
        await self.warouter.start(stack)
        for one in peer.PEERS:
            try:
                self.peers.append(await peer.start(one, self.warouter, stack, self.folder))
            except peer.Missing as missing:
                self.not_run[one.name] = str(missing)

    async def rounds(self) -> tuple[list[Round], int]:
        """The rounds that count, and how many were noisy."""
        for side in self.sides:
            await self._turn(side, 0.5)  # warm: not kept
        quiet: list[Round] = []
        noisy: list[Round] = []
        while len(quiet) < self.options.rounds and len(noisy) < self.options.rounds:
            # Forth and back: what drifts within a round drifts both ways.
            order = self.sides[:: -1 if (len(quiet) + len(noisy)) % 2 else 1]
            found = {side.name: await self._turn(side, self.options.seconds) for side in order}
            foreign = max(turn["foreign_cores"] for turn in found.values())
            (noisy if foreign > FOREIGN_CORES else quiet).append(found)
            self._say_round(found, foreign)
        return quiet if len(quiet) >= ENOUGH_QUIET else quiet + noisy, len(noisy)

    async def _turn(self, side: Warouter | peer.Side, seconds: float) -> dict[str, Any]:
        await asyncio.sleep(SETTLE_SECONDS)
        others, began = self._foreign_seconds(), time.monotonic()
        found = await side.turn(self.options.callers, seconds, WARM_UP_SECONDS)
        others = self._foreign_seconds() - others
        found["foreign_cores"] = max(0.0, others / (time.monotonic() - began))
        found["per_s"] = found["measured"] / found["seconds"]
        return found

    def _foreign_seconds(self) -> float:
        """CPU that was used by what takes no part."""
        pids = {pid for side in self.sides for pid in side.pids()} | {os.getpid()}
        postgres = machine.family_cpu_seconds(self.warouter.postgres_pid())
        return machine.busy_seconds() - postgres - sum(map(machine.cpu_seconds, pids))

    def _say_round(self, found: Round, foreign: float) -> None:
        words = [f"warouter {found['warouter']['per_s']:,.0f}/s"]
        for side in self.peers:
            ratio = _ratio(found, side.name)
            words.append(f"{side.name} {found[side.name]['per_s']:,.0f}/s ({ratio:.2f})")
        noisy = ", noisy" if foreign > FOREIGN_CORES else ""
        say(f"{'; '.join(words)}; others used {foreign:.2f} cores{noisy}")

    async def check(self) -> tuple[dict[str, dict[str, int]], list[str]]:
        """What each side acknowledged and what it holds, and where that is less."""
        acknowledged = {side.name: side.accepted for side in self.sides}
        kept = {side.name: await side.kept() for side in self.sides}
        wrong = [
            f"{name} acknowledged {n:,} and holds {kept[name]:,}"
            for name, n in acknowledged.items()
            if kept[name] < n
        ]
        return {"acknowledged": acknowledged, "kept": kept}, wrong

    def figures(self, rounds: Sequence[Round]) -> dict[str, Any]:
        """Medians over rounds; the ratios are those of the rounds."""

        def of(name: str, what: str) -> float:
            return float(median(found[name][what] for found in rounds))

        names = [side.name for side in self.peers]
        return {
            "peers": {name: round(median(_ratio(f, name) for f in rounds), 2) for name in names},
            "peers_per_s": {name: round(of(name, "per_s")) for name in names},
            "accepts_per_s": round(of("warouter", "per_s")),
            "not_run": self.not_run,
            "p50_ms": {side.name: round(of(side.name, "p50_ms"), 2) for side in self.sides},
            "p99_ms": {side.name: round(of(side.name, "p99_ms"), 2) for side in self.sides},
            "foreign_cores": {
                side.name: round(of(side.name, "foreign_cores"), 2) for side in self.sides
            },
            "rounds": len(rounds),
        }


def show(figures: dict[str, Any], callers: int) -> None:
    """The figures for people."""
    say(f"\ndurable messages/s, {callers} callers, medians of {figures['rounds']} rounds")
    say(f"  {'':<14}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>8}{'goal':>6}")
    say(f"  {_row('warouter', figures['accepts_per_s'], figures)}{'':14}  over HTTP")
    for one in peer.PEERS:
        if one.name not in figures["peers"]:
            continue
        ratio, row = figures["peers"][one.name], _row(one.name, 0, figures)
        goal, missed = f"{one.goal:g}" if one.goal else "", ratio < one.goal
        say(f"  {row}{ratio:>8.2f}{goal:>6}  {one.setting}{' MISSED' * missed}")
    for name, why in figures["not_run"].items():
        say(f"  {name:<14}not run: {why}")
    counts = figures["acknowledged"]
    kept = ", ".join(f"{n} {k:,} of {counts[n]:,}" for n, k in figures["kept"].items())
    say(f"held of what was acknowledged: {kept}")


def _row(name: str, per_s: int, figures: dict[str, Any]) -> str:
    per_s = per_s or figures["peers_per_s"][name]
    return f"{name:<14}{per_s:>9,}{figures['p50_ms'][name]:>9.2f}{figures['p99_ms'][name]:>9.2f}"


def _ratio(found: Round, name: str) -> float:
    return float(found["warouter"]["per_s"] / found[name]["per_s"])


def say(line: str) -> None:
    print(line, flush=True)


async def run(options: argparse.Namespace, folder: Path) -> int:
    task = asyncio.current_task()
    assert task is not None
    # So that servers and queues are gone afterwards.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    bench = Bench(options, folder)
    async with AsyncExitStack() as stack:
        say(f"on {machine.description()}; only ratios compare between machines")
        await bench.prepare(stack)
        say("the simulator is paused: warouter takes messages and sends none, as the peers do")
        rounds, noisy = await bench.rounds()
        counts, wrong = await bench.check()
        figures = bench.figures(rounds) | counts | {"noisy_rounds": noisy, "ok": not wrong}
        show(figures, options.callers)
        for fact in wrong:
            say(f"WRONG: {fact}")
        if options.out is not None:
            results.write(options.out, figures | {"quick": options.rounds < ENOUGH_QUIET})
        say(msgspec.json.encode(figures).decode())
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each side of a round")
    parser.add_argument("--callers", type=int, default=256)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the JSON into this file")
    return parser.parse_args()


def main() -> int:
    options = _options()
    # Not below /root: PostgreSQL may run under another account.
    folder = Path(tempfile.mkdtemp(prefix="warouter-peers-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        return uvloop.run(run(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
