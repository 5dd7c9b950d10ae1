"""What is measured of a console; each part on a cluster of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import msgspec

from bench import machine
from bench.child import Child
from bench.console.viewers import Viewers
from bench.e2e.lives import MOST_OPEN
from bench.e2e.site import LOUD, Found, Site, say, site
from warouter.errors import CommandError
from warouter.store.nodes import read_nodes

PYTHON = Path(".venv-console/bin/python")
STREAMS = 100
CONNECTIONS, FULL_CONNECTIONS = 64, 256
FULL_SECONDS, LEAD_SECONDS = 6.0, 1.0
SETTLE_SECONDS = 5.0  # after load or a start, before a console counts as idle
CONSOLE = "console-1"
UP_SECONDS = 120.0


async def first_row(folder: Path, quick: bool) -> Found:
    """From the line with the URL to the first live row, median of some whole starts."""
    seconds = []
    for n in range(1 if quick else 3):
        async with AsyncExitStack() as stack:
            browser = await Child.start("bench.console.browser", python=str(PYTHON))
            stack.push_async_callback(browser.stop)
            data = folder / f"up-{n}"
            up = await _up(data)
            stack.push_async_callback(_end, up)
            url, printed = await _printed(up)
            told = msgspec.json.decode((data / "cluster.json").read_bytes())
            found = await browser.ask(["open", url, told["user"], told["password"]])
            seconds.append(found["live"] - printed)
    return {"first_row_s": round(median(seconds), 2)}


async def killed(folder: Path, quick: bool) -> Found:
    """From the SIGKILL to a coreapp until the page says that it is dead."""
    seconds = []
    async with site(folder, console=True, coreapps=4) as here:
        browser = await Child.start("bench.console.browser", python=str(PYTHON))
        try:
            cluster = here.cluster
            await browser.ask(["open", cluster.console_url, cluster.user, cluster.password])
            for n in range(2 if quick else 11):
                name = f"coreapp-{n % 4 + 1}"
                nodes = await read_nodes(here.database)
                # The last: those that were killed before stand there for a minute.
                node = [one for one in nodes if one.name.endswith(f":{name}")][-1]
                await browser.ask(["watch", str(node.incarnation)])
                at = time.time()
                cluster.processes[name].kill(signal.SIGKILL)
                seconds.append((await browser.ask(["dead"]))["dead"] - at)
                await _whole(here, 4)
        finally:
            await browser.stop()
    ordered = sorted(seconds)
    return {"killed_s": round(median(ordered), 2), "killed_most_s": round(ordered[-1], 2)}


async def streams(folder: Path, quick: bool) -> Found:
    """100 streams at half load: what the console costs, and what the API's callers notice."""
    times = 1 if quick else 5
    seconds = 5.0 if quick else 20.0
    calm, watched, costs = [], [], []
    async with site(folder, console=True, shards=2, coreapps=3) as here:
        await here.faults(**LOUD)
        full = await here.run(
            here.order(FULL_CONNECTIONS, FULL_SECONDS, warm_up=LEAD_SECONDS, most_open=MOST_OPEN)
        )
        await here.drained()
        rate = full["per_s"] / 2
        say(f"  full load {full['per_s']:,.0f}/s, half of it {rate:,.0f}/s")
        for _ in range(times):
            calm.append(await _paced(here, rate, seconds))
            cluster = here.cluster
            async with Viewers(cluster.console_url, cluster.user, cluster.password) as viewers:
                await viewers.open(STREAMS)
                pid = here.pids()[CONSOLE]
                before, began, frames = machine.cpu_seconds(pid), time.monotonic(), viewers.frames
                watched.append(await _paced(here, rate, seconds))
                passed = time.monotonic() - began
                costs.append((machine.cpu_seconds(pid) - before) / passed * 100)
                each = (viewers.frames - frames) / STREAMS / passed
                say(f"  {each:.2f} events/s a stream, console {costs[-1]:.1f} % of a core")
        wrong = await here.check("streams")
        if wrong:
            raise CommandError("; ".join(wrong))
    spread = max(calm) - min(calm)
    return {
        "streams_cpu_percent": round(median(costs), 1),
        "p99_calm_ms": round(median(calm), 2),
        "p99_streams_ms": round(median(watched), 2),
        "p99_more_ms": round(median(watched) - median(calm), 2),
        "p99_spread_ms": round(spread, 2),
        "half_load_per_s": round(rate),
    }


async def idle(folder: Path, quick: bool) -> Found:
    """Nobody looks: memory and CPU, after somebody has looked. And what a first page weighs."""
    seconds = 5.0 if quick else 60.0
    async with site(folder, console=True) as here:
        cluster = here.cluster
        async with Viewers(cluster.console_url, cluster.user, cluster.password) as viewers:
            weight = await viewers.weight()
            await viewers.open(1)
        await asyncio.sleep(SETTLE_SECONDS)
        pid = here.pids()[CONSOLE]
        before, began = machine.cpu_seconds(pid), time.monotonic()
        await asyncio.sleep(seconds)
        percent = (machine.cpu_seconds(pid) - before) / (time.monotonic() - began) * 100
        return {
            "idle_percent": round(percent, 2),
            "resident_mib": round(machine.resident_mib(pid), 1),
            "weight_kb": round(sum(weight.values()) / 1000, 1),
            "weight": weight,
        }


async def _paced(here: Site, rate: float, seconds: float) -> float:
    """The p99 of the 201s at that rate, in milliseconds."""
    found = await here.run(here.order(CONNECTIONS, seconds, warm_up=LEAD_SECONDS, per_second=rate))
    await here.drained()
    p99: float = found["p99_ms"]
    return p99


async def _whole(here: Site, coreapps: int) -> None:
    """Until so many coreapps run again, each as an incarnation that beats."""
    async with asyncio.timeout(UP_SECONDS):
        while True:
            alive = await here.database.fetchval(
                "select count(*) from node join beat using (incarnation) where role = 'coreapp'"
            )
            running = all(
                process.alive and process.ready.is_set()
                for name, process in here.cluster.processes.items()
                if name.startswith("coreapp")
            )
            if running and alive >= coreapps:
                return
            await asyncio.sleep(0.1)


async def _up(data: Path) -> asyncio.subprocess.Process:
    free = {"WAROUTER_CONSOLE_LISTEN": "127.0.0.1:0", "COLUMNS": "300"}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "warouter", "up", "--port", "0", "--no-tls"),
        *("--data-dir", str(data)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | free,
    )


async def _printed(up: asyncio.subprocess.Process) -> tuple[str, float]:
    """The console's URL, and when it was printed."""
    assert up.stdout is not None
    async with asyncio.timeout(UP_SECONDS):
        while line := (await up.stdout.readline()).decode():
            if "/console/" in line:
                return next(word for word in line.split() if "/console/" in word), time.time()
    raise CommandError("warouter up printed no URL of a console")


async def _end(up: asyncio.subprocess.Process) -> None:
    assert up.stdout is not None
    up.terminate()
    while await up.stdout.readline():
        pass
    await up.wait()
