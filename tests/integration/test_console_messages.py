"""The pages Messages and Message: the application on a real database, under its own login."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.pages import Pages, pages
from tests.harness.wait import PATIENCE
from warouter._hash import slot_of
from warouter.config import Settings
from warouter.message_id import mint, text_of
from warouter.store.journal.issues import DOUBTED, KEPT
from warouter.store.views.messages.short import short_id

TO = "4915112345678"
MASKED = "491…78"
SLOT = slot_of(TO)
NOW_MS = int(datetime.now(UTC).timestamp() * 1000)
HOSTILE = "<img src=x onerror=alert(1)>\u202e'\"&{{7*7}}"
RAW = mint(SLOT, NOW_MS, bytes(12))
ID = text_of(RAW)
ONE = f"/console/messages/{ID}"
INBOUND = "wamid.<b>/é+%2F\"'{id}=="
BODY = '{"type":"text","text":{"body":"the secret"}}'


@pytest_asyncio.fixture
async def console(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Pages]:
    async with pages(settings, pool) as found:
        yield found


async def accepted(pool: asyncpg.Pool, raw: bytes = RAW, seq: int = 7, kind: int = 0) -> None:
    await pool.execute(
        "insert into message (slot, seq, id, recipient, kind, body) values ($1,$2,$3,$4,$5,$6)",
        *(SLOT, seq, raw, TO, kind, BODY.encode()),
    )


async def event(pool: asyncpg.Pool, kind: int, seq: int, key: str, payload: bytes = b"{}") -> None:
    await pool.execute(
        "insert into event (slot, seq, kind, key, recipient, payload) values ($1,$2,$3,$4,$5,$6)",
        *(SLOT, seq, kind, key, TO, payload),
    )


async def doubt(pool: asyncpg.Pool, state: int, cause: str = "silence", attempt: int = 1) -> None:
    """The issue row of the message; it has been in doubt by each attempt but the last."""
    await pool.execute(
        "insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, cause)"
        " values ($1, 7, $2, $3, $4, $5, $6, $7)",
        *(SLOT, RAW, TO, attempt, attempt - 1, state, cause),
    )


async def failed(pool: asyncpg.Pool, code: int = 470) -> None:
    await accepted(pool)
    error = {"code": code, "title": HOSTILE, "details": HOSTILE + "x" * 10_000}
    payload = msgspec.json.encode({"timestamp": "5", "errors": [error]})
    await event(pool, 0, 1, f"{ID}:failed", payload)
    await pool.execute("update send_cursor set mark = 9")


async def audited(pool: asyncpg.Pool) -> list[tuple[str, str, str]]:
    rows = await pool.fetch(
        "select b.action, coalesce(nullif(e.subject, ''), b.subject) as subject,"
        " coalesce(e.outcome, b.outcome) as outcome"
        " from audit b left join audit e on e.of = b.id where b.of is null order by b.id"
    )
    return [tuple(row) for row in rows]


# the list


async def test_an_empty_list_says_what_to_do(console: Pages) -> None:
    answer = await console.get("/console/messages")
    assert answer.status == 200
    assert "No message yet." in answer.seen
    assert "POST /v1/messages" in answer.seen
    assert "warouter messages" in answer.seen


async def test_the_list_has_each_message_with_a_link_and_no_whole_number(
    console: Pages, pool: asyncpg.Pool
) -> None:
    await failed(pool)
    await event(pool, 1, 1, INBOUND, b"the secret")
    answer = await console.get("/console/messages")
    assert ID in answer.seen
    assert "failed" in answer.seen
    assert "received" in answer.seen
    assert MASKED in answer.seen
    assert TO not in answer.text
    assert "secret" not in answer.text
    assert "<img src=x" not in answer.text
    assert "<b>/" not in answer.text
    for link in answer.links("/console/messages/"):
        assert (await console.get(link)).status == 200, link
    assert len(answer.links("/console/messages/")) == 2


async def test_filters_are_in_the_address_and_in_the_command(
    console: Pages, pool: asyncpg.Pool
) -> None:
    await failed(pool)
    await accepted(pool, mint(SLOT, NOW_MS + 1, bytes(12)), 8)
    for query, count in (
        (f"number={quote('+49 151 12345678')}", 2),
        ("number=4915112345679", 0),
        ("state=failed", 1),
        ("state=taken", 1),
        ("state=in_doubt", 0),
        ("code=470", 1),
        ("code=471", 0),
        ("kind=media", 0),
        ("direction=in", 0),
        (f"id={ID}", 1),
        ("since=1d", 2),
        ("since=1d&until=12h", 0),
        ("until=2020-01-01", 0),
    ):
        answer = await console.get(f"/console/messages?{query}")
        assert len(answer.links("/console/messages/")) == count, query
        if not count:
            assert "No message matches." in answer.seen
    answer = await console.get("/console/messages?state=failed&number=4915112345678&since=12h")
    assert "warouter messages --to 4915112345678 --state failed --since 12h" in answer.seen
    exact = next(link for link in answer.links("/console/messages?") if "since=20" in link)
    assert parse_qs(urlsplit(exact).query)["state"] == ["failed"]
    assert len((await console.get(exact)).links("/console/messages/")) == 1


async def test_older_pages_show_each_message_once(console: Pages, pool: asyncpg.Pool) -> None:
    for n in range(7):
        await accepted(pool, mint(SLOT, NOW_MS + n, bytes(12)), 20 + n)
    path, found = "/console/messages?limit=3&state=waiting", []
    for _ in range(3):
        answer = await console.get(path)
        found += answer.links("/console/messages/")
        older = [link for link in answer.links("/console/messages?") if "older=" in link]
        if not older:
            break
        path = older[0]
        assert "state=waiting" in path
    assert len(found) == len(set(found)) == 7


@pytest.mark.parametrize(
    "query",
    ["number=12", "since=soon", f"state={quote(HOSTILE)}", "older=x", "code=%00", "limit=0"],
)
async def test_bad_filters_are_explained_beside_their_fields(console: Pages, query: str) -> None:
    answer = await console.get(f"/console/messages?{query}")
    assert answer.status == 200
    assert 'role="alert"' in answer.text
    assert "<img src=x" not in answer.text
    assert "filter-state" in answer.text


async def test_a_new_message_comes_by_itself(console: Pages, pool: asyncpg.Pool) -> None:
    async with console.streaming("/console/stream?page=messages&state=waiting") as stream:
        assert b"No message matches" in await stream.readuntil(b"\n\n")
        await accepted(pool)
        async with asyncio.timeout(PATIENCE):
            while ID.encode() not in await stream.readuntil(b"\n\n"):
                pass


# one message


async def test_an_unknown_message_is_404(console: Pages) -> None:
    for message_id in (ID, quote(HOSTILE, safe=""), "%00", "x" * 2000):
        answer = await console.get(f"/console/messages/{message_id}")
        assert answer.status == 404
        assert "no longer kept" in answer.seen
        assert "<img src=x" not in answer.text


async def test_a_failed_one_says_what_its_error_means(console: Pages, pool: asyncpg.Pool) -> None:
    await failed(pool)
    answer = await console.get(ONE)
    assert "accepted: on disk" in answer.seen
    assert "has not written within 24 hours" in answer.seen
    assert "Send an approved template" in answer.seen
    assert "470 " in answer.seen
    assert "<img src=x" not in answer.text
    assert TO not in answer.text
    assert "secret" not in answer.text
    assert '"state": "failed"' in answer.seen
    assert f"warouter trace {ID}" in answer.seen
    assert "Callback: waiting" in answer.seen


async def test_a_parked_one_says_why_it_waits(console: Pages, pool: asyncpg.Pool) -> None:
    await accepted(pool, kind=2)
    await pool.execute(
        "insert into parked_message (slot, seq, id, recipient, attempts, due_at, reason)"
        " select slot, seq, id, recipient, 4, now() + interval '60 s', $1 from message",
        HOSTILE,
    )
    answer = await console.get(ONE)
    assert "waits" in answer.seen
    assert "4 attempts, the next one" in answer.seen
    assert "onerror=alert(1)" in answer.seen
    assert "<img src=x" not in answer.text
    assert "uploads it to the upstream" in answer.seen
    assert "it has no status" in answer.seen


async def test_an_inbound_one_with_any_id(console: Pages, pool: asyncpg.Pool) -> None:
    await event(pool, 1, 1, INBOUND, b"the secret")
    answer = await console.get(f"/console/messages/{quote(INBOUND, safe='')}")
    assert answer.status == 200
    assert INBOUND not in answer.text
    short = short_id(INBOUND, slot_of(TO), 1)
    assert short in answer.seen
    assert f"warouter trace {short}" in answer.seen
    assert short in (await console.get(f"/console/messages/{short}")).seen
    assert "From" in answer.seen
    assert "secret" not in answer.text


async def test_a_number_is_shown_after_a_click_for_a_minute_and_audited(
    console: Pages, pool: asyncpg.Pool
) -> None:
    await accepted(pool)
    answer = await console.post(f"{ONE}/number")
    assert answer.status == 303
    assert TO not in answer.location
    assert "Number, shown for a minute " + TO in (await console.get(answer.location)).seen
    assert ("reveal number", ID, "done") in await audited(pool)
    other = mint(SLOT, NOW_MS + 1, bytes(12))
    await accepted(pool, other, 8)
    query = urlsplit(answer.location).query
    elsewhere = await console.get(f"/console/messages/{text_of(other)}?{query}")
    assert "shown for a minute" not in elsewhere.seen
    await console.as_person("robert")
    assert "shown for a minute" not in (await console.get(answer.location)).seen


async def test_a_text_is_shown_only_where_that_is_on(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await accepted(pool)
    await event(pool, 1, 1, INBOUND, HOSTILE.encode() + b"\xff")
    async with pages(settings, pool) as console:
        assert "Show the text" not in (await console.get(ONE)).seen
        shown = await console.get((await console.post(f"{ONE}/text")).location)
        assert "WAROUTER_CONSOLE_BODIES is off" in shown.seen
        assert "the secret" not in shown.text
    assert "done" not in [outcome for action, _, outcome in await audited(pool) if "text" in action]


async def test_a_text_is_shown_after_a_click_and_audited(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await accepted(pool)
    await event(pool, 1, 1, INBOUND, HOSTILE.encode() + b"\xff")
    async with pages(settings, pool, console_bodies=True) as console:
        page = await console.get(ONE)
        assert "Show the text" in page.seen
        assert "the secret" not in page.text
        assert (
            "the secret" in (await console.get((await console.post(f"{ONE}/text")).location)).seen
        )
        short = short_id(INBOUND, slot_of(TO), 1)
        path = f"/console/messages/{short}"
        shown = await console.get((await console.post(f"{path}/text")).location)
        assert "onerror=alert(1)" in shown.seen
        assert "<img src=x" not in shown.text
        audit = await audited(pool)
        assert ("read message text", ID, "done") in audit
        assert ("read message text", short, "done") in audit
        answer = await console.post("/console/messages/a%00b/text")
        assert answer.status == 303
        assert (await audited(pool))[-1][:2] == ("reveal text", "ab")


async def test_a_reader_has_no_acts_on_a_message(console: Pages, pool: asyncpg.Pool) -> None:
    await accepted(pool)
    await console.as_person("robert")
    answer = await console.get(ONE)
    assert answer.status == 200
    assert "Show the number" not in answer.seen
    for act in ("number", "text", "redeliver", "resend", "fail"):
        assert (await console.post(f"{ONE}/{act}")).status == 403
    assert await audited(pool) == []


async def test_its_dead_letters_are_delivered_again_and_no_others(
    console: Pages, pool: asyncpg.Pool
) -> None:
    await failed(pool)
    for key, seq in ((f"{ID}:failed", 1), ("other:failed", 2)):
        await pool.execute(
            "insert into dead_letter (slot, seq, kind, key, recipient, payload, attempts, reason)"
            " values ($1, $2, 0, $3, $4, '{}', 9, $5)",
            *(SLOT, seq, key, TO, HOSTILE),
        )
    answer = await console.get(ONE)
    assert "9 attempts" in answer.seen
    assert "letter status-" in answer.seen
    streamed = answer.text.partition('id="live"')[2].partition('id="acts"')[0]
    assert f'action="{ONE}/redeliver"' in streamed  # a letter may die while one looks
    assert f"warouter callbacks replay status-{SLOT}-1" in answer.seen
    assert "<img src=x" not in answer.text
    shown = await console.get((await console.post(f"{ONE}/redeliver")).location)
    assert f"deliver callbacks again : {ID}, 1 of its callbacks: done" in shown.seen
    asked = await pool.fetch("select seq from dead_letter where asked_at is not null")
    assert [row["seq"] for row in asked] == [1]


async def test_the_page_says_why_a_settled_event_is_not_replayed(
    console: Pages, pool: asyncpg.Pool
) -> None:
    await failed(pool)
    await pool.execute("update event_cursor set mark = 9")
    assert "Only dead letters can be delivered again." in (await console.get(ONE)).seen
    shown = await console.get((await console.post(f"{ONE}/redeliver")).location)
    assert "Only dead letters can be delivered again." in shown.seen
    assert [outcome == "done" for *_, outcome in await audited(pool)] == [False]


@pytest.mark.parametrize("word", ["resend", "fail"])
async def test_a_held_message_is_ended_by_a_word(
    console: Pages, pool: asyncpg.Pool, word: str
) -> None:
    await accepted(pool)
    await doubt(pool, KEPT, attempt=2)
    await pool.execute(
        "insert into upstream_id (wamid, slot, id, attempt) values ($1, $2, $3, 1)",
        *(f"wamid.{HOSTILE}", SLOT, RAW),
    )
    answer = await console.get(ONE)
    assert "Held: you decide" in answer.seen
    assert "attempt 1 was taken by the Cloud API" in answer.seen
    assert f"warouter doubt {word} {ID}" in answer.seen
    assert "Or leave it: it fails by itself" in answer.seen
    assert "<img src=x" not in answer.text
    shown = await console.get((await console.post(f"{ONE}/{word}")).location)
    assert f"doubt {word} : {ID}: done" in shown.seen
    assert f"Asked for {word}" in shown.seen
    said = await pool.fetchval(
        "select convert_from(payload, 'UTF8') from cloud_inbox where kind = 4"
    )
    assert said == word


async def test_numbers_quoted_in_an_answer_are_hidden(console: Pages, pool: asyncpg.Pool) -> None:
    await accepted(pool)
    quoted = {"code": 470, "title": "No", "details": f"+{TO} is not reachable"}
    payload = msgspec.json.encode({"timestamp": "5", "errors": [quoted]})
    await event(pool, 0, 1, f"{ID}:failed", payload)
    await doubt(pool, DOUBTED, f"no such user {TO}")
    await console.as_person("robert")
    answer = await console.get(ONE)
    assert "is not reachable" in answer.seen
    assert "no such user" in answer.seen
    assert TO not in answer.text


async def test_a_message_in_doubt_has_evidence_and_ends_by_itself(
    console: Pages, pool: asyncpg.Pool
) -> None:
    await accepted(pool)
    await doubt(pool, DOUBTED)
    answer = await console.get(ONE)
    assert "In doubt Why" in answer.seen
    assert "Ends by itself" in answer.seen
    assert "End as failed" not in answer.seen
    shown = await console.get((await console.post(f"{ONE}/fail")).location)
    assert "It is not held" in shown.seen
