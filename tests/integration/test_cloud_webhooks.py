"""Webhooks of the Cloud API over real sockets into a real database."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.journals import an_id
from tests.harness.postgres import PATIENT, until
from tests.harness.wait import soon
from tests.harness.webhooks import (
    OLD_SECRET,
    VERIFY,
    Webhook,
    get,
    inbox_of,
    post,
    status,
    text,
    webhook,
)
from warouter._hash import slot_of
from warouter.config import Settings
from warouter.store.cloud import posts
from warouter.store.cloud.receive import ListenerState, Written
from warouter.store.database import connect, listen
from warouter.store.journal import Journal
from warouter.upstream.cloud.batch import INBOUND, STATUS, Element
from warouter.upstream.cloud.identity import alias_of
from warouter.upstream.cloud.listener import MOST_BYTES
from warouter.upstream.cloud.reference import reference

ID = an_id(1, slot=3)
REFERENCE = reference(ID, 2)
ORDER = 'order by f.key collate "C"'
SLOWLY = """
create function slowly() returns trigger language plpgsql
    as $$ begin perform pg_sleep(0.005); return new; end $$;
create trigger slowly before insert on cloud_inbox for each row execute function slowly()"""
ANN, NUMBER_OF_ANN = "US.1122334455", "15550001111"
USERS = "select user_id, wa_id, alias, successor from contact_identity"


@pytest_asyncio.fixture
async def hook(settings: Settings) -> AsyncIterator[Webhook]:
    hook = Webhook(settings)
    await hook.open()
    yield hook
    await hook.close()


# What is answered


async def test_the_handshake_echoes_the_challenge(hook: Webhook) -> None:
    query = f"hub.mode=subscribe&hub.challenge=11588%3C42&hub.verify_token={VERIFY}"
    heard = await hook.ask(get(f"/cloud/webhook?{query}"))
    assert (heard.status, heard.body) == (200, b"11588<42")
    assert heard.fields["content-type"].startswith("text/plain")
    assert heard.fields["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong",
        "hub.mode=subscribe&hub.challenge=1",
        f"hub.mode=other&hub.challenge=1&hub.verify_token={VERIFY}",
        f"hub.mode=subscribe&hub.challenge=&hub.verify_token={VERIFY}",
        f"hub.mode=subscribe&hub.challenge={'1' * 300}&hub.verify_token={VERIFY}",
        f"hub.mode=subscribe&hub.challenge=1&hub.verify_token={VERIFY}" + "&a=1" * 50,
    ],
)
async def test_any_other_handshake_is_refused(hook: Webhook, query: str) -> None:
    assert (await hook.ask(get(f"/cloud/webhook?{query}"))).status == 403


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get("/"), 404),
        (get("/v1/health"), 404),
        (post(b"{}", path="/v1/messages"), 404),
        (post(b"{}", path="/cloud/webhook/"), 404),
        (b"PUT /cloud/webhook HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"HEAD /cloud/webhook HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"POST /cloud/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
    ],
)
async def test_nothing_else_is_served(hook: Webhook, request_: bytes, expected: int) -> None:
    heard = await hook.ask(request_)
    assert (heard.status, heard.last) == (expected, True)


async def test_without_a_signature_no_body_is_read(hook: Webhook) -> None:
    line = await hook.connect()
    whole = post(b"x" * 1000, secret=None)
    line.say(whole[: whole.index(b"\r\n\r\n") + 4])  # and never a byte of the body
    heard = await line.hear()
    assert (heard.status, heard.last) == (401, True)
    assert await line.ended()
    assert hook.listener.counts == Counter({"unsigned": 1})


async def test_a_flood_of_strangers_costs_no_signed_post_its_answer(hook: Webhook) -> None:
    flooding = True

    async def flood() -> None:
        while flooding:
            heard = await hook.ask(post(b"x" * 10_000, secret=None))
            assert (heard.status, heard.last) == (401, True)

    strangers = [asyncio.create_task(flood()) for _ in range(40)]
    answers = [await hook.post(webhook(messages=[text(f"wamid.{n}")])) for n in range(50)]
    flooding = False
    await asyncio.gather(*strangers)
    assert set(answers) == {200}
    assert hook.listener.counts["unsigned"] > 50
    assert hook.posts.counts == Counter({"inbound": 50})


async def test_a_wrong_signature_is_refused(hook: Webhook, pool: asyncpg.Pool) -> None:
    body = webhook(messages=[text("wamid.1")])
    heard = await hook.ask(post(body, secret="wrong"))
    assert (heard.status, heard.last) == (401, True)
    assert hook.listener.counts == Counter({"wrong_signature": 1})
    assert await inbox_of(pool) == []


async def test_both_secrets_are_in_force_while_they_rotate(hook: Webhook) -> None:
    body = webhook(messages=[text("wamid.1")])
    assert await hook.post(body) == 200
    assert await hook.post(body, secret=OLD_SECRET) == 200
    hook.secrets = hook.secrets[:1]
    assert await hook.post(body, secret=OLD_SECRET) == 401


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_has_a_limit(hook: Webhook, chunked: bool) -> None:
    line = await hook.connect()
    whole = post(b"x" * (MOST_BYTES + 1))
    head = whole[: whole.index(b"\r\n\r\n") + 4]
    if chunked:
        head = head.replace(b"Content-Length: 4194305", b"Transfer-Encoding: chunked")
        line.say(head + b"1\r\nx\r\n")
        line.say(b"%x\r\n" % (MOST_BYTES + 1) + b"x" * MOST_BYTES)
    else:
        line.say(head)
    heard = await line.hear()
    assert (heard.status, heard.last) == (413, True)
    assert hook.listener.counts == Counter({"too_large": 1})


async def test_a_body_in_chunks_and_in_pieces(hook: Webhook, pool: asyncpg.Pool) -> None:
    body = webhook(messages=[text("wamid.1")])
    whole = post(body).replace(
        f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked"
    )
    head = whole[: whole.index(b"\r\n\r\n") + 4]
    parts = (body[:7], body[7:100], body[100:])
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    line = await hook.connect()
    for byte in head + chunks:
        line.say(bytes([byte]))
        await asyncio.sleep(0)
    assert (await line.hear()).status == 200
    assert len(await inbox_of(pool)) == 1


async def test_a_connection_serves_one_post_after_the_other(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    line = await hook.connect()
    line.say(post(webhook(messages=[text("wamid.1")])))
    assert not (await line.hear()).last
    # Two at once: the second is read when the first is answered.
    line.say(post(webhook(messages=[text("wamid.2")])) + post(webhook(messages=[text("wamid.3")])))
    assert [(await line.hear()).status for _ in range(2)] == [200, 200]
    line.say(post(webhook(messages=[text("wamid.4")]), Connection="close"))
    heard = await line.hear()
    assert (heard.status, heard.last) == (200, True)
    assert await line.ended()
    assert [row["key"] for row in await inbox_of(pool)] == [f"wamid.{n}" for n in (1, 2, 3, 4)]


async def test_expect_100_continue_is_answered(hook: Webhook) -> None:
    body = webhook(messages=[text("wamid.1")])
    whole = post(body, Expect="100-continue")
    line = await hook.connect()
    line.say(whole[: -len(body)])
    assert await line.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.say(body)
    assert (await line.hear()).status == 200


async def test_what_is_signed_and_useless_is_taken(hook: Webhook, pool: asyncpg.Pool) -> None:
    assert await hook.post(b"no JSON") == 200
    assert await hook.post(webhook(number="123456123", messages=[text("wamid.1")])) == 200
    assert await hook.post(webhook(field="new_field")) == 200
    assert await hook.post(webhook(field="account_update", event="DISABLED_UPDATE")) == 200
    assert hook.listener.counts == Counter({"unreadable": 1, "taken": 3})
    assert hook.posts.counts == Counter({"foreign_number": 1, "unknown_field": 1})
    rows = await pool.fetch("select reason, body from cloud_quarantine")
    assert [row["body"] for row in rows] == [b"no JSON"]
    assert await inbox_of(pool) == []


async def test_why_elements_are_unreadable_is_said_once_a_minute(
    hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert await hook.post(webhook(messages=[{}, 5, text("wamid.1")])) == 200
    [said] = [r for r in caplog.records if r.message == "webhook elements skipped"]
    assert (vars(said)["count"], vars(said)["reason"]) == (2, "a message has no id")
    assert hook.posts.counts["unreadable"] == 4


async def test_of_what_is_unreadable_the_newest_hundred_are_kept(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    for number in range(103):
        await hook.posts.keep("a reason", b"%d" % number)
    rows = await pool.fetch("select body from cloud_quarantine order by id")
    assert [row["body"] for row in rows] == [b"%d" % number for number in range(3, 103)]


async def test_what_notices_ask_for_is_passed_on(
    hook: Webhook, settings: Settings, pool: asyncpg.Pool
) -> None:
    await pool.execute("insert into cloud_number (level) values (80)")
    heard: list[str] = []
    connection = await connect(settings, "test")
    await listen(connection, heard.append)
    for field in ("account_update", "message_template_status_update"):
        assert await hook.post(webhook(field=field)) == 200
    await soon(lambda: heard == ["cloud templates"])
    assert await pool.fetchval("select read_at > '-infinity' from cloud_number")
    assert await pool.fetchval("select field from cloud_notice") == "account_update"
    assert hook.listener.notices["account_update"] == 1
    assert await hook.post(webhook(field="phone_number_quality_update")) == 200
    await soon(lambda: heard == ["cloud templates", "cloud level"])
    assert await pool.fetchval("select read_at = '-infinity' from cloud_number")
    await connection.close()


async def test_a_captured_post_is_never_news_again(
    hook: Webhook, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    body = webhook(messages=[text("wamid.1")], statuses=[status("wamid.2", reference=REFERENCE)])
    hook.now += 60 * 86_400.0
    assert await hook.post(body) == 200
    assert await inbox_of(pool) == []
    assert hook.posts.counts == Counter({"old": 2})
    [said] = [r for r in caplog.records if r.message == "webhook elements skipped"]
    assert vars(said)["count"] == 2
    hook.now -= (60 - 7.9) * 86_400  # Meta repeats for seven days
    assert await hook.post(body) == 200
    assert len(await inbox_of(pool)) == 2


async def test_a_notice_is_stored_before_the_answer(hook: Webhook, pool: asyncpg.Pool) -> None:
    await pool.execute("alter table cloud_notice rename to away")
    assert await hook.post(webhook(field="account_update")) == 503
    assert hook.listener.notices["account_update"] == 0
    await pool.execute("alter table away rename to cloud_notice")
    assert await hook.post(webhook(field="account_update")) == 200
    assert await pool.fetchval("select count(*) from cloud_notice") == 1


async def test_what_is_said_of_another_account_is_kept_beside_ours(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    assert await hook.post(webhook(field="account_update", event="DISABLED_UPDATE")) == 200
    assert await hook.post(webhook(field="account_update", account="2", event="OTHER")) == 200
    said = {row["field"]: row["said"] for row in await pool.fetch("select * from cloud_notice")}
    assert set(said) == {"account_update", "account_update of account 2"}
    assert "DISABLED_UPDATE" in said["account_update"]


# What is stored


async def test_a_status_whose_id_becomes_known_later_than_an_hour_is_heard_of(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    for name in ("sent", "failed"):
        assert await hook.post(webhook(statuses=[status("wamid.1", name=name)])) == 200
    assert await hook.post(webhook(statuses=[status("wamid.2")])) == 200
    await pool.execute("update cloud_unmatched set at = at - interval '7 days'")
    await pool.execute(
        "insert into upstream_id (wamid, slot, id, attempt) values ('wamid.1', 3, $1, 2)", ID
    )
    rows = await inbox_of(pool)
    assert [(row["slot"], row["id"], row["attempt"], row["key"]) for row in rows] == [
        (3, ID, 2, f"wamid.1:{name}:1764000000") for name in ("failed", "sent")
    ]
    assert await pool.fetchval("select wamid from cloud_unmatched") == "wamid.2"


async def test_a_status_goes_to_the_slot_of_its_reference(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    sent = status("wamid.1", reference=REFERENCE)
    assert await hook.post(webhook(statuses=[sent])) == 200
    (row,) = await inbox_of(pool)
    assert (row["slot"], row["kind"], row["id"], row["attempt"]) == (3, STATUS, ID, 2)
    assert row["key"] == "wamid.1:sent:1764000000"
    assert (row["wamid"], row["recipient"]) == ("wamid.1", "15550001111")
    assert hook.posts.counts == Counter({"status": 1})


async def test_a_status_without_one_is_looked_up_by_its_wamid(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        "insert into upstream_id (wamid, slot, id, attempt) values ('wamid.2', 3, $1, 2)", ID
    )
    statuses = [status(f"wamid.{n}") for n in (3, 2, 1)]
    statuses.append(status("wamid.0", reference=REFERENCE))
    assert await hook.post(webhook(statuses=statuses)) == 200
    found = {row["wamid"]: (row["slot"], row["id"], row["attempt"]) for row in await inbox_of(pool)}
    assert found == {"wamid.2": (3, ID, 2), "wamid.0": (3, ID, 2)}
    rows = await pool.fetch("select wamid, key, recipient from cloud_unmatched order by key")
    assert [tuple(row) for row in rows] == [
        (f"wamid.{n}", f"wamid.{n}:sent:1764000000", "15550001111") for n in (1, 3)
    ]
    assert hook.posts.counts == Counter({"status": 4, "unmatched": 2})


async def test_an_inbound_message_goes_to_the_slot_of_its_sender(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    contact = {"profile": {"name": "Ann"}, "wa_id": NUMBER_OF_ANN, "user_id": ANN}
    body = webhook(contacts=[contact], messages=[text("wamid.1")])
    assert await hook.post(body) == 200
    (row,) = await inbox_of(pool)
    assert (row["slot"], row["kind"], row["key"]) == (slot_of(NUMBER_OF_ANN), INBOUND, "wamid.1")
    assert row["recipient"] == NUMBER_OF_ANN
    assert b'"Ann"' in row["contact"]
    user = await pool.fetchrow("select wa_id, alias, name from contact_identity")
    assert tuple(user) == (NUMBER_OF_ANN, None, "Ann")


async def test_messages_of_one_commit_keep_their_order(hook: Webhook, pool: asyncpg.Pool) -> None:
    sent = ["wamid.b", "wamid.c", "wamid.a"]
    assert await hook.post(webhook(messages=[text(wamid) for wamid in sent])) == 200
    assert [row["key"] for row in await inbox_of(pool)] == sent


async def test_what_comes_again_is_stored_once(hook: Webhook, pool: asyncpg.Pool) -> None:
    body = webhook(messages=[text("wamid.1")], statuses=[status("wamid.2", reference=REFERENCE)])
    assert [await hook.post(body) for _ in range(3)] == [200, 200, 200]
    assert len(await inbox_of(pool)) == 2
    assert hook.posts.counts == Counter({"inbound": 3, "status": 3, "repeated": 4})


async def test_errors_of_the_number_go_to_slot_0(hook: Webhook, pool: asyncpg.Pool) -> None:
    assert await hook.post(webhook(errors=[{"code": 131035, "title": "t"}])) == 200
    (row,) = await inbox_of(pool)
    assert (row["slot"], row["recipient"]) == (0, None)


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


async def test_what_comes_under_an_id_of_the_past_is_of_its_successor(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
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
        "select learn_identities('{}', array[$1], array[$2], array[null], array[null],"
        " array[null], array['Ann'])",
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
    assert await journal.users_of(aliases) == dict.fromkeys(aliases, "US.77")


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


# Commits


async def test_posts_gather_while_a_commit_is_in_flight(hook: Webhook, pool: asyncpg.Pool) -> None:
    """What PostgreSQL holds back costs one commit more, however many posts wait."""
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute(PATIENT)
            await connection.execute("lock table cloud_inbox in share mode")
            bodies = [webhook(messages=[text(f"wamid.{n}")]) for n in range(20)]
            asked = [asyncio.create_task(hook.post(bodies[0]))]
            await soon(lambda: hook.posts._bytes and not hook.posts._waiting)
            asked += [asyncio.create_task(hook.post(body)) for body in bodies[1:]]
            await soon(lambda: len(hook.posts._waiting) == 19)
            assert not any(task.done() for task in asked)  # nothing is committed
        assert await asyncio.gather(*asked) == [200] * 20
    assert len({row["at"] for row in await inbox_of(pool)}) == 2


async def test_what_is_not_committed_is_answered_503(hook: Webhook, pool: asyncpg.Pool) -> None:
    await pool.execute("alter table cloud_inbox rename to away")
    body = webhook(messages=[text("wamid.1")])
    assert await hook.post(body) == 503
    await pool.execute("alter table away rename to cloud_inbox")
    assert await hook.post(body) == 200
    assert hook.listener.counts == Counter({"unavailable": 1, "taken": 1})


async def test_a_session_that_is_ended_costs_a_503(hook: Webhook, pool: asyncpg.Pool) -> None:
    body = webhook(messages=[text("wamid.1")])
    assert await hook.post(body) == 200
    await pool.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'wa:test:webhook'"
    )
    assert await hook.post(body) in (200, 503)
    assert await hook.post(body) == 200


async def test_beyond_what_may_wait_posts_are_refused(
    hook: Webhook, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posts, "MOST_BYTES", 150)
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute(PATIENT)
            await connection.execute("lock table cloud_inbox in share mode")
            first = asyncio.create_task(hook.post(webhook(messages=[text("wamid.1")])))
            await soon(lambda: hook.posts._bytes)
            assert await hook.post(webhook(messages=[text("wamid.2")])) == 503
        assert await first == 200
    assert await hook.post(webhook(messages=[text("wamid.2")])) == 200


async def test_what_postgresql_cannot_take_costs_nothing_else(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    """The reader of webhooks lets no such thing pass; should it one day, the rest goes on."""
    elements = [Element(kind=INBOUND, key=f"{n}", wa_id="15550001111", raw=b"{}") for n in "abcd"]
    elements[2] = Element(kind=INBOUND, key="\0", wa_id="15550001111", raw=b"odd")
    await hook.posts._write(elements)
    assert sorted(row["key"] for row in await inbox_of(pool)) == ["a", "b", "d"]
    assert await pool.fetchval("select body from cloud_quarantine") == b"odd"


REFUSING = """
create function refusing() returns trigger language plpgsql as $$
begin
    if new.key = 'wamid.2' then raise unique_violation using message = 'taken'; end if;
    return new;
