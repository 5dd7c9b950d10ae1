"""CPU of a message by component: what py-spy sees of the processes, times what /proc says of them.

    python -m bench.budget              # life cycles
    python -m bench.budget --accepts    # 201s while the upstream is paused
    python -m bench.budget --build DIR  # of another clone, which has its .venv

py-spy (``pip install py-spy``) looks at one webapp and one coreapp 400 times a second while load is
on. Of a sample's stack the innermost frame counts that a line of a table below matches, so a
system call counts for whoever made it. PostgreSQL is split by what its backends work for.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import uvloop

from bench import machine
from bench.e2e.lives import CONNECTIONS, MOST_OPEN
from bench.e2e.site import LOUD, Site, say, site

SECONDS = 12.0
RATE = 400
# (component, what a frame "function (file:line)" holds)
WEBAPP = (
    ("answer, its write", ("answer (warouter/http/connection.py",)),
    ("auth", ("warouter/api/access/tokens.py",)),
    (
        "decode, validate",
        ("warouter/http/decode.py", "warouter/api/messages/validate.py", "warouter/recipient.py"),
    ),
    ("id and slot", ("warouter/message_id.py", "outgoing (warouter/api/messages/handlers.py")),
    ("link", ("warouter/link/", "warouter/link/wire.py")),
    ("HTTP", ("warouter/api/", "aiohttp/")),
)
COREAPP = (
    ("link", ("warouter/link/", "warouter/link/wire.py")),
    ("callbacks", ("warouter/owner/callbacks/", "warouter/webhook/", "aiohttp/")),
    ("settle", ("warouter/owner/recorder.py", "warouter/flow/cursor.py")),
    ("events", ("warouter/owner/receipts.py", "warouter/owner/media/downloads.py")),
    ("append", ("warouter/owner/appender.py",)),
    ("send, answers", ("warouter/owner/", "warouter/upstream/", "warouter/cluster/")),
    ("database, answers", ("asyncpg/", "warouter/store/")),
)
REST = "loop, sockets"
# What a backend works for, by what it ran last.
_BACKENDS = """
select pid, case when query like '%append_messages%' or query like '%append_requests%' then 'append'
                 when query like '%append_events%' or query like '%record_progress%'
                   then 'events, settle'
                 when query like '%beat%' then 'beats' else 'others' end as what
  from pg_stat_activity where backend_type = 'client backend'"""


def component(stack: str, table: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    """The first that matches, from the innermost frame outwards."""
    for frame in reversed(stack.split(";")):
        for name, marks in table:
            if any(mark in frame for mark in marks):
                return name
    return REST


def shares(raw: str, table: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, float]:
    """Parts of all samples by component; ``raw`` is a line a stack: frames, a blank, a count."""
    found: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if "threading.py" not in stack:  # pools that sleep
            found[component(stack, table)] += int(count)
    total = sum(found.values()) or 1
    return {name: count / total for name, count in found.most_common()}


def py_spy() -> str:
    """Where it is; SystemExit with what to do if it is nowhere."""
    beside = str(Path(sys.executable).parent)
    tool = shutil.which("py-spy", path=beside) or shutil.which("py-spy")
    if tool is None:
        raise SystemExit("py-spy is not installed: .venv/bin/pip install py-spy")
    return tool


async def watched(pid: int, out: Path, seconds: float) -> str:
    """What py-spy saw of a process."""
    arguments = ("record", "--format", "raw", "--rate", str(RATE), "--duration", str(int(seconds)))
    process = await asyncio.create_subprocess_exec(
        *(py_spy(), *arguments, "--output", str(out), "--pid", str(pid)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        raise SystemExit(f"py-spy ended with {process.returncode}: {said.decode()[-300:]}")
    return await asyncio.to_thread(out.read_text)


async def backends(here: Site) -> dict[str, float]:
    """CPU seconds of PostgreSQL's processes by what they work for."""
    found: Counter[str] = Counter()
    kinds = {row["pid"]: row["what"] for row in await here.database.fetch(_BACKENDS)}
    for pid in machine.children(here.pids()["postgres"]):
        found[kinds.get(pid, "WAL writer and others")] += machine.cpu_seconds(pid)
    return dict(found)


async def measure(here: Site, folder: Path, *, lives: bool) -> None:
    """Run the load with py-spy beside it and print the table."""
    if lives:
        order = here.order(CONNECTIONS, SECONDS, warm_up=2.0, most_open=MOST_OPEN)
        await here.faults(**LOUD)
    else:
        order = here.order(256, SECONDS, warm_up=2.0, lives=False)
        await here.faults(pause=True)
    watching = asyncio.gather(
        watched(here.pids()["webapp-1"], folder / "webapp", SECONDS),
        watched(here.pids()["coreapp-1"], folder / "coreapp", SECONDS),
    )
    before = await backends(here)
    found = await here.measured(order, drain=lives)
    after = await backends(here)
    webapp, coreapp = await watching
    cpu = found["cpu"]
    coreapps = sum(us for name, us in cpu.items() if name.startswith("coreapp"))
    say(f"{found['per_s']:,.0f}/s, others used {found['foreign_cores']:.2f} cores; us a message")
    _table("webapp", cpu["webapp-1"], shares(webapp, WEBAPP))
    _table("coreapps", coreapps, shares(coreapp, COREAPP))
    spent = {name: after[name] - before.get(name, 0.0) for name in after}
    total = sum(spent.values()) or 1.0
    _table("PostgreSQL", cpu["postgres"], {name: s / total for name, s in spent.items()})
    masters = sum(us for name, us in cpu.items() if name.startswith("master"))
    say(f"masters {masters:.1f}, simulator {cpu['simulator']:.1f}, load {cpu['load']:.1f}")


def _table(name: str, us: float, parts: dict[str, float]) -> None:
    say(f"{name:<24}{us:6.1f}")
    for part, share in sorted(parts.items(), key=lambda item: -item[1]):
        if share >= 0.005:
            say(f"  {part:<22}{us * share:6.1f}")


async def run(folder: Path, build: Path | None, *, lives: bool) -> None:
    async with site(folder / "cluster", build) as here:
        await measure(here, folder, lives=lives)
        if not lives:
            await here.faults(pause=False)
        await here.drained(callbacks=lives)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.budget", description=__doc__)
    parser.add_argument("--accepts", action="store_true", help="201s with the upstream paused")
    parser.add_argument("--build", type=Path, help="a clone with its .venv, to look at instead")
    options = parser.parse_args()
    py_spy()  # before anything is started
    folder = Path(tempfile.mkdtemp(prefix="warouter-budget-", dir="/tmp"))
    folder.chmod(0o711)
    (folder / "cluster").mkdir(mode=0o711)
    try:
        uvloop.run(run(folder, options.build, lives=not options.accepts))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
