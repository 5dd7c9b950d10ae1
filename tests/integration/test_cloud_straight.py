"""Statuses that webapps hand to an owner over the link: on disk in one commit, or left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import pytest

from tests.harness.cloud_owned import (
    CloudSlots,
    OfferingWebapp,
    cut,
    hear,
    issues,
    owning_cloud,
    refused,
    settled,
    shown,
    silent,
    taken,
)
from tests.harness.owned import ME
from tests.harness.wait import soon
from warouter.cluster.role import SlotEvent
from warouter.config import Settings
from warouter.errors import OutcomeUnknown
from warouter.store.journal import Journal

INBOX_WAS_USED = "select is_called from cloud_inbox_n_seq"
PROVEN = "select count(*) from upstream_id where wamid = $1"


class GatedJournal(Journal):
    """Commits of events wait while the ``gate`` is shut, and then are in vain if it ``fails``."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, ME, "test")
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0
        self.fails = False

    async def append_events(self, *given: Any) -> Any:
        await self._passes()
        return await super().append_events(*given)

    async def append_endings(self, *given: Any) -> Any:
        await self._passes()
        return await super().append_endings(*given)

    async def _passes(self) -> None:
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        if self.fails:
            raise OutcomeUnknown("the connection broke")


class Offering(NamedTuple):
    """An owner whose only message is settled, and a webapp that hears of it."""

    me: CloudSlots
    message: bytes
    webapp: OfferingWebapp


@asynccontextmanager
async def offering(
    settings: Settings, pool: asyncpg.Pool, journal: GatedJournal | None = None
) -> AsyncIterator[Offering]:
    """What follows waits at the gate of the ``journal``, if there is one."""
    async with owning_cloud(settings, pool, journal=journal) as me:
        message = me.message()
        await settled(pool)
        if journal is not None:
            journal.gate.clear()
        yield Offering(me, message, OfferingWebapp(me))