end $$;
create trigger refusing before insert on cloud_inbox for each row execute function refusing()"""


async def test_an_element_that_breaks_a_constraint_costs_no_other(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    await pool.execute(REFUSING)
    bodies = [webhook(messages=[text(f"wamid.{n}")]) for n in range(4)]
    assert await asyncio.gather(*map(hook.post, bodies)) == [200] * 4
    assert sorted(row["key"] for row in await inbox_of(pool)) == ["wamid.0", "wamid.1", "wamid.3"]
    assert b"wamid.2" in await pool.fetchval("select body from cloud_quarantine")
    assert hook.posts.counts["unfit"] == 1


async def test_a_defect_that_one_element_meets_costs_no_other(
    hook: Webhook, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered 503, as a later build may take it."""
    write = hook.inbox.write

    async def broken(elements: Sequence[Element], said: ListenerState | None) -> Written:
        if any(element.key == "wamid.2" for element in elements):
            raise RuntimeError("a defect")
        return await write(elements, said)

    monkeypatch.setattr(hook.inbox, "write", broken)
    assert await hook.post(webhook(messages=[text(f"wamid.{n}") for n in range(4)])) == 503
    assert sorted(row["key"] for row in await inbox_of(pool)) == ["wamid.0", "wamid.1", "wamid.3"]


