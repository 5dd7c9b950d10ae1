"""PostgreSQL fails over while messages go to the Cloud API: nothing goes that is not on disk."""

from __future__ import annotations

import signal

from tests.cluster.conftest import Start
from tests.harness.meta import CLOUD, scene_of
from tests.harness.standby import Pair
from warouter.message_id import parse, text_of

ENVIRONMENT = {
    "WAROUTER_HOLD": "25",
    # Longer than Meta needs to repeat what it could not tell while no commit was answered.
    "WAROUTER_CLOUD_DOUBT_SECONDS": "10",
    "WAROUTER_CLOUD_RATE": "200",
}
KNOWN = "select id from message where id = any($1::bytea[])"


async def test_accepted_messages_are_in_the_journal_of_the_new_primary(
    pair: Pair, start: Start
) -> None:
    """D12. Guards the issue row in the append's transaction, and that a request begins after that
    commit is known: with a synchronous standby no acceptance is without its row.
    """
    await pair.synchronous()
    options = {"shards": 2, "coreapps": 2, "masters": 1, **CLOUD}
    cluster, business = await start(**options, environment=pair.environment | ENVIRONMENT)
    async with scene_of(cluster, business) as scene:
        await scene.use(latency_ms=20, latency_most_ms=100)
        business.start(recipients=24)
        await business.more(150)
    await pair.end_primary(signal.SIGKILL)
    await pair.promote()
    await pair.follow()  # until then no commit is answered
    await business.more(100)
    await business.stop()
    await business.all_called_back()
    async with scene_of(cluster, business) as scene:
        await scene.settled()
        record = await scene.record()
        accepted = [parse(i) for ids in record["ids"].values() for i in ids]
        known = {row["id"] for row in await scene.facts.connection.fetch(KNOWN, accepted)}
        assert [text_of(i) for i in accepted if i not in known] == []
        assert (record["duplicates"], record["inversions"]) == ([], 0)
        history = business.history
        for recipient, ids in history.acked.items():
            # What was acknowledged is a part of what was accepted: some answers were lost.
            assert [i for i in record["ids"][recipient] if i in history.number] == ids
