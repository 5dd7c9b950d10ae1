"""The compiled parts, in nanoseconds: the hash beside a call that does nothing, frames of a link.

Sides take turns; the least of many rounds counts, as anything else is somebody else's time. A call
is timed in a plain loop, whose own cost is in both sides.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.e2e.extent import Extent
from bench.e2e.site import Found
from warouter import _batch, _hash
from warouter._hash import SLOTS
from warouter.link import wire
from warouter.link._frames import read

ROUNDS = 400
KEYS = 1_000
SHARDS = 32
FRAME_SIZE = 176  # of the payload
RECIPIENTS = [str(15_550_100_000 + 7919 * n) for n in range(KEYS)]
NOOP = Path(__file__).parent.parent / "noop.pyx"


async def measure(folder: Path, _until: float, _extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part."""
    noop = await _compiled(folder)
    out = bytearray(KEYS)
    frames = memoryview(_batch.pack([_frame(n % SLOTS) for n in range(KEYS)]))
    least = _least(
        {
            "noop": lambda: _each(noop),
            "slot_of": lambda: _each(_hash.slot_of),
            "route": lambda: _hash.route(RECIPIENTS, SHARDS, out),
            "frames": lambda: read(frames),
        }
    )
    assert [message.slot for message in read(frames)[0]] == [n % SLOTS for n in range(KEYS)]
    return {
        "hash_ns": {
            "noop_ratio": round(least["slot_of"] / least["noop"], 3),
            "call": round(least["slot_of"], 1),
            "noop": round(least["noop"], 1),
            "batch_key": round(least["route"], 2),
        },
        "frame_ns": round(least["frames"], 1),
    }, []


def _each(function: Callable[[str], object]) -> None:
    for recipient in RECIPIENTS:
        function(recipient)


def _frame(slot: int) -> bytes:
    """A message as it comes over a link."""
    bare = wire.message(slot, 1, bytes(20), 0, RECIPIENTS[slot], b"")
    return bare + bytes(FRAME_SIZE - len(bare))


def _least(sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Nanoseconds a key or frame."""
    least = dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS):
        for name, side in sides.items():
            began = time.perf_counter_ns()
            side()
            least[name] = min(least[name], (time.perf_counter_ns() - began) / KEYS)
    return least


async def _compiled(folder: Path) -> Any:
    """``noop``, built as the extensions are, below ``folder``."""
    source = folder / NOOP.name
    shutil.copy(NOOP, source)
    build = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "Cython.Build.Cythonize", "--inplace", "--quiet", "-3"),
        *("-X", "boundscheck=False", "-X", "wraparound=False", str(source)),
        env={"PATH": "/usr/bin:/bin", "CFLAGS": "-O3"},
    )
    if await build.wait():
        raise OSError(f"{NOOP.name} was not built")
    built = source.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
    spec = importlib.util.spec_from_file_location("noop", built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.noop
