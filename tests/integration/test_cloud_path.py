"""What a listener says of the way on which webhooks come: that it listens, and its gaps."""

from __future__ import annotations

import asyncpg
import pytest

from tests.harness.postgres import until
from tests.harness.wait import soon
from tests.harness.webhooks import Webhook, text, webhook
from warouter.store.cloud import posts

PATH = "select * from cloud_path where webapp = $1"


async def path_of(hook: Webhook, pool: asyncpg.Pool) -> asyncpg.Record:
    row = await pool.fetchrow(PATH, hook.incarnation)
    assert row is not None
    return row


async def test_a_listener_says_that_it_listens(hook: Webhook, pool: asyncpg.Pool) -> None:
    """While nothing comes, too; and when it has stopped."""
    first = await path_of(hook, pool)
    later = await soon(lambda: newer(hook, pool, first))
    assert later["since"] == first["since"]
    assert later["meta_at"] is None
    assert await hook.post(webhook(messages=[text("wamid.1")])) == 200
    said = await until(
        pool,
        "select extract(epoch from meta_at)::bigint from cloud_path where inbound > 0",
    )
    assert said == 1764000004
    assert (await path_of(hook, pool))["left_at"] is None
    await hook.posts.close()
    assert (await path_of(hook, pool))["left_at"] is not None


async def newer(hook: Webhook, pool: asyncpg.Pool, than: asyncpg.Record) -> asyncpg.Record | None:
    row = await path_of(hook, pool)
    return row if row["seen_at"] > than["seen_at"] else None


IN_VAIN = "select vain_at is not null from cloud_path"


@pytest.mark.parametrize(
    ("body", "secret", "may_be_meta"),
    [
        (webhook(messages=[text("wamid.1")]), "wrong", True),  # names our number
        (webhook(number="other", messages=[text("wamid.1")]), "wrong", False),
        (webhook(messages=[text("wamid.1")]), None, False),
    ],
    ids=["ours", "another's", "unsigned"],
)
async def test_webhooks_that_meta_may_have_sent_in_vain_are_a_gap(
    hook: Webhook,
    pool: asyncpg.Pool,
    body: bytes,
    secret: str | None,
    may_be_meta: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(posts, "TOUCH_SECONDS", 0.05)
    first = await path_of(hook, pool)
    assert await hook.post(body, secret=secret) == 401
    if may_be_meta:
        await until(pool, IN_VAIN)
    else:
        later = await soon(lambda: newer(hook, pool, first))
        later = await soon(lambda: newer(hook, pool, later))
        assert later["vain_at"] is None
    assert (await path_of(hook, pool))["since"] == first["since"]


async def test_strangers_requests_are_no_gap_once_meta_has_sent(
    hook: Webhook, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posts, "TOUCH_SECONDS", 0.05)
    first = await path_of(hook, pool)
    body = webhook(messages=[text("wamid.1")])
    assert await hook.post(body, secret="wrong") == 401
    await until(pool, IN_VAIN)
    assert await hook.post(body) == 200
    await until(pool, "select vain_at is null from cloud_path")
    assert (await path_of(hook, pool))["since"] == first["since"]


async def test_a_webhook_refused_before_its_secret_came_is_a_gap(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    first = await path_of(hook, pool)
    body = webhook(messages=[text("wamid.1")])
    assert await hook.post(body, secret="new") == 401
    hook.secrets = [*hook.secrets, "new"]
    assert await hook.post(body, secret="wrong") == 401
    assert await hook.post(body, secret="new") == 200
    later = await soon(lambda: newer(hook, pool, first))
    assert later["since"] > first["since"]
    assert later["vain_at"] is None


async def test_a_post_that_was_not_committed_begins_a_new_time(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    first = await path_of(hook, pool)
    await pool.execute("alter table cloud_inbox rename to away")
    assert await hook.post(webhook(messages=[text("wamid.1")])) == 503
    later = await soon(lambda: newer(hook, pool, first))
    assert later["since"] > first["since"]


async def test_silence_begins_a_new_time(hook: Webhook, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "update cloud_path set since = since - interval '1 min', seen_at = seen_at - interval '6 s'"
    )
    first = await path_of(hook, pool)
    later = await soon(lambda: newer(hook, pool, first))
    assert later["since"] > first["since"]
