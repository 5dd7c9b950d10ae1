"""What the commands of the bench have in common: a folder of their own, and how they end."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import uvloop

from bench import machine
from bench.e2e.site import Found, say
from bench.report import results


def in_folder(name: str, run: Callable[[Path], Awaitable[int]]) -> int:
    """Run it with an empty folder until it ends or SIGTERM comes; the exit code."""
    # Not below /root: the server may run under another account.
    folder = Path(tempfile.mkdtemp(prefix=f"warouter-{name}-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        return uvloop.run(_until_terminated(run, folder))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def reported(figures: Found, wrong: Sequence[str], out: Path | None) -> int:
    """Print what was wrong and all figures as one line, also into ``out``; the exit code."""
    for fact in wrong:
        say(f"WRONG: {fact}")
    if out is not None:
        results.write(out, figures)
    say(msgspec.json.encode(figures).decode())
    return 1 if wrong else 0


async def _until_terminated(run: Callable[[Path], Awaitable[int]], folder: Path) -> int:
    say(f"on {machine.description()}; only ratios compare between machines")
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(folder)
