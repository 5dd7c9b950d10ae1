"""A rolling upgrade to the next build and back, under load: what docs/compatibility.md promises."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.cluster.conftest import CALM, Start
from tests.cluster.test_rolling import stopped, unnoticed
from tests.harness.business import Business
from tests.harness.facts import Facts
from warouter.link import wire
from warouter.local.cluster import Cluster
from warouter.local.process import Process

NEXT = str(Path(__file__).with_name("next_version.py"))
RATE = 40.0  # messages/s: a higher one only uses up what the processes need to start
# Mixed both ways: webapps of one build with coreapps of another one, and the reverse.
ORDER = ("master-1", "coreapp-1", "webapp-1", "coreapp-2", "master-2", "webapp-2")
_BY_NEXT = "select count(*) from message where origin <> 0"


async def test_upgraded_process_by_process_and_back(start: Start) -> None:
    cluster, business = await start(webapps=2, coreapps=2, shards=8, environment=CALM, rate=RATE)
    async with Facts(cluster) as facts:
        business.start()
        await business.more(80)
        assert "applied" in await migrate_with_next(cluster)
        await business.more(80)
        for name in ORDER:
            await replaced(facts, business, cluster.processes[name], NEXT)
        # Both ends of every link are of the next build: its frames carry the new field.
        for name in ("webapp-1", "webapp-2"):
            pid = cluster.processes[name].pid
            await facts.until_some(f"select count(*) from message where origin = {pid}")
        for name in ORDER:
            await replaced(facts, business, cluster.processes[name], "-m", "warouter")
        before = await facts.connection.fetchval(_BY_NEXT)
        await business.more(80)
        await business.through_each_webapp()
        assert await facts.connection.fetchval(_BY_NEXT) == before
        versions = {f"webapp-{n}": spoken(cluster.processes[f"webapp-{n}"]) for n in (1, 2)}
        both = {max(wire.FRAMES), max(wire.FRAMES) + 1}
        assert versions == {"webapp-1": both, "webapp-2": both}
        reasons = {row["reason"] for row in await facts.owner_log()}
        # Nobody was taken for dead, and no handover was overdue.
        assert reasons <= {"unowned", "handover", "renew"}
        await unnoticed(business)


async def migrate_with_next(cluster: Cluster) -> str:
    """Run the next build's ``warouter migrate`` on the cluster's database; what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, NEXT, "migrate", "--data-dir", str(cluster.folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    return out.decode()


async def replaced(facts: Facts, business: Business, process: Process, *program: str) -> None:
    """Restart one process as another build; returns once it carries traffic, by each webapp."""
    await stopped(process)
    process.command = [sys.executable, *program, process.role]
    await facts.cluster.again(process)
    await carrying(facts, business, process)


async def carrying(facts: Facts, business: Business, process: Process) -> None:
    """Until what was started carries traffic, by each webapp."""
    if process.role == "coreapp":
        pid = process.pid
        query = "select count(*) from slot join node on incarnation = owner where pid = $1"
        await facts.until_some(query.replace("$1", str(pid)))
    await business.through_each_webapp()
    await business.more(20)


def spoken(webapp: Process) -> set[int]:
    """The versions of the links that this webapp had, by its log."""
    lines = webapp.log.read_text().splitlines()
    return {n for n in range(1, 9) for line in lines if f'"version":{n}' in line.replace(" ", "")}
