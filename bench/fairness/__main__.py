"""By how much a slow thing slows the others, and what a flood costs: ``python -m bench.fairness``.

Sides take turns; ``calm`` is the same load with nothing slow beside it. Beside the milliseconds of
each side is shown how many more they are than those of ``calm`` in the same round.
The last line is one JSON object. Exit code 0 only if every 201 was a row and reached the upstream.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
import uvloop

from bench import machine
from bench.child import Child
from bench.e2e.rounds import Rounds, rounds
from bench.e2e.site import ENVIRONMENT, ON, Found, say, site
from bench.fairness import flood
from bench.fairness.scene import LATENCY_MS, SIDES, Scene
from bench.fairness.webhook import Webhook

FIGURES = [f"{what}_{p}" for what in ("201", "send", "callback") for p in ("p50", "p99")]


async def sides(folder: Path, names: list[str], wanted: int) -> tuple[Found, list[str]]:
    """Milliseconds of the others by side, and how many more than when all is calm."""
    async with Webhook() as webhook, site(folder, coreapps=2, environment=ENVIRONMENT) as here:
        hook = {"url": webhook.url, "message": ON}
        await here.v1("PATCH", "settings/application", {"webhooks": hook})
        await here.faults(latency_ms=LATENCY_MS, sent_ms=0, delivered_ms=0, read_ms=0)
        beside = await Child.start("bench.load")
        scene = Scene(here, webhook, beside)
        try:
            turns = {name: partial(_side, scene, name) for name in names}
            found = await rounds(turns, time.monotonic() + 300.0, wanted, what="send_p99")
        finally:
            await beside.stop()
        wrong = await here.check("fairness")
    return _figures(found, names), wrong


async def _side(scene: Scene, name: str) -> Found:
    slow, called_back = SIDES[name]
    return await scene.others(slow(scene), called_back)


def _figures(found: Rounds, names: list[str]) -> Found:
    figures: Found = {"foreign_cores": found.foreign_cores}
    for name in names:
        heard = [f for f in FIGURES if SIDES[name][1] or not f.startswith("callback")]
        figures[name] = {f: round(found.median(name, f), 1) for f in heard}
        figures[name]["unheard"] = found.median(name, "unheard")
        if name != "calm":
            figures[f"{name}_more"] = {f: round(_more(found, name, f), 1) for f in heard}
    return figures


def _more(found: Rounds, name: str, figure: str) -> float:
    return median(turn[name][figure] - turn["calm"][figure] for turn in found.kept)


def _show(figures: Found) -> None:
    for name, value in figures.items():
        many = value.items() if isinstance(value, dict) else ()
        say(f"  {name:<18} {', '.join(f'{n} {one}' for n, one in many) or value}")


async def run(names: list[str], wanted: int, folder: Path) -> int:
    """The exit code."""
    say(f"on {machine.description()}; only ratios compare between machines")
    figures, wrong = await sides(folder / "sides", names, wanted)
    flooded, more = await flood.measure(folder / "flood", max(2, wanted))
    figures |= {"flood": flooded, "ok": not (wrong + more)}
    _show(figures)
    for fact in wrong + more:
        say(f"WRONG: {fact}")
    print(msgspec.json.encode(figures).decode(), flush=True)
    return 1 if wrong + more else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(SIDES), help="sides, of " + ",".join(SIDES))
    options = parser.parse_args()
    names = ["calm", *(name for name in options.only.split(",") if name != "calm")]
    if unknown := set(names) - set(SIDES):
        parser.error(f"no such side: {', '.join(sorted(unknown))}")
    # Not below /root: the server may run under another account.
    folder = Path(tempfile.mkdtemp(prefix="warouter-bench-", dir="/tmp"))
    folder.chmod(0o711)
    for part in ("sides", "flood"):
        (folder / part).mkdir(mode=0o711)
    try:
        return uvloop.run(run(names, options.rounds, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
