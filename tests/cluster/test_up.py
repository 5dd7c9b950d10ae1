"""`warouter up`: one run to a data directory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.conftest import running
from tests.harness.business import Business
from warouter.errors import CommandError
from warouter.local.cluster import Cluster
from warouter.local.options import UpOptions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("up")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    async with running(shards=1, masters=1) as (_, business):
        yield business


def another(cluster: Cluster) -> Cluster:
    """Of one more run on the same folder."""
    return Cluster(UpOptions(data_dir=cluster.folder, port=0, tls=False, masters=1))


async def test_a_second_run_on_a_data_directory_is_refused_and_does_no_harm(
    business: Business,
) -> None:
    cluster = business.cluster
    assert cluster.postgres is not None
    assert cluster.about_postgres.startswith("PostgreSQL 18.")
    postgres, before = cluster.postgres.pid, (cluster.folder / "cluster.json").read_bytes()
    second = another(cluster)
    with pytest.raises(CommandError, match=r"A cluster runs on .* already"):
        await second.start()
    await second.stop()
    assert cluster.postgres.alive()
    assert cluster.postgres.pid == postgres
    assert (cluster.folder / "cluster.json").read_bytes() == before
    await business.call("GET", "/v1/account/shards")


async def test_without_a_number_there_are_coreapps_for_the_shards_of_the_database(
    business: Business,
) -> None:
    """In a second run, which may use the folder once the first has ended."""
    cluster = business.cluster
    assert _count(cluster, "coreapp") == 3
    await business.set_shards(4)
    await cluster.stop()
    again = another(cluster)
    try:
        await again.start()
        assert _count(again, "coreapp") == 5
    finally:
        await again.stop()


def _count(cluster: Cluster, role: str) -> int:
    return sum(1 for p in cluster.processes.values() if p.role == role)
