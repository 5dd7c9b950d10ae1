"""A rolling upgrade from the build before, under load, and back: see docs/compatibility.md."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.conftest import CALM, Start
from tests.cluster.test_rolling import stopped, unnoticed
from tests.cluster.test_upgrade import carrying
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.former import BEFORE, Former
from tests.harness.shell import printed
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.local import cluster as local
from warouter.local.cluster import Cluster
from warouter.local.options import Placement
from warouter.local.process import Process
from warouter.store import migrate
from warouter.store.database import connect

RATE = 80.0  # messages/s: a higher one only uses up what the processes need to start
NOT_OWNED = "select from slot where owner is null or successor is not null"
# Mixed both ways: webapps of one build with coreapps of the other one, and the reverse.
ORDER = ("master-1", "coreapp-1", "webapp-1", "coreapp-2", "master-2", "webapp-2")

LACKING = BEFORE.lacking
needs_history = pytest.mark.skipif(bool(LACKING), reason=LACKING)


@contextmanager
def on_its_schema(former: Former = BEFORE) -> Iterator[None]:
    """What starts a cluster here knows no later migration."""
    files = [file for file in migrate.migrations() if file.version <= former.newest]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "migrations", lambda: files)
        patch.setattr(local, "use_upstream", _no_upstream)
        patch.setattr(local, "own_logins", _one_login)
        patch.setattr(local, "ready_map", _all_owned)
        yield


async def _no_upstream(_settings: Settings) -> None:
    """Its databases have none."""


async def _one_login(_settings: Settings) -> dict[str, str]:
    """Its processes are not set to logins of their own."""
    return {}


async def _all_owned(settings: Settings, _seconds: float) -> None:
    connection = await connect(settings, "test")
    await soon(lambda: connection.fetchval(f"select 1 where not exists ({NOT_OWNED})"))
    await connection.close()


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
    await business.more(200)
    later = later_migrations()
    said = await last_words(cluster.processes["webapp-1"], "")
    assert f"The database's schema is older than this build ({later[0]}" in said
    assert said.endswith("run `warouter migrate`.")
    applied = await printed(cluster.settings, "migrate")
    assert [line.split()[1] for line in applied.splitlines()] == later
    async with Facts(cluster) as facts:
        await business.more(200)
        for name in ORDER:
            await replaced(facts, business, cluster.processes[name], "")
        for name in ORDER:  # back, on the schema as it is now
            await replaced(facts, business, cluster.processes[name], old)
        for name in ORDER:
            await replaced(facts, business, cluster.processes[name], "")
        reasons = {row["reason"] for row in await facts.owner_log()}
        assert reasons <= {"unowned", "handover", "renew"}  # nobody was taken for dead
        await unnoticed(business)


def later_migrations() -> list[str]:
    return [m.name for m in migrate.migrations() if m.version > BEFORE.newest]


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
