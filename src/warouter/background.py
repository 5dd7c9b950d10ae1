"""Tasks that nobody awaits: kept until they end, and an error that nobody foresaw is told.

asyncio itself keeps such a task weakly and mentions its error when it is collected, if ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_running: set[asyncio.Task[None]] = set()


def begin(
    work: Coroutine[Any, Any, None], failed: Callable[[Exception], None]
) -> asyncio.Task[None]:
    """Run ``work`` beside everything else; ``failed`` is called with the error that ends it."""

    def ended(task: asyncio.Task[None]) -> None:
        _running.discard(task)
        work.close()  # should it have been cancelled before it began

    task = asyncio.ensure_future(_guarded(work, failed))
    _running.add(task)
    task.add_done_callback(ended)
    return task


async def _guarded(work: Coroutine[Any, Any, None], failed: Callable[[Exception], None]) -> None:
    try:
        await work
    except Exception as error:
        failed(error)
