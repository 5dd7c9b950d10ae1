"""Background tasks that nobody awaits, waiting for an event with a time limit, and resting.

A task is kept until it ends, and its unforeseen error is reported: asyncio itself keeps such a task
weakly and mentions its error when it is collected, if ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

REST_STEP_SECONDS = 0.25

_running: set[asyncio.Task[None]] = set()


def begin(
    work: Coroutine[Any, Any, None], failed: Callable[[Exception], None]
) -> asyncio.Task[None]:
    """Run ``work`` in the background; ``failed`` is called with the error that ends it."""

    def ended(task: asyncio.Task[None]) -> None:
        _running.discard(task)
        work.close()  # should it have been cancelled before it began

    task = asyncio.ensure_future(_guarded(work, failed))
    _running.add(task)
    task.add_done_callback(ended)
    return task


async def wait_for(event: asyncio.Event, seconds: float | None) -> None:
    """Wait until the event is set, or for ``seconds``; None sets no limit.

    Loops that find nothing to do spend most of what they cost here, so there is no
    ``asyncio.timeout``, which ends a wait by an exception: the timer wakes this waiter alone. Its
    place in the event is private to asyncio; a test holds it to that.
    """
    if seconds is None or event.is_set():
        await event.wait()
        return
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[bool] = loop.create_future()
    timer = loop.call_later(seconds, _wake, waiter)
    event._waiters.append(waiter)
    try:
        await waiter
    finally:
        timer.cancel()
        event._waiters.remove(waiter)


async def rest(seconds: float) -> None:
    """Sleep for some ``seconds`` (0.25 or more), to the nearest quarter of a second of the clock:
    all who rest in a process wake it together, and a wake-up is most of what an idle process costs.
    """
    loop = asyncio.get_running_loop()
    now = loop.time()
    until = round((now + seconds) / REST_STEP_SECONDS) * REST_STEP_SECONDS
    await asyncio.sleep(until - now)


def _wake(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)


async def _guarded(work: Coroutine[Any, Any, None], failed: Callable[[Exception], None]) -> None:
    try:
        await work
    except Exception as error:
        failed(error)
