"""A message that the upstream was told, and never answered for: the customer may have it."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg
import pytest

from tests.harness.owned import ME, RECIPIENT, Granting, Slots, owning
from tests.harness.postgres import until
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.link.wire import Message
from warouter.message_id import mint
from warouter.owner import backlog, sender


def owner(
    settings: Settings, upstream: Granting | None = None
) -> AbstractAsyncContextManager[Slots]:
    """Whose upstream answers for no message."""
    return owning(settings, upstream or Granting(answers=False))


async def told_and_parked(settings: Settings, pool: asyncpg.Pool) -> None:
    """Two messages to a recipient are parked: one that was told, and one behind it."""
    await pool.execute("update slot set owner = $1, epoch = 11 where slot = 3", ME)
    upstream = Granting(answers=False)
    async with owner(settings, upstream) as slots:
        for n, ttl in enumerate((600, 30_000)):
            message_id, body = mint(3, 1, bytes([n] * 12)), memoryview(b"{}")
            message = Message(3, 11, message_id, 0, RECIPIENT, body, ttl, None)
            slots.appender.on_messages(slots, [message])
        await until(pool, "select count(*) >= 2 from parked_message")
        assert len(upstream.sent) >= 2
        assert len({message.id for message in upstream.sent}) == 1


async def older(pool: asyncpg.Pool, by: str) -> None:
    await pool.execute(f"update message set accepted_at = accepted_at - interval '{by}'")


async def ended(pool: asyncpg.Pool, count: int) -> list[Any]:
    """The errors of so many statuses."""
    await until(pool, "select count(*) >= $1 from event", count)
    found = await pool.fetch("select convert_from(payload, 'utf8') as said from event order by seq")
    return [json.loads(row["said"])["errors"][0] for row in found]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(sender, "UNANSWERED_MS", 300)
    monkeypatch.setattr(sender, "PARK_AFTER_TRIES", 2)


@pytest.mark.usefixtures("hasty")
async def test_its_ttl_does_not_end_it_but_a_day_does(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await told_and_parked(settings, pool)
    await older(pool, "1 hour")
    upstream = Granting(answers=False)
    async with owner(settings, upstream):  # another one reads it in the row
        await soon(lambda: len(upstream.sent) >= 3)
        assert await pool.fetchval("select count(*) from event") == 0
        await older(pool, "1 day")
        first, behind = await ended(pool, 2)
    assert (first["code"], first["details"]) == (
        408,
        "the upstream never answered for this message",
    )
    assert (behind["code"], behind["title"]) == (410, "Message expired")


@pytest.mark.usefixtures("hasty")
async def test_without_the_word_in_its_row_the_ttl_would_end_it(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build without the mechanism."""
    await told_and_parked(settings, pool)
    await older(pool, "1 hour")
    monkeypatch.setattr(backlog, "TOLD", "nobody reads it")
    async with owner(settings):
        [first] = await ended(pool, 1)
    assert first["details"] == "the ttl passed before the message could be sent"
