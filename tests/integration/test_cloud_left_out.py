"""What customers write while somebody else answers them: kept and shown, or called back."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.harness.webhooks import NUMBER, Webhook, inbox_of, status, text
from tests.unit.upstream.cloud.samples import change, entry, envelope
from warouter.store.cloud.notices import read_notices
from warouter.upstream.cloud.batch import Modes
from warouter.upstream.cloud.inbound import to_v1


def posted(field: str, **parts: Any) -> bytes:
    metadata = {"phone_number_id": NUMBER}
    return envelope(entry(change(field, **{"metadata": metadata, **parts})))


STANDBY = posted("standby", messages=[text("wamid.1"), text("wamid.2")])


async def left_out(pool: asyncpg.Pool) -> dict[str, int]:
    return {row["field"]: row["count"] for row in await pool.fetch("table cloud_left_out")}


async def test_standby_is_kept_counted_and_shown(hook: Webhook, pool: asyncpg.Pool) -> None:
    assert await hook.post(STANDBY) == 200
    assert await hook.post(STANDBY) == 200  # Meta repeats
    assert await inbox_of(pool) == []
    assert await pool.fetchval("select count(*) from cloud_kept where field = 'standby'") == 1
    assert await left_out(pool) == {"standby": 4}
    assert hook.listener.left_out["standby"] == 4
    (said,) = await read_notices(pool, 1)
    assert str(said).startswith("Meta sent standby at ")
    assert str(said).endswith("4 so far, no callback (kept, WAROUTER_CLOUD_STANDBY decides)")


async def test_statuses_of_standby_are_evidence(hook: Webhook, pool: asyncpg.Pool) -> None:
    assert await hook.post(posted("standby", statuses=[status("wamid.3")])) == 200
    assert await pool.fetchval("select wamid from cloud_unmatched") == "wamid.3"
    assert await left_out(pool) == {}


@pytest.mark.parametrize(("mode", "marked"), [("mark", True), ("pass", False)])
async def test_standby_is_called_back(
    hook: Webhook, pool: asyncpg.Pool, mode: str, marked: bool
) -> None:
    hook.listener._modes = Modes(standby=mode)
    assert await hook.post(STANDBY) == 200
    rows = await inbox_of(pool)
    assert [row["wamid"] for row in rows] == ["wamid.1", "wamid.2"]
    told = to_v1(rows[0]["payload"], b"", rows[0]["recipient"])
    assert told is not None
    assert (b'"standby":true' in told.payload) == marked
    assert await left_out(pool) == {}


async def test_unknown_fields_are_counted_by_name_and_no_more_than_fifty(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    for n in range(60):
        assert await hook.post(posted(f"of_year_{n}")) == 200
    found = await left_out(pool)
    assert len(found) == 51
    assert found["other"] == 10
    assert hook.listener.left_out["unknown"] == 60
    assert "not kept" in str((await read_notices(pool, 1))[0])


async def test_kept_webhooks_are_pruned_with_the_messages(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    assert await hook.post(STANDBY) == 200
    await pool.execute("update cloud_kept set at = now() - interval '31 days'")
    assert await hook.post(posted("messaging_handovers", handover={})) == 200
    kept = await pool.fetch("select field from cloud_kept")
    assert [row["field"] for row in kept] == ["messaging_handovers"]


async def test_a_kept_webhook_is_committed_before_the_answer(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    await pool.execute("alter table cloud_kept rename to away")
    assert await hook.post(STANDBY) == 503
    await pool.execute("alter table away rename to cloud_kept")
    assert await hook.post(STANDBY) == 200
