"""`warouter up`: one run to a data directory."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import Start
from warouter.errors import CommandError
from warouter.local.cluster import Cluster, Options

pytestmark = pytest.mark.timeout(120)


async def test_a_second_run_on_a_data_directory_is_refused_and_does_no_harm(start: Start) -> None:
    cluster, business = await start(shards=1, coreapps=1, masters=1)
    assert cluster.postgres is not None
    postgres, before = cluster.postgres.pid, (cluster.folder / "cluster.json").read_bytes()
    second = Cluster(Options(data_dir=cluster.folder, port=0, tls=False))
    with pytest.raises(CommandError, match=r"A cluster runs on .* already"):
        await second.start()
    await second.stop()
    assert cluster.postgres.alive()
    assert cluster.postgres.pid == postgres
    assert (cluster.folder / "cluster.json").read_bytes() == before
    await business.call("GET", "/v1/account/shards")
    # It may be used again once the first has ended.
    await cluster.stop()
    third = Cluster(Options(data_dir=cluster.folder, port=0, tls=False, coreapps=1, masters=1))
    try:
        await third.start()
    finally:
        await third.stop()
