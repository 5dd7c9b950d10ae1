"""`warouter up`: one run to a data directory."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import ONE, Start
from warouter.errors import CommandError
from warouter.local.cluster import Cluster
from warouter.local.options import UpOptions


async def test_a_second_run_on_a_data_directory_is_refused_and_does_no_harm(start: Start) -> None:
    cluster, business = await start(**ONE)
    assert cluster.postgres is not None
    assert cluster.about_postgres.startswith("PostgreSQL 18.")
    postgres, before = cluster.postgres.pid, (cluster.folder / "cluster.json").read_bytes()
    second = Cluster(UpOptions(data_dir=cluster.folder, port=0, tls=False))
    with pytest.raises(CommandError, match=r"A cluster runs on .* already"):
        await second.start()
    await second.stop()
    assert cluster.postgres.alive()
    assert cluster.postgres.pid == postgres
    assert (cluster.folder / "cluster.json").read_bytes() == before
    await business.call("GET", "/v1/account/shards")
    # It may be used again once the first has ended.
    await cluster.stop()
    third = Cluster(UpOptions(data_dir=cluster.folder, port=0, tls=False, coreapps=1, masters=1))
    try:
        await third.start()
    finally:
        await third.stop()


async def test_without_a_number_there_are_coreapps_for_the_shards_of_the_database(
    start: Start,
) -> None:
    cluster, business = await start(shards=1, masters=1)
    assert _count(cluster, "coreapp") == 3
    await business.set_shards(4)
    await cluster.stop()
    again = Cluster(UpOptions(data_dir=cluster.folder, port=0, tls=False, masters=1))
    try:
        await again.start()
        assert _count(again, "coreapp") == 5
    finally:
        await again.stop()


def _count(cluster: Cluster, role: str) -> int:
    return sum(1 for p in cluster.processes.values() if p.role == role)