async def test_a_defect_costs_one_commit(
    hook: Webhook, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = hook.inbox.write

    async def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(hook.inbox, "write", broken)
    assert await hook.post(webhook(messages=[text("wamid.1")])) == 503
    monkeypatch.setattr(hook.inbox, "write", write)
    assert await hook.post(webhook(messages=[text("wamid.1")])) == 200


# D19 of docs/testing.md


@pytest.mark.parametrize("users", [False, True], ids=["known", "new users"])
async def test_two_webapps_get_the_same_statuses_in_different_order(
    settings: Settings, pool: asyncpg.Pool, users: bool
) -> None:
    async with two_listeners(settings) as hooks:
        for number in range(60):
            assert await shuffled(hooks, number, users=users) == [200, 200]
    assert len(await inbox_of(pool)) == 60 * 50
    assert await pool.fetchval("select count(*) from cloud_unmatched") == 60 * 50


async def test_without_an_order_of_keys_they_wait_for_each_other(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """The mutant of D19: the simulation's database has no locks on the rows of one statement."""
    await pool.execute(SLOWLY)  # so that the two are in their statements at the same time
    async with two_listeners(settings) as hooks:
        assert await shuffled(hooks, 0) == [200, 200]
        function = await pool.fetchval("select pg_get_functiondef('receive_cloud'::regproc)")
        assert function.count(ORDER) == 2
        await pool.execute(function.replace(ORDER, ""))
        for number in range(1, 20):
            if await shuffled(hooks, number) != [200, 200]:
                return
    pytest.fail("rows that come in any order do no harm")


@asynccontextmanager
async def two_listeners(settings: Settings) -> AsyncIterator[list[Webhook]]:
    hooks = [Webhook(settings), Webhook(settings)]
    for hook in hooks:
        await hook.open()
    yield hooks
    for hook in hooks:
        await hook.close()


async def shuffled(hooks: Sequence[Webhook], number: int, *, users: bool = False) -> list[int]:
    """What each answers to the same 100 statuses, which it gets in an order of its own."""
    statuses = [
        status(
            f"wamid.{number}.{n}",
            reference=REFERENCE if n % 2 else "",
            **({"recipient_user_id": f"US.{number}.{n}"} if users else {}),
        )
        | ({"recipient_id": f"1555{number:03}{n:03}"} if users else {})
        for n in range(100)
    ]
    bodies = [webhook(statuses=random.sample(statuses, 100)) for _ in hooks]
    return await asyncio.gather(
        *(hook.post(body) for hook, body in zip(hooks, bodies, strict=True))
    )


# The listener's state

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
async def test_what_meta_may_have_sent_in_vain_is_told(
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


async def test_what_strangers_send_is_no_gap_once_meta_has_sent(
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


async def test_what_was_refused_before_its_secret_was_added_is_a_gap(
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
