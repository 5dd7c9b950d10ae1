"""Users of WhatsApp in webhooks: their numbers, aliases, and ids that change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.harness.journals import ME, an_id
from tests.harness.webhooks import Webhook, inbox_of, status, text, webhook
from warouter._hash import slot_of
from warouter.config import Settings
from warouter.link.wire import OfferedStatus
from warouter.store.journal import Journal
from warouter.upstream.cloud.identity import alias_of
from warouter.upstream.cloud.reference import reference

ANN, NUMBER_OF_ANN = "US.1122334455", "15550001111"
USERS = "select user_id, wa_id, alias, successor from contact_identity"


async def test_an_alias_until_the_number_is_known(hook: Webhook, pool: asyncpg.Pool) -> None:
    alias = alias_of(ANN)
    hidden = text("wamid.1", sender="", from_user_id=ANN)
    assert await hook.post(webhook(messages=[hidden])) == 200
    shown = text("wamid.2", from_user_id=ANN)
    assert await hook.post(webhook(messages=[shown])) == 200
    hidden = text("wamid.3", sender="", from_user_id=ANN)
    assert await hook.post(webhook(messages=[hidden])) == 200
    found = {row["key"]: (row["recipient"], row["slot"]) for row in await inbox_of(pool)}
    told = f"w1.revealed.{alias}.{NUMBER_OF_ANN}"
    assert found == {
        "wamid.1": (alias, slot_of(alias)),
        "wamid.2": (NUMBER_OF_ANN, slot_of(NUMBER_OF_ANN)),
        "wamid.3": (NUMBER_OF_ANN, slot_of(NUMBER_OF_ANN)),
        told: (alias, slot_of(alias)),
    }
    user = await pool.fetchrow("select wa_id, alias from contact_identity")
    assert tuple(user) == (NUMBER_OF_ANN, alias)


async def test_another_users_alias_is_given_to_nobody_else(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        "insert into contact_identity (user_id, alias) values ('US.other', $1)", alias_of(ANN)
    )
    hidden = text("wamid.1", sender="", from_user_id=ANN)
    assert await hook.post(webhook(messages=[hidden])) == 200
    (row,) = await inbox_of(pool)
    assert row["recipient"] == alias_of(ANN, 1)


async def test_a_number_moves_to_its_new_user(hook: Webhook, pool: asyncpg.Pool) -> None:
    for wamid, user in (("wamid.1", ANN), ("wamid.2", "US.2")):
        assert await hook.post(webhook(messages=[text(wamid, from_user_id=user)])) == 200
    rows = await pool.fetch("select user_id, wa_id from contact_identity order by user_id")
    assert [tuple(row) for row in rows] == [(ANN, None), ("US.2", NUMBER_OF_ANN)]


@pytest.mark.parametrize(("days", "written"), [(29, False), (31, True)])
async def test_a_user_that_is_seen_is_written_once_in_30_days(
    settings: Settings, pool: asyncpg.Pool, days: int, written: bool
) -> None:
    """By a webapp that has just begun, and by an owner that was answered."""
    journal = Journal(settings, ME, "test")
    await journal.learn([(1, ANN, NUMBER_OF_ANN)])
    aged = f"update contact_identity set seen_at = now() - interval '{days} days'"
    lately = "select seen_at > now() - interval '1 day' from contact_identity"
    async with beside_owners(settings) as (hook, _owners):
        await pool.execute(aged)
        await hook.post(webhook(messages=[text("wamid.1", from_user_id=ANN)]))
        assert await pool.fetchval(lately) == written
    await pool.execute(aged)
    await journal.learn([(1, ANN, NUMBER_OF_ANN)])
    assert await pool.fetchval(lately) == written
    await journal.close()


async def test_a_user_gets_another_id(hook: Webhook, pool: asyncpg.Pool) -> None:
    hidden = text("wamid.1", sender="", from_user_id=ANN)
    assert await hook.post(webhook(messages=[hidden])) == 200
    system = {"type": "user_changed_number", "wa_id": "15550003333", "user_id": "US.77"}
    system["previous_user_id"] = ANN
    moved = {"id": "wamid.2", "timestamp": "1764000005", "type": "system", "system": system}
    assert await hook.post(webhook(messages=[moved])) == 200
    rows = await pool.fetch(f"{USERS} where successor is null")
    assert [tuple(row) for row in rows] == [("US.77", "15550003333", alias_of(ANN), None)]
    assert {row["recipient"] for row in await inbox_of(pool)} == {alias_of(ANN)}


async def test_a_user_whose_number_changes_is_found_by_the_former_one(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    assert await hook.post(webhook(messages=[text("wamid.1", from_user_id=ANN)])) == 200
    system = {"type": "user_changed_number", "wa_id": "15550003333", "user_id": "US.77"}
    moved = text("wamid.2", type="system", system=system)
    assert await hook.post(webhook(messages=[moved])) == 200
    rows = await pool.fetch(f"{USERS} order by user_id")
    assert [tuple(row) for row in rows] == [
        (ANN, None, None, "US.77"),
        ("US.77", "15550003333", None, None),
    ]


def renaming(wamid: str, former: str, now: str) -> dict[str, Any]:
    system = {"type": "user_changed_user_id", "user_id": now, "previous_user_id": former}
    return {"id": wamid, "timestamp": "1764000005", "type": "system", "system": system}


async def test_a_former_id_stands_for_its_successor(hook: Webhook, pool: asyncpg.Pool) -> None:
    alias = alias_of(ANN)
    assert await hook.post(webhook(messages=[text("wamid.1", sender="", from_user_id=ANN)])) == 200
    together = [
        renaming("wamid.2", ANN, "US.77"),
        text("wamid.3", sender="", from_user_id=ANN),
        text("wamid.4", sender="15550009999"),
    ]
    assert await hook.post(webhook(messages=together)) == 200
    late = text("wamid.5", sender="", from_user_id=ANN)
    again = text("wamid.6", sender="", from_user_id="US.77")
    assert await hook.post(webhook(messages=[late, again])) == 200
    assert {row["key"]: row["recipient"] for row in await inbox_of(pool)} == {
        **{f"wamid.{n}": alias for n in (1, 2, 3, 5, 6)},
        "wamid.4": "15550009999",
    }
    assert not hook.posts.counts["unfit"]


async def test_a_field_of_former_webhooks_renames_too(hook: Webhook, pool: asyncpg.Pool) -> None:
    """A commit takes several POSTs: what follows a renaming in one may be in the same commit."""
    assert await hook.post(webhook(messages=[text("wamid.1", sender="", from_user_id=ANN)])) == 200
    update = {"timestamp": 1764000005, "user_id": {"current": "US.77", "previous": ANN}}
    changes = [
        json.loads(body)["entry"][0]["changes"][0]
        for body in (
            webhook(field="user_id_update", user_id_update=[update]),
            webhook(messages=[text("wamid.2", sender="", from_user_id=ANN)]),
        )
    ]
    entry = {"id": "1", "changes": changes}
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    assert await hook.post(json.dumps(body).encode()) == 200
    assert {row["recipient"] for row in await inbox_of(pool)} == {alias_of(ANN)}


async def test_ids_change_again_and_back_on_disk(hook: Webhook, pool: asyncpg.Pool) -> None:
    alias = alias_of(ANN)
    assert await hook.post(webhook(messages=[text("wamid.1", sender="", from_user_id=ANN)])) == 200
    ways = [(ANN, "US.77"), ("US.77", "US.78"), ("US.78", ANN)]
    found = []
    for n, (former, now) in enumerate(ways):
        assert await hook.post(webhook(messages=[renaming(f"wamid.r{n}", former, now)])) == 200
        rows = await pool.fetch(f"{USERS} order by user_id")
        found.append({row["user_id"]: row["successor"] for row in rows})
        (known,) = [row for row in rows if row["successor"] is None]
        assert (known["user_id"], known["alias"]) == (now, alias)
    assert found == [
        {ANN: "US.77", "US.77": None},
        {ANN: "US.78", "US.77": "US.78", "US.78": None},
        {ANN: None, "US.77": ANN, "US.78": ANN},
    ]


async def test_a_webapp_that_missed_a_renaming_changes_nothing(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    """Another webapp has read the users just before."""
    assert await hook.post(webhook(messages=[text("wamid.1", from_user_id=ANN)])) == 200
    assert await hook.post(webhook(messages=[renaming("wamid.2", ANN, "US.77")])) == 200
    before = await pool.fetch(f"{USERS} order by user_id")
    await pool.execute(
        "select learn_identities('{}', '{}', '{}', array[1], array[$1], array[$2], array[null],"
        " array[null], array[null], array['Ann'])",
        ANN,
        NUMBER_OF_ANN,
    )
    assert await pool.fetch(f"{USERS} order by user_id") == before


async def test_two_aliases_of_one_user_stand_for_the_id_of_now(
    hook: Webhook, pool: asyncpg.Pool, journal: Journal
) -> None:
    hidden = [text(f"wamid.{user}", sender="", from_user_id=user) for user in (ANN, "US.77")]
    assert await hook.post(webhook(messages=hidden)) == 200
    assert await hook.post(webhook(messages=[renaming("wamid.2", ANN, "US.77")])) == 200
    aliases = [alias_of(ANN), alias_of("US.77")]
    assert await journal.users_of(1, aliases) == dict.fromkeys(aliases, "US.77")


@pytest.mark.parametrize(("shows", "recipients"), [("raw", [ANN]), ("drop", [])])
async def test_users_without_a_number_by_other_choices(
    settings: Settings, pool: asyncpg.Pool, shows: str, recipients: list[str]
) -> None:
    hook = Webhook(settings, shows)
    await hook.open()
    hidden = text("wamid.1", sender="", from_user_id=ANN)
    assert await hook.post(webhook(messages=[hidden])) == 200
    assert [row["recipient"] for row in await inbox_of(pool)] == recipients
    assert hook.posts.counts["dropped"] == (shows == "drop")
    await hook.close()


class Owners:
    """Owners that have every status on disk at once."""

    def __init__(self) -> None:
        self.offered: list[OfferedStatus] = []

    async def offer(self, statuses: Sequence[OfferedStatus]) -> set[tuple[int, str]]:
        self.offered += statuses
        return {each.unique for each in statuses}


@asynccontextmanager
async def beside_owners(settings: Settings) -> AsyncIterator[tuple[Webhook, Owners]]:
    """A listener that offers statuses to owners."""
    owners = Owners()
    hook = Webhook(settings, owners=owners)
    await hook.open()
    try:
        yield hook, owners
    finally:
        await hook.close()


async def test_users_are_learned_once_from_statuses_that_owners_store(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with beside_owners(settings) as (hook, owners):
        told = {"reference": reference(an_id(1, slot=3), 1), "recipient_user_id": ANN}
        await hook.post(webhook(statuses=[status("wamid.1", **told)]))
        assert [tuple(row) for row in await pool.fetch(USERS)] == [(ANN, NUMBER_OF_ANN, None, None)]
        await pool.execute("delete from contact_identity")
        assert await hook.post(webhook(statuses=[status("wamid.1", name="read", **told)])) == 200
        assert await pool.fetch(USERS) == []  # nothing was written again
    assert [each.key.split(":")[1] for each in owners.offered] == ["sent", "read"]
    assert await inbox_of(pool) == []


async def test_failures_and_what_is_none_of_ours_are_offered_to_nobody(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with beside_owners(settings) as (hook, owners):
        ours = reference(an_id(1, slot=3), 1)
        failed = status("wamid.1", reference=ours, name="failed")
        foreign = status("wamid.2")
        said = text("wamid.3")
        assert await hook.post(webhook(statuses=[failed, foreign], messages=[said])) == 200
    assert owners.offered == []
    assert {row["key"].split(":")[0] for row in await inbox_of(pool)} == {"wamid.1", "wamid.3"}
