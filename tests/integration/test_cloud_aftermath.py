"""What an owner counts of requests that were answered with an error of Meta's own (Q13)."""

from __future__ import annotations

import asyncpg
import pytest

from tests.harness.cloud_owned import (
    CloudSlots,
    Request,
    Script,
    hear,
    owning_cloud,
    refused,
    settled,
    taken,
)
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.upstream.cloud.graph.exchange import Exchanged


def first_then_taken(code: int, status: int) -> Script:
    """The first attempt is answered so, all others are taken."""

    def script(request: Request) -> Exchanged | None:
        return refused(code, status)(request) if request.attempt == 1 else taken(request)

    return script


def counted(me: CloudSlots) -> tuple[dict[int, int], dict[tuple[int, str], int]]:
    after = me.end._remote.aftermath
    return dict(after.answers), dict(after.statuses)


@pytest.mark.parametrize(("code", "status"), [(131016, 500), (133004, 503), (2, 503)])
async def test_a_refused_attempt_that_was_sent_is_counted(
    settings: Settings, pool: asyncpg.Pool, code: int, status: int
) -> None:
    """It goes again as its second attempt; then a status of the first one comes, too."""
    async with owning_cloud(settings, pool, first_then_taken(code, status)) as me:
        message = me.message()
        await me.begun(2)
        await hear(pool, (message, 2))
        await settled(pool)
        assert counted(me) == ({code: 1}, {})
        for _ in range(2):
            await hear(pool, (message, 1), "sent")
        await hear(pool, (message, 1), "delivered")
        await soon(lambda: counted(me)[1] == {(code, "sent"): 1, (code, "delivered"): 1})


@pytest.mark.parametrize("code", [1, 131000])
async def test_a_status_that_ends_a_doubt_is_counted(
    settings: Settings, pool: asyncpg.Pool, code: int
) -> None:
    async with owning_cloud(settings, pool, refused(code, 500)) as me:
        message = me.message()
        await me.begun(1)
        await soon(lambda: counted(me)[0] == {code: 1})
        await hear(pool, (message, 1), "sent")
        await settled(pool)
        assert counted(me) == ({code: 1}, {(code, "sent"): 1})


async def test_other_answers_are_not_counted(settings: Settings, pool: asyncpg.Pool) -> None:
    async with owning_cloud(settings, pool, first_then_taken(130429, 400)) as me:
        message = me.message()
        await me.begun(2)
        await hear(pool, (message, 1), "sent")
        await hear(pool, (message, 2), "sent")
        await settled(pool)
        assert counted(me) == ({}, {})
