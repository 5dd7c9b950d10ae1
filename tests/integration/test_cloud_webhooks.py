"""Webhooks of the Cloud API over real sockets into a real database."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import asyncpg
import pytest

from tests.harness.journals import an_id
from tests.harness.postgres import PATIENT
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
from warouter.upstream.cloud.batch import INBOUND, STATUS, Element
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


async def test_signed_useless_webhooks_are_taken(hook: Webhook, pool: asyncpg.Pool) -> None:
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
        await hook.posts.keep(1, "a reason", b"%d" % number)
    rows = await pool.fetch("select body from cloud_quarantine order by id")
    assert [row["body"] for row in rows] == [b"%d" % number for number in range(3, 103)]


async def test_notices_are_acted_on(hook: Webhook, settings: Settings, pool: asyncpg.Pool) -> None:
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


async def test_notices_of_another_account_are_kept_beside_ours(
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


async def test_a_repeated_webhook_is_stored_once(hook: Webhook, pool: asyncpg.Pool) -> None:
    body = webhook(messages=[text("wamid.1")], statuses=[status("wamid.2", reference=REFERENCE)])
    assert [await hook.post(body) for _ in range(3)] == [200, 200, 200]
    assert len(await inbox_of(pool)) == 2
    assert hook.posts.counts == Counter({"inbound": 3, "status": 3, "repeated": 4})


async def test_errors_of_the_number_go_to_slot_0(hook: Webhook, pool: asyncpg.Pool) -> None:
    assert await hook.post(webhook(errors=[{"code": 131035, "title": "t"}])) == 200
    (row,) = await inbox_of(pool)
    assert (row["slot"], row["recipient"]) == (0, None)


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


async def test_an_uncommitted_webhook_is_answered_503(hook: Webhook, pool: asyncpg.Pool) -> None:
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


async def test_an_element_postgresql_refuses_costs_no_other(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    """The reader of webhooks lets no such thing pass; should it one day, the rest goes on."""
    elements = [Element(kind=INBOUND, key=f"{n}", wa_id="15550001111", raw=b"{}") for n in "abcd"]
    elements[2] = Element(kind=INBOUND, key="\0", wa_id="15550001111", raw=b"odd")
    await hook.posts._write(elements, [])
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

    async def broken(
        elements: Sequence[Element], said: ListenerState | None, learned: Sequence[Element]
    ) -> Written:
        if any(element.key == "wamid.2" for element in elements):
            raise RuntimeError("a defect")
        return await write(elements, said, learned)

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
    hooks: list[Webhook], pool: asyncpg.Pool, users: bool
) -> None:
    for number in range(60):
        assert await shuffled(hooks, number, users=users) == [200, 200]
    assert len(await inbox_of(pool)) == 60 * 50
    assert await pool.fetchval("select count(*) from cloud_unmatched") == 60 * 50


async def test_without_an_order_of_keys_they_wait_for_each_other(
    hooks: list[Webhook], pool: asyncpg.Pool
) -> None:
    """The mutant of D19: the simulation's database has no locks on the rows of one statement."""
    await pool.execute(SLOWLY)  # so that the two are in their statements at the same time
    assert await shuffled(hooks, 0, named=True) == [200, 200]
    function = await pool.fetchval("select pg_get_functiondef('receive_cloud'::regproc)")
    assert function.count(ORDER) == 1
    await pool.execute(function.replace(ORDER, ""))
    for number in range(1, 20):
        if await shuffled(hooks, number, named=True) != [200, 200]:
            return
    pytest.fail("rows that come in any order do no harm")


async def shuffled(
    hooks: Sequence[Webhook], number: int, *, users: bool = False, named: bool = False
) -> list[int]:
    """What each answers to the same 100 statuses, which it gets in an order of its own. Half of
    them have no reference, unless they are ``named``.
    """
    statuses = [
        status(
            f"wamid.{number}.{n}",
            reference=REFERENCE if named or n % 2 else "",
            **({"recipient_user_id": f"US.{number}.{n}"} if users else {}),
        )
        | ({"recipient_id": f"1555{number:03}{n:03}"} if users else {})
        for n in range(100)
    ]
    bodies = [webhook(statuses=random.sample(statuses, 100)) for _ in hooks]
    return await asyncio.gather(
        *(hook.post(body) for hook, body in zip(hooks, bodies, strict=True))
    )
