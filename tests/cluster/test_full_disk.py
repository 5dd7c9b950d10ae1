"""PostgreSQL's disk is full under traffic: clear refusals, and no accepted message is lost."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.cluster.conftest import PAIR, running
from tests.harness import disk
from tests.harness.wait import soon
from warouter.local.postgres import Postgres

HOLD_SECONDS = 1.0
MEBIBYTES = 256
# Of a server that reserves next to nothing for later.
FRUGAL = {"min_wal_size": "32MB", "max_wal_size": "64MB", "wal_recycle": "off"}


async def revived(postgres: Postgres) -> None:
    """One whose WAL had no room ends, and is started by `warouter up` as soon as it can be."""
    if not postgres.alive():
        await asyncio.to_thread(postgres.start)


@disk.needs_mounts
async def test_a_full_disk_of_the_database_costs_no_accepted_message() -> None:
    async with AsyncExitStack() as stack:
        folders: list[Path] = []

        def on_a_small_disk(cluster: object) -> None:
            folder: Path = cluster.folder / "postgres"  # type: ignore[attr-defined]
            folders.append(folder)
            stack.enter_context(disk.small(folder, MEBIBYTES))

        more = {"environment": {"WAROUTER_HOLD": f"{HOLD_SECONDS:g}"}, "postgres": FRUGAL}
        cluster, business = await stack.enter_async_context(
            running(on_a_small_disk, rate=100.0, **PAIR, **more)
        )
        assert cluster.postgres is not None
        pids = {p.name: p.pid for p in cluster.processes.values()}
        business.start()
        await business.more(200)
        with disk.full(folders[0]):
            await business.until(lambda: len(business.history.errors) >= 20)
        await revived(cluster.postgres)
        await business.more(200)
        await business.stop()
        await business.all_called_back()
        said = business.history.errors
        assert {status for _, status, _ in said} == {503}
        assert all('"code":1011' in text or '"code":1016' in text for _, _, text in said)
        assert business.history.unknown == []
        record = await business.record()
        assert (record["inversions"], record["stale"]) == (0, 0)
        await soon(lambda: {p.name: p.pid for p in cluster.processes.values()} == pids)
