"""A campaign that is told to stop ends what it has started, as one does that has run to its end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import uvloop

STOPPED = 2  # the exit code


def run(work: Coroutine[Any, Any, int]) -> int:
    """The exit code of the work. SIGINT and SIGTERM cancel it, and it tidies up."""
    return uvloop.run(_until_told(work))


async def _until_told(work: Coroutine[Any, Any, int]) -> int:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    def stop() -> None:
        if not task.cancelling():  # a second word must not break off the tidying up
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        print("stopped", file=sys.stderr)
        return STOPPED
