"""A rolling upgrade from the build before, under load, and back: see docs/compatibility.md."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.conftest import CALM, Start
from tests.cluster.test_rolling import stopped, unnoticed
from tests.cluster.test_upgrade import ORDER, RATE, carrying
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.former import BEFORE, Former
from tests.harness.shell import printed
from warouter.local.cluster import Cluster
from warouter.local.options import Placement
from warouter.local.process import Process
from warouter.store import migrate
from warouter.store.migrations import migrations

LACKING = BEFORE.lacking
needs_history = pytest.mark.skipif(bool(LACKING), reason=LACKING)


@contextmanager
def on_its_schema(former: Former = BEFORE) -> Iterator[None]:
    """What starts a cluster here knows no later step of the schema."""
    steps = [step for step in migrations() if step.version <= former.newest]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "migrations", lambda: steps)
        yield


def with_a_fresh_server(cluster: Cluster) -> None:
    """Not with the copy that other tests begin with: its schema is this build's."""
    (cluster.folder / "postgres").mkdir(parents=True)


@needs_history
async def test_upgraded_under_load_and_back(start: Start) -> None:
    old = str(BEFORE.sources())
    with on_its_schema():
        cluster, business = await start(
            webapps=2,
            coreapps=2,
            shards=4,
            environment=CALM,
            before=with_a_fresh_server,
            rate=RATE,
            place=lambda _name, _role: Placement(environment={"PYTHONPATH": old}),
        )
    business.start()
    await business.more(80)
    if later := [step.name for step in migrations() if step.version > BEFORE.newest]:
        said = await last_words(cluster.processes["webapp-1"], "")
        assert f"The database's schema is older than this build ({later[0]}" in said
        assert said.endswith("run `warouter migrate`.")
    applied = await printed(cluster.settings, "migrate")
    assert applied.splitlines() == ([f"applied {name}" for name in later] or ["up to date"])
    async with Facts(cluster) as facts:
        await business.more(80)
        for name in ORDER:
            await replaced(facts, business, cluster.processes[name], "")
        for name in ORDER:  # back, on the schema as it is now
            await replaced(facts, business, cluster.processes[name], old)
        for name in ORDER:
            await replaced(facts, business, cluster.processes[name], "")
        reasons = {row["reason"] for row in await facts.owner_log()}
        assert reasons <= {"unowned", "handover", "renew"}  # nobody was taken for dead
        await unnoticed(business)


async def last_words(process: Process, path: str) -> str:
    """What a process says that refuses to start with the package from there."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "warouter", process.role),
        env=process.environment | {"PYTHONPATH": path, "WAROUTER_UPSTREAM": "simulator"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await started.communicate()
    assert started.returncode == 1, said
    return said.decode().strip().splitlines()[-1]


async def replaced(facts: Facts, business: Business, process: Process, path: str) -> None:
    """Restart one process with the package from there; returns once it carries traffic."""
    await restarted(facts, process, path)
    await carrying(facts, business, process)


async def restarted(facts: Facts, process: Process, path: str) -> None:
    await stopped(process)
    process.environment["PYTHONPATH"] = path
    await facts.cluster.again(process)