async def test_statuses_of_an_answered_message_need_no_inbox(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with offering(settings, pool) as (_, message, webapp):
        for status in ("sent", "delivered", "read"):
            assert await webapp.answered(webapp.offer((message, 1), status=status)) == []
        assert await shown(pool, message) == ["sent", "delivered", "read"]
        assert not await pool.fetchval(INBOX_WAS_USED)


async def test_a_status_that_came_to_another_number_is_left(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with offering(settings, pool) as (_, message, webapp):
        assert await webapp.answered(webapp.offer((message, 1), came_to=2)) == [0]
        assert await shown(pool, message) == []
        assert await webapp.answered(webapp.offer((message, 1))) == []


async def test_a_status_before_the_answer_is_one_commit_with_the_end_of_its_message(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as me:
        message = me.message()
        [request] = await me.begun(1)
        webapp = OfferingWebapp(me)
        assert await webapp.answered(webapp.offer((message, 1))) == []
        assert await shown(pool, message) == ["sent"]
        assert await issues(pool) == []
        assert await pool.fetchval(PROVEN, request.wamid) == 1
        request.answer.set_result(taken(request))
        await settled(pool)
        assert not me.end._remote.acks._proofs  # nothing is left to be written


async def test_a_message_that_was_read_before_its_answer_is_proven_once_and_then_forgotten(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owning_cloud(settings, pool, silent) as me:
        proofs: list[Any] = []
        monkeypatch.setattr(me.end._remote.acks, "prove", lambda *proof: proofs.append(proof))
        message = me.message()
        [request] = await me.begun(1)
        webapp = OfferingWebapp(me)
        for status in ("sent", "read"):
            assert await webapp.answered(webapp.offer((message, 1), status=status)) == []
        me.end.drain._let_go(me.slot)
        request.answer.set_result(taken(request))
        await soon(lambda: me.end.sender.requests.answers["taken"] == 1)
        assert proofs == []
        await soon(lambda: message not in me.slot.recent)


@pytest.mark.parametrize(("fails", "left"), [(False, []), (True, [0])])
async def test_an_offer_is_answered_once_its_commit_has_ended(
    settings: Settings, pool: asyncpg.Pool, fails: bool, left: list[int]
) -> None:
    """If nobody knows how, the webapp stores it for the next epoch."""
    journal = GatedJournal(settings)
    async with offering(settings, pool, journal) as (_, message, webapp):
        number = webapp.offer((message, 1))
        await soon(lambda: journal.waiting == 1)
        assert webapp.left == {}
        journal.fails = fails
        journal.gate.set()
        assert await webapp.answered(number) == left


async def test_a_repeat_waits_for_its_original(settings: Settings, pool: asyncpg.Pool) -> None:
    """Over the link and in the inbox: if the original is lost, somebody has to have it."""
    journal = GatedJournal(settings)
    async with offering(settings, pool, journal) as (me, message, webapp):
        first = webapp.offer((message, 1))
        await soon(lambda: journal.waiting == 1)
        second = webapp.offer((message, 1))
        await hear(pool, (message, 1))
        await soon(lambda: bool(me.end.drain._waiting))
        assert webapp.left == {}
        journal.gate.set()
        assert [await webapp.answered(n) for n in (first, second)] == [[], []]
        await soon(lambda: pool.fetchval("select not exists (select from cloud_inbox)"))
        assert await shown(pool, message) == ["sent"]


async def test_a_slot_that_closes_leaves_what_it_was_offered(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    journal = GatedJournal(settings)
    async with offering(settings, pool, journal) as (me, message, webapp):
        numbers = [webapp.offer((message, 1)) for _ in range(2)]
        await soon(lambda: journal.waiting == 1)
        me.ownership.close(me.slot, SlotEvent.DOUBTED)
        assert [webapp.left[number] for number in numbers] == [[0], [0]]
        journal.gate.set()


async def test_a_status_that_v1_has_not_is_answered_once_what_it_proves_is_on_disk(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as me:
        message = me.message()
        [request] = await me.begun(1)
        webapp = OfferingWebapp(me)
        assert await webapp.answered(webapp.offer((message, 1), status="played")) == []
        assert await pool.fetchval(PROVEN, request.wamid) == 1
        assert await shown(pool, message) == []


async def test_statuses_never_go_back_whichever_way_they_come(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with offering(settings, pool) as (_, message, webapp):
        assert await webapp.answered(webapp.offer((message, 1), status="delivered")) == []
        await hear(pool, (message, 1), "sent")
        await soon(lambda: pool.fetchval("select not exists (select from cloud_inbox)"))
        await hear(pool, (message, 1), "read")
        await soon(lambda: pool.fetchval("select not exists (select from cloud_inbox)"))
        assert await shown(pool, message) == ["delivered", "read"]


async def test_an_owner_leaves_what_it_does_not_know_by_heart(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with offering(settings, pool) as (me, message, webapp):
        known, unknown, second = (message, 1), (bytes((1, 3)) + bytes(18), 1), (message, 2)
        mixed = webapp.offer(unknown, known, second)
        assert await webapp.answered(mixed) == [0, 2]
        former = webapp.offer((message, 1), status="read", epoch=me.slot.epoch - 1)
        assert await webapp.answered(former) == [0]
        await me.renew(pool)
        await soon(lambda: me.slot.claimed)
        anew = webapp.offer((message, 1), status="read")
        assert await webapp.answered(anew) == [0]
        assert await shown(pool, message) == ["sent"]


@pytest.mark.parametrize("script", [cut, refused(131026)])
async def test_an_owner_leaves_statuses_of_messages_that_were_not_plainly_taken(
    settings: Settings, pool: asyncpg.Pool, script: Any
) -> None:
    async with owning_cloud(settings, pool, script) as me:
        message = me.message()
        [request] = await me.begun(1)
        await soon(lambda: me.slot.issues.fails(message) or me.slot.issues.doubted(message))
        webapp = OfferingWebapp(me)
        assert await webapp.answered(webapp.offer(request.ref)) == [0]
