"""Messages in doubt without any death: what is accepted, how often, and how the doubt ends.

The rows of the table in docs/testing.md that need no process to die. The window is 2 s.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.conftest import ONE, on_cloud
from tests.harness.meta import Scene, ids_of
from tests.harness.shell import outcome
from tests.harness.wait import soon
from warouter._hash import slot_of
from warouter.message_id import parse

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("cloud_doubt")]

WINDOW = 2.0
HELD_BACK = 1000.0  # longer than any test: it says itself what Meta holds back
OF_ALL = ("sent", "delivered", "read")
FEW = 4  # unclear answers that do not set the brake: it takes five
ENVIRONMENT = {"WAROUTER_CLOUD_DOUBT_SECONDS": f"{WINDOW:g}", "WAROUTER_CLOUD_RATE": "1000"}
DOUBTED, HELD = 2, 3


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster() -> AsyncIterator[Scene]:
    async with on_cloud(**ONE, environment=ENVIRONMENT) as scene:
        yield scene


@pytest_asyncio.fixture(loop_scope="module")
async def scene(scene: Scene) -> AsyncIterator[Scene]:
    """Customers write, so that the way of webhooks is proven."""
    async with scene.pulse():
        yield scene


async def test_a_message_whose_answer_was_lost_is_sent_once(scene: Scene) -> None:
    """D2. Guards ``client._judge`` (what has no answer is DOUBT), ``endings.evidence``."""
    await scene.use(drop_after=1.0)
    sent = await scene.load(scene.recipients(20), each=2)
    await scene.once_in_order(sent)
    assert len(scene.said_of("message doubted", ids_of(sent))) == 40
    assert all(row["attempt"] == 1 for row in await scene.requests(*ids_of(sent)))


async def test_a_message_that_was_not_taken_goes_again_after_the_window(scene: Scene) -> None:
    """D3. Guards ``flow.doubt.verdict`` (RESEND, and not before the window)."""
    await scene.use(drop_before=1.0)
    sent = await scene.load(scene.recipients(FEW))
    await scene.asked(*ids_of(sent))
    await scene.use(drop_before=0.0)
    await scene.once_in_order(sent)
    for message_id in ids_of(sent):
        first, second = await scene.requests(message_id)
        assert (first["attempt"], second["attempt"]) == (1, 2)
        assert second["begun"] - first["answered"] >= WINDOW


@pytest.mark.parametrize("kind", ["131000", "502", "200", "redirect", "large", "endless"])
async def test_an_answer_that_says_nothing_of_a_taken_message(scene: Scene, kind: str) -> None:
    """D7, D2. Guards ``answers.judge``: an error of unknown meaning, a page, no JSON, another host,
    too much of it. The token goes nowhere else: ``test_the_token_goes_nowhere_by_a_redirect``.
    """
    await scene.use(fail_after=1.0, fail_after_as=kind)
    sent = await scene.load(scene.recipients(10))
    await scene.once_in_order(sent)
    assert len(scene.said_of("message doubted", ids_of(sent))) == 10


async def test_an_error_of_unknown_meaning_before_the_message_was_taken(scene: Scene) -> None:
    """D7, D3: 131000 is in doubt, 131016 in Graph's own words is none and goes again at once."""
    await scene.use(fail_before=1.0, fail_before_as="131000")
    unclear = await scene.load(scene.recipients(FEW // 2))
    await scene.asked(*ids_of(unclear))
    await scene.use(fail_before_as="131016")
    clear = await scene.load(scene.recipients(FEW // 2))
    await scene.asked(*ids_of(clear))
    await scene.use(fail_before=0.0)
    await scene.once_in_order({**unclear, **clear})
    assert len(scene.said_of("message doubted", ids_of(unclear))) == len(unclear)
    assert scene.said_of("message doubted", ids_of(clear)) == []


async def test_late_evidence_shows_both_attempts_of_a_message(
    scene: Scene,
) -> None:
    """D4, D11. Guards ``Drain._note_twice``, the wamid as key of ``upstream_id``, and that
    statuses of two attempts are one stream (``flow.statuses.show``).
    """
    before = await scene.metric("warouter_cloud_duplicates_total")
    await scene.use(drop_after=1.0, hold_dropped_s=HELD_BACK)
    late = await scene.load(scene.recipients(4))
    await scene.asked(*ids_of(late))
    await scene.use(drop_after=0.0)
    others = await scene.load(scene.recipients(20), each=2)
    await scene.once_in_order(others)
    await scene.asked(*ids_of(late), times=2)
    await scene.tell(OF_ALL, *ids_of(late))
    await scene.ended(*ids_of(late))
    await soon(lambda: len(scene.said_of("message taken twice", ids_of(late))) == 4)
    twice = (await scene.record())["duplicates"]
    found = {one["id"]: one["attempts"] for one in twice if one["id"] in ids_of(late)}
    assert found == {i: [1, 2] for i in ids_of(late)}
    for to, (message_id,) in late.items():
        query = "select wamid, attempt from upstream_id where id = $1 order by attempt"
        rows = await scene.facts.connection.fetch(query, parse(message_id))
        assert [(r["wamid"], r["attempt"]) for r in rows] == [
            (r["wamid"], r["attempt"]) for r in await scene.requests(message_id)
        ], to
        assert scene.shown(message_id) == ("sent", "delivered", "read")

    async def counted() -> bool:
        return await scene.metric("warouter_cloud_duplicates_total") == before + 4

    await soon(counted)


async def test_with_another_policy_nothing_goes_twice(scene: Scene) -> None:
    """D4 with ``fail`` and ``hold``. Guards ``verdict``, what is shown after it, and that evidence
    ends what is held (``endings.evidence``).
    """
    await scene.use(drop_after=1.0, hold_dropped_s=HELD_BACK)
    failing = await scene.load(scene.recipients(4), asks={"Warouter-In-Doubt": "fail"})
    holding = await scene.load(scene.recipients(2), asks={"Warouter-In-Doubt": "hold"})
    await scene.asked(*ids_of(failing), *ids_of(holding))
    await scene.use(drop_after=0.0)
    await scene.in_state(HELD, *ids_of(holding))
    await scene.business.called_back("failed", *ids_of(failing))
    for message_id in ids_of(failing):
        error = scene.business.failure(message_id)
        assert error["code"] == 500
        assert error["details"] == "outcome unknown, not sent again"
    await scene.tell(OF_ALL, *ids_of(failing), *ids_of(holding))
    proven = "select count(*) from upstream_id where id = any($1::bytea[])"
    ids = [parse(i) for i in ids_of(failing)]

    async def heard() -> bool:  # the statuses that came too late are read
        return bool(await scene.facts.connection.fetchval(proven, ids) == 4)

    await soon(heard)
    await scene.once_in_order(holding)
    assert all(scene.shown(i) == ("failed",) for i in ids_of(failing))
    attempts = [await scene.attempts(i) for i in (*ids_of(failing), *ids_of(holding))]
    assert attempts == [[1]] * 6


async def test_evidence_that_comes_while_the_resend_is_refused(scene: Scene) -> None:
    """D14: between the resend and its 130429. Guards that evidence ends QUEUED, too."""
    await scene.use(drop_after=1.0, hold_dropped_s=HELD_BACK)
    sent = await scene.load(scene.recipients(4))
    await scene.asked(*ids_of(sent))
    await scene.use(drop_after=0.0, throttle=1.0)
    await scene.asked(*ids_of(sent), times=2)
    await scene.tell(OF_ALL, *ids_of(sent))
    await scene.ended(*ids_of(sent))
    before = [await scene.attempts(i) for i in ids_of(sent)]
    await scene.use(throttle=0.0)
    behind = await scene.load(sent)
    await scene.ended(*ids_of(behind))
    accepted = (await scene.record())["ids"]
    assert all(accepted[to] == [*sent[to], *behind[to]] for to in sent)
    assert [await scene.attempts(i) for i in ids_of(sent)] == before


async def test_evidence_that_is_on_disk_before_the_resend_is_issued(scene: Scene) -> None:
    """D14: between the window and the resend. Guards the look of ``issue_requests`` into
    ``upstream_id``: the owner itself has not heard of it.
    """
    await scene.use(drop_before=1.0)
    (to,) = scene.recipients(1)
    first = await scene.post(to)
    await scene.asked(first)
    await scene.use(drop_before=0.0)
    behind = await scene.post(to)
    await scene.in_state(DOUBTED, first)
    # Older than the doubt: else it proved, as a message without a status, that webhooks are late.
    await scene.facts.connection.execute(
        "insert into upstream_id (wamid, slot, id, attempt, at)"
        " values ($1, $2, $3, 1, now() - interval '1 hour')",
        f"wamid.{first}",
        slot_of(to),
        parse(first),
    )
    await scene.ended(behind)
    assert await scene.attempts(first) == [1]


async def test_nothing_goes_again_while_webhooks_cannot_come(scene: Scene) -> None:
    """D17: no listener from the doubt on; Meta repeats what it could not tell. Guards ``Proving``:
    silence says nothing while nobody listens. What a gap counts is tested with ``flow.proof``.
    """
    webapp = scene.cluster.processes["webapp-1"]
    # The answers are lost long after the requests were taken: the listener is gone by then.
    when = {"sent_ms": 2600, "delivered_ms": 2700, "read_ms": 2800, "latency_ms": 2500}
    await scene.use(retry_ms=3000, retry_most_s=3, drop_after=1.0, **when)
    sent = await scene.load(scene.recipients(20))
    await scene.asked(*ids_of(sent))
    await webapp.stop()
    await soon(lambda: scene.said_of("message doubted", ids_of(sent)))
    await scene.use(drop_after=0.0, latency_ms=0)
    await asyncio.sleep(1.5 * WINDOW)  # what was sent again by now would be too early
    await scene.cluster.again(webapp)
    await scene.once_in_order(sent)
    assert all(row["attempt"] == 1 for row in await scene.requests(*ids_of(sent)))


async def test_nothing_goes_again_while_meta_tells_nobody_anything(scene: Scene) -> None:
    """D4b, but for the blind hours: half of the answers are lost, and all webhooks are late by
    three windows. Guards the cohort of ``flow.proof``: those that were answered have no status.
    """
    await scene.use(drop_after=0.5, outage_s=3 * WINDOW, retry_ms=100, retry_most_s=0.1)
    sent = await scene.load(scene.recipients(40))
    await scene.once_in_order(sent)
    assert scene.said_of("message doubted", ids_of(sent))
    assert all(row["attempt"] == 1 for row in await scene.requests(*ids_of(sent)))


async def test_the_ttl_of_a_message_in_doubt(scene: Scene) -> None:
    """7.3.7: it ends as 410 that tells of the doubt. Guards ``Doubts._decide`` (``ttl_over``)."""
    await scene.use(drop_before=1.0)
    (to,) = scene.recipients(1)
    message_id = await scene.post(to, ttl=1)
    await scene.asked(message_id)
    await scene.use(drop_before=0.0)
    behind = await scene.post(to)
    await scene.ended(behind)
    error = scene.business.failure(message_id)
    assert (error["code"], error["details"].startswith("outcome unknown")) == (410, True)
    assert await scene.attempts(message_id) == [1]


class TestTheOperator:
    """What is held waits for a word of ``warouter doubt``."""

    async def test_lists_shows_sends_and_fails_what_is_held(self, scene: Scene) -> None:
        to = scene.recipients(2)
        await scene.use(drop_before=1.0)
        await scene.use(hold_webhooks_s=3600)  # nothing proves that they come: the doubt goes on
        sent = await scene.load(to, asks={"Warouter-In-Doubt": "hold"})
        again, given_up = ids_of(sent)
        await scene.asked(again, given_up)
        await scene.use(drop_before=0.0)
        await scene.in_state(DOUBTED, again, given_up)
        refused = await self._doubt(scene, "resend", again)
        assert (refused[0], "in doubt" in refused[2]) == (1, True), refused
        await scene.calm()
        await scene.in_state(HELD, again, given_up)
        listed = await self._listed(scene)
        assert {(one["id"], one["recipient"], one["state"], one["attempt"]) for one in listed} == {
            (again, to[0], "held", 1),
            (given_up, to[1], "held", 1),
        }
        assert all(one["since"] and one["ends"] and one["cause"] for one in listed)
        code, text, _ = await self._doubt(scene, "show", again)
        assert (code, again in text, "held" in text) == (0, True, True)
        # Those behind it go on: its order is given up.
        await scene.business.called_back("read", await scene.post(to[0]))
        assert (await self._doubt(scene, "resend", again))[0] == 0
        assert (await self._doubt(scene, "fail", given_up))[0] == 0
        await scene.ended(again)
        await scene.ended(given_up, status="failed")
        assert await scene.attempts(again) == [1, 2]
        assert await scene.attempts(given_up) == [1]
        assert scene.business.failure(given_up)["details"] == "outcome unknown, not sent again"
        assert await self._listed(scene) == []

    async def _listed(self, scene: Scene) -> list[dict[str, Any]]:
        code, text, complaint = await self._doubt(scene, "list", "--json")
        assert code == 0, complaint
        found: list[dict[str, Any]] = json.loads(text)
        return found

    async def _doubt(self, scene: Scene, *arguments: str) -> tuple[int, str, str]:
        return await outcome(scene.cluster.folder, "doubt", *arguments)
