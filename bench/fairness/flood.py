"""More requests than a webapp holds, while the owner of their shard is frozen: what they cost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from itertools import count
from pathlib import Path

from bench.e2e.site import ENVIRONMENT, Found, Site, say, site
from tests.harness.lines import Answer, Line, Lines

CONNECTIONS, FILLER = 240, 500_000  # bytes of a message: together twice the 64 MiB that are held
HOLD_SECONDS = 3.0
SETTINGS = {
    **ENVIRONMENT,
    "WAROUTER_JSON_LIMIT": str(512 * 1024),
    "WAROUTER_LEASE": "9",  # frozen, and not dead
    "WAROUTER_HOLD": "60",
}
_numbers = count()


async def measure(folder: Path, floods: int) -> tuple[Found, list[str]]:
    """Some floods one after the other; milliseconds, MiB, and what was wrong."""
    options = {"shards": 1, "coreapps": 1, "masters": 1, "environment": SETTINGS}
    async with site(folder, **options) as here:
        found: Found = {"rss_mib_before": max(here.resident().values())}
        async with Lines(here.cluster.webapp_urls[0], CONNECTIONS) as lines:
            every = [await _flood(here, lines.all) for _ in range(floods)]
        await here.drained(callbacks=False)
        for name in every[-1]:
            found[name] = [flood[name] for flood in every]
        found["rss_mib_after"] = max(here.resident().values())
        wrong = await here.check("flood")
    return found, wrong


async def _flood(here: Site, lines: list[Line]) -> Found:
    """Freeze the owner, ask on every line, let the owner go on; ask again what was refused."""
    pid = here.product()["coreapp-1"]
    asked: list[tuple[float, Answer]] = []

    async def ask(line: Line) -> Answer:
        to = f"49156{next(_numbers):07d}"
        began = time.monotonic()
        message = {"to": to, "type": "text", "text": {"body": "x"}, "filler": "." * FILLER}
        answer = await line.ask(f"Bearer {here.token}", message)
        asked.append((time.monotonic() - began, answer))
        here.accepted += answer.status == 201
        return answer

    os.kill(pid, signal.SIGSTOP)
    try:
        tasks = {asyncio.create_task(ask(line)): line for line in lines}
        refused, held = await asyncio.wait(tasks, timeout=HOLD_SECONDS)
        overload = here.resident()
    finally:
        os.kill(pid, signal.SIGCONT)
    woken = time.monotonic()
    statuses = {task.result().status for task in refused}
    waits = sorted(seconds for seconds, _ in asked)
    await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
    first = time.monotonic() - woken
    await asyncio.wait(held)
    last = time.monotonic() - woken
    again = [await ask(tasks[task]) for task in refused]
    say(
        f"  {len(refused)} refused ({statuses}), {len(held)} held; after the thaw the first 201"
        f" came in {first * 1000:.0f} ms, the last in {last * 1000:.0f} ms"
    )
    return {
        "refused": len(refused),
        "refused_p50_ms": round(waits[len(waits) // 2] * 1000, 1),
        "first_201_ms": round(first * 1000, 1),
        "all_201_ms": round(last * 1000, 1),
        "not_201_after": sum(a.status != 201 for a in [*again, *(t.result() for t in held)]),
        "webapp_mib": overload["webapp-1"],
        "coreapp_mib": here.resident()["coreapp-1"],
    }
