"""The database is lost under traffic and restored to a point in time, as docs/backup.md says.

What was accepted before that time is sent, or has a status; what was accepted after it is gone, and
counted; nothing is repeated but what the documents say.
"""

from __future__ import annotations

import asyncio
import json
import time

from tests.deploy.backup import document, target
from tests.deploy.backup.installation import Installation, installed
from tests.deploy.backup.target import Sides, sides, stored
from tests.deploy.needs import unless
from tests.harness.facts import OPEN_CURSORS, Facts, handed_out_twice
from tests.harness.history import History
from tests.harness.invariants import violations
from tests.harness.wait import soon

pytestmark = unless("systemd-nspawn", "mmdebstrap", "ip")

RATE = 60.0
RECIPIENTS = 120
# More comes in than the number may send, so that some is unsent at any time.
CLOUD_RATE, SLOWER = 30.0, {"WAROUTER_CLOUD_RATE": "20"}
HELD = "select count(*) from warouter.send_issue where state = 3"
RAISED = "select not exists (select from slot where owner is null or epoch >> 32 <> 2)"


async def test_the_cluster_runs_on_and_finds_itself_in_the_past() -> None:
    """The original upstream drops what comes again under an old id, so no process is stopped."""
    async with installed(RATE) as here:
        business, history = here.business, here.business.history
        await business.faults(throttle=0.3, throttle_ms=1500)  # some wait at any time
        noted, goal, noted_after = await both_sides(here)
        async with Facts(here.cluster) as facts:
            old_log = await facts.owner_log()
        disaster = time.monotonic()
        here.server.lose_data()
        await here.restored(goal.text)
        await here.brought_forward(noted, noted_after)
        known = set(history.number)
        await business.more(1)
        print(f"without a 201 for {history.answered[-1] - disaster:.1f} s")
        async with Facts(here.cluster) as facts:
            await soon(lambda: facts.connection.fetchval(RAISED))
            await business.more(300)
            await business.stop()
            found = sides(history, goal, disaster)
            later = history.since(known)
            await business.all_called_back(among=later.acked)
            await facts.until_none(OPEN_CURSORS)
            record = await business.record()
            await judged(facts, found, history, record["ids"])
            assert (record["stale"], record["conflicts"]) == (0, 0)
            assert handed_out_twice(old_log, await facts.owner_log()) == []
            # Seqs that went with the target are given again, so that they tell nothing here.
            later.on_record(record | {"inversions": 0})
            assert violations(later) == []
        print(f"sent again, and dropped by their ids: {record['repeats']}")
        refused(history)


async def test_with_the_cloud_api_what_is_unsent_is_held() -> None:
    """The machine is lost with its disk. Meta knows no old ids: an operator decides."""
    async with installed(CLOUD_RATE, SLOWER, upstream="cloud-simulator") as here:
        business, history = here.business, here.business.history
        await business.faults(level=0, pair_s=0)
        noted, goal, noted_after = await both_sides(here)
        disaster = time.monotonic()
        here.server.lose_machine()
        await asyncio.gather(business.stop(), here.stop())
        await here.restored(goal.text)
        await here.brought_forward(noted, noted_after)
        here.server.sql(document.hold(), "warouter")
        held = int(here.server.sql(HELD, "warouter"))
        known = set(history.number)
        await here.start()
        business.start(RECIPIENTS)
        await business.more(300)
        await business.stop()
        failed, resent = await decided(here)
        async with Facts(here.cluster) as facts:
            await facts.until_none("select count(*) from send_issue")
            await facts.until_none(OPEN_CURSORS)
            found = sides(history, goal, disaster)
            later = history.since(known)
            await business.all_called_back(among=later.acked)
            await business.called_back("read", *resent)
            await business.called_back("failed", *failed)
            record = await business.record()
            await judged(facts, found, history, record["ids"])
        print(
            f"held: {held}; the word on {len(failed)} was that they failed,"
            f" on {len(resent)} that they go again"
        )
        twice = {row["id"] for row in record["duplicates"]}
        print(f"taken twice: {len(twice)}")
        assert held
        assert twice <= resent
        assert record["same_reference"] == 0
        refused(history)


async def both_sides(here: Installation) -> tuple[str, target.Target, str]:
    """Messages before a full backup, beside it, up to a target and after it, all of it archived;
    the target, with the newest row of the audit log before and after it.
    """
    business = here.business
    business.start(RECIPIENTS)
    await business.more(200)
    await here.backed_up()
    await business.more(200)
    noted = await here.noted()
    goal = await target.now(here.server)
    await business.more(400)
    noted_after = await here.noted()
    await asyncio.to_thread(here.server.archive)
    return noted, goal, noted_after


async def judged(
    facts: Facts, found: Sides, history: History, record: dict[str, list[str]]
) -> None:
    """What is in the database and what arrived, of both sides of the target."""
    arrived = {i for ids in record.values() for i in ids}
    assert found.after, "nothing was accepted after the target: nothing is shown"
    assert await stored(facts.connection, found.before) == found.before
    assert await stored(facts.connection, found.after) == set()
    told = {i for i in found.before if history.statuses[i]}
    assert found.before - arrived - told == set()
    lost = found.after - arrived
    print(f"accepted before the target: {len(found.before)}, all stored, sent or told")
    print(
        f"accepted after it: {len(found.after)}, gone from the database;"
        f" {len(lost)} of them reached nobody: {' '.join(sorted(lost)[:5])}"
    )


async def decided(here: Installation) -> tuple[set[str], set[str]]:
    """The operator's word on what is held: failed, or again where nobody has heard of it."""
    listed = json.loads(await here.warouter("doubt", "list", "--json"))
    held = {row["id"] for row in listed if row["state"] == "held"}
    told = {i for i in held if here.business.history.statuses[i]}
    if told:
        await here.warouter("doubt", "fail", *told)
    if held - told:
        await here.warouter("doubt", "resend", *(held - told))
    return told, held - told


def refused(history: History) -> None:
    """Nobody was told anything but to try again later."""
    print(f"503: {len(history.errors)}, no answer: {len(history.unknown)}")
    assert {status for _, status, _ in history.errors} <= {503}
