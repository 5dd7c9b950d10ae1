"""``warouter doubt``, and what trace and status say of the Cloud API, on a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from tests.harness.shell import command, printed, refused
from warouter.config import Settings
from warouter.log import without_numbers
from warouter.message_id import mint, text_of
from warouter.store.views import attempts, doubts
from warouter.store.views.audit import read_audit
from warouter.store.views.trace import Trace

TO = "4915112345678"
KEYS = ["id", "state", "recipient", "cause", "attempt", "since", "ends"]
TEXT, TEMPLATE = b'{"text":{"body":"secret"}}', b'{"template":{"name":"secret"}}'


def raw(n: int) -> bytes:
    return mint(3, 1_700_000_000_000, bytes([n] * 12))


ID = text_of(raw(1))


async def issue(
    pool: asyncpg.Pool,
    n: int = 1,
    state: int = 2,
    age: float = 5,
    cause: str | None = "takeover",
    body: bytes = TEXT,
    ttl: int | None = None,
) -> None:
    await pool.execute(
        "insert into message (slot, seq, id, recipient, body, ttl, accepted_at)"
        " values (3, $1, $2, $3, $4, $5, now() - make_interval(secs => $6))",
        n,
        raw(n),
        TO,
        body,
        ttl,
        age,
    )
    await pool.execute(
        "insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, at, cause)"
        " values (3, $1, $2, $3, 2, 2, $4, now() - make_interval(secs => $5), $6)",
        n,
        raw(n),
        TO,
        state,
        age,
        cause,
    )


async def listed(settings: Settings, **environment: str) -> list[dict[str, Any]]:
    shown = await printed(settings, "doubt", "list", "--json", **environment)
    return msgspec.json.decode(shown, type=list[dict[str, Any]])


def time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    assert at.tzinfo == UTC
    return at


async def wait_of(settings: Settings, **environment: str) -> float | None:
    """Seconds from `since` to `ends` of the only message that is listed."""
    [one] = await listed(settings, **environment)
    if one["ends"] is None:
        return None
    return (time(one["ends"]) - time(one["since"])).total_seconds()


async def words(pool: asyncpg.Pool) -> list[tuple[int, int, bytes, bytes]]:
    rows = await pool.fetch("select slot, kind, id, payload from cloud_inbox order by n")
    return [tuple(row) for row in rows]


async def test_doubts_are_listed_the_longest_first(settings: Settings, pool: asyncpg.Pool) -> None:
    assert await listed(settings) == []
    await issue(pool, 1, state=2, age=5, cause="Connection reset by peer")
    await issue(pool, 2, state=3, age=700, cause=None)
    await issue(pool, 3, state=1)
    await issue(pool, 4, state=4)
    found = await listed(settings)
    assert [list(one) for one in found] == [KEYS, KEYS]
    assert [(one["id"], one["state"], one["cause"]) for one in found] == [
        (text_of(raw(2)), "held", "other"),
        (ID, "in_doubt", "connection"),
    ]
    assert [(one["recipient"], one["attempt"]) for one in found] == [(TO, 2)] * 2
    shown = await printed(settings, "doubt", "list")
    assert ID in shown
    assert shown.endswith("1 in doubt, 1 held\n")


async def taken(pool: asyncpg.Pool, n: int, *, failed: int = 0) -> None:
    """Two requests of this message were taken, and so many of them failed."""
    for attempt in (1, 2):
        await pool.execute(
            "insert into upstream_id (wamid, slot, id, attempt, failed, twice)"
            " values ($1, 3, $2, $3, $4, $5)",
            *(f"wamid.{n}.{attempt}", raw(n), attempt, attempt <= failed),
            uuid4() if attempt == 2 else None,
        )


async def test_duplicates_are_listed(settings: Settings, pool: asyncpg.Pool) -> None:
    await issue(pool, 1, state=3)
    await taken(pool, 1)
    await taken(pool, 2, failed=1)
    assert "2 taken more than once" in await printed(settings, "doubt", "list")
    listed = msgspec.json.decode(await printed(settings, "doubt", "list", "--twice", "--json"))
    found = {one["id"]: (one["recipient"], one["taken"], one["charged"]) for one in listed}
    assert found == {ID: (TO, 2, 2), text_of(raw(2)): (None, 2, 1)}
    shown = await printed(settings, "doubt", "list", "--twice")
    assert ID in shown
    assert shown.endswith("2 taken more than once, and charged so where they were delivered\n")


@pytest.mark.parametrize(
    ("row", "seconds"),
    [
        ({"age": 5.0}, 60),
        ({"age": 61.0}, 600),  # no proof came
        ({"age": 601.0}, None),
        ({"age": 601.0, "body": TEMPLATE}, 3900),  # Meta may hold it back for an hour
        ({"age": 5.0, "body": TEMPLATE}, 60),
        ({"age": 5.0, "ttl": 30}, 30),
        ({"age": 31.0, "ttl": 30}, 60),
        ({"age": 5.0, "state": 3}, 86_400),
        ({"age": 90_000.0, "state": 3}, None),
        ({"age": 5.0, "state": 3, "ttl": 30}, 86_400),
    ],
)
async def test_when_a_wait_ends(
    settings: Settings, pool: asyncpg.Pool, row: dict[str, Any], seconds: float | None
) -> None:
    await issue(pool, **row)
    assert await wait_of(settings) == (seconds and pytest.approx(seconds, abs=2.0))


async def test_the_spans_are_those_of_the_coreapps(settings: Settings, pool: asyncpg.Pool) -> None:
    """The variables of this terminal may be others."""
    here = {"WAROUTER_CLOUD_DOUBT_SECONDS": "120", "WAROUTER_PENDING": "7200"}
    await issue(pool, state=2)
    assert await wait_of(settings, **here) == pytest.approx(120, abs=2.0)
    env = ["WAROUTER_CLOUD_DOUBT_SECONDS=30", "WAROUTER_PENDING=3600", "WAROUTER_CLOUD_TOKEN=***"]
    body = msgspec.json.encode({"facts": {"env": env}}).decode()
    await pool.execute("select write_report($1, 'c', 'coreapp', $2::jsonb)", uuid4(), body)
    assert await wait_of(settings, **here) == pytest.approx(30, abs=2.0)
    await pool.execute("update send_issue set state = 3")
    assert await wait_of(settings, **here) == pytest.approx(3600, abs=2.0)
    await pool.execute("update report set body = '{}'")  # of another build
    assert await wait_of(settings, **here) == pytest.approx(7200, abs=2.0)


async def test_one_is_shown_with_its_trace_and_without_its_content(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await issue(pool, cause="Connection reset by peer")
    shown = await printed(settings, "doubt", "show", ID)
    assert "said       Connection reset by peer" in shown
    assert f"{ID} (outgoing, message) to {TO}" in shown
    assert "attempts 2, in doubt" in shown
    assert "secret" not in shown
    both = msgspec.json.decode(await printed(settings, "doubt", "show", "--json", ID))
    assert both["doubt"]["state"] == both["trace"]["state"] == "in_doubt"
    assert (both["doubt"]["doubts"], both["doubt"]["asked"]) == (2, None)
    await pool.execute("delete from message")  # an old one, of which only the row is left
    assert "in_doubt" in await printed(settings, "doubt", "show", ID)


@pytest.mark.parametrize("word", ["resend", "fail"])
async def test_a_word_reaches_the_owner_s_inbox_and_the_audit_log(
    settings: Settings, pool: asyncpg.Pool, word: str
) -> None:
    await issue(pool, 1, state=3)
    await issue(pool, 2, state=3)
    assert "2 messages will" in await printed(settings, "doubt", word, ID, text_of(raw(2)), ID)
    payload = word.encode()
    assert await words(pool) == [(3, 4, raw(1), payload), (3, 4, raw(2), payload)]
    async with pool.acquire() as connection:
        entries = await read_audit(connection, 9)
    assert [(e.action, e.subject, e.outcome) for e in entries] == [
        (f"doubt {word}", text_of(raw(2)), "done"),
        (f"doubt {word}", ID, "done"),
    ]
    assert all(e.actor and e.source for e in entries)
    assert f"held, {word} asked" in await printed(settings, "doubt", "list")
    assert "1 message will" in await printed(settings, "doubt", "fail", ID)
    assert len(await words(pool)) == 3


@pytest.mark.parametrize(
    ("chosen", "heard"),
    [
        (("--all",), [1, 2, 3]),
        (("--since", "1h"), [2, 3]),
        (("--to", f"+{TO}"), [1, 2, 3]),
        (("--to", TO, "--since", "15s"), [3]),
        (("--to", "4915100000000"), []),
    ],
)
async def test_a_word_to_all_that_are_held(
    settings: Settings, pool: asyncpg.Pool, chosen: tuple[str, ...], heard: list[int]
) -> None:
    for n, age in ((1, 7_200), (2, 600), (3, 5)):
        await issue(pool, n, state=3, age=age)
    await issue(pool, 4, state=2)
    count = "1 message" if len(heard) == 1 else f"{len(heard)} messages"
    assert f"{count} will be sent once more" in await printed(settings, "doubt", "resend", *chosen)
    assert {row[2] for row in await words(pool)} == {raw(n) for n in heard}


@pytest.mark.parametrize(
    "chosen", [(), (ID, "--all"), (ID, "--to", TO), ("--all", "--since", "1h"), ("--to", "x")]
)
async def test_the_choice_of_doubts_is_given_in_one_way(
    settings: Settings, pool: asyncpg.Pool, chosen: tuple[str, ...]
) -> None:
    await issue(pool, 1, state=3)
    assert (await command(settings, "doubt", "fail", *chosen)).exit_code in (1, 2)
    assert await words(pool) == []


@pytest.mark.parametrize(
    ("state", "sentence"),
    [(2, "is in doubt, which ends by itself, at 2"), (1, "is issued, not held"), (4, "is waiting")],
)
async def test_only_a_held_message_takes_a_word(
    settings: Settings, pool: asyncpg.Pool, state: int, sentence: str
) -> None:
    await issue(pool, 1, state=3)
    await issue(pool, 2, state=state)
    asked = ("doubt", "resend", ID, text_of(raw(2)))
    assert sentence in await refused(settings, *asked)
    assert await words(pool) == []  # of all or of none
    async with pool.acquire() as connection:
        assert await read_audit(connection, 9) == []


@pytest.mark.parametrize("name", ["show", "resend", "fail"])
async def test_ids_that_are_none(settings: Settings, name: str) -> None:
    assert "neither in doubt nor held" in await refused(settings, "doubt", name, ID)
    assert "is not the id of a message" in await refused(settings, "doubt", name, "wamid.HBgL")
    assert (await command(settings, "doubt", name)).exit_code == 2


# trace


async def evidence(pool: asyncpg.Pool, *attempts: int) -> None:
    for n, attempt in enumerate(attempts):
        await pool.execute(
            "insert into upstream_id (wamid, slot, id, attempt) values ($1, 3, $2, $3)",
            f"wamid.{n}",
            raw(1),
            attempt,
        )


async def traced(settings: Settings) -> Trace:
    return msgspec.json.decode(await printed(settings, "trace", "--json", ID), type=Trace)


async def test_a_trace_has_nothing_of_it_for_the_simulator(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await issue(pool)
    await pool.execute("delete from send_issue")
    assert '"cloud"' not in await printed(settings, "trace", "--json", ID)
    assert "attempts" not in await printed(settings, "trace", ID)


async def test_a_trace_shows_doubt_and_evidence(settings: Settings, pool: asyncpg.Pool) -> None:
    await issue(pool, cause="no answer in time")
    await pool.execute(
        "insert into parked_message (slot, seq, id, recipient, attempts, due_at, reason)"
        " select slot, seq, id, recipient, 0, now(), 'in doubt' from message"
    )
    found = await traced(settings)
    assert found.state == "in_doubt"
    assert found.cloud is not None
    assert found.cloud.doubt is not None
    assert (found.cloud.attempts, found.cloud.state) == (2, "in_doubt")
    assert found.cloud.doubt.cause == "timeout"
    shown = await printed(settings, "trace", ID)
    assert shown.endswith("  parked, in doubt\n")  # of no attempt, and due at no time
    assert time(found.cloud.doubt.since) < datetime.now(UTC)
    assert (found.cloud.held, found.cloud.evidence, found.cloud.duplicates) == (None, [], 0)
    await pool.execute("delete from send_issue")
    await pool.execute("delete from parked_message")
    await pool.execute("update send_cursor set mark = 9 where slot = 3")
    await evidence(pool, 2, 1)
    found = await traced(settings)
    assert found.state == "taken"
    assert found.cloud is not None
    assert (found.cloud.attempts, found.cloud.state, found.cloud.doubt) == (2, "settled", None)
    assert [(e.wamid, e.attempt) for e in found.cloud.evidence] == [
        (without_numbers("wamid.1"), 1),
        (without_numbers("wamid.0"), 2),
    ]
    assert found.cloud.duplicates == 1
    shown = await printed(settings, "trace", ID)
    assert "wamid.0" not in shown
    assert f"as {without_numbers('wamid.0')}" in shown
    assert "twice    1 taken beside the first" in shown


async def test_a_held_message_counts_as_settled_and_is_not_shown_as_taken(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await issue(pool, state=3)
    await pool.execute("update send_cursor set mark = 9 where slot = 3")
    found = await traced(settings)
    assert found.state == "held"
    assert found.cloud is not None
    assert found.cloud.held is not None
    assert found.cloud.doubt is None
    await pool.execute(
        "insert into event (slot, seq, kind, key, recipient, payload)"
        " values (3, 1, 0, $1, '1', '{}')",
        f"{ID}:failed",
    )
    assert (await traced(settings)).state == "failed"  # only its lane is still shut


# status


async def status(settings: Settings) -> dict[str, Any]:
    shown = await printed(settings, "status", "--json")
    return msgspec.json.decode(shown, type=dict[str, Any])


async def test_a_line_of_the_status(settings: Settings, pool: asyncpg.Pool) -> None:
    assert "cloud" not in await status(settings)
    assert "in doubt" not in await printed(settings, "status")
    await pool.execute("update format set upstream = 'cloud:106540352242922'")
    nothing = {"in_doubt": 0, "held": 0, "oldest_doubt_s": None, "stopped": None}
    nothing["notices"] = []
    cloud = (await status(settings))["cloud"]
    assert cloud.pop("number")["phone_number_id"] == "106540352242922"
    assert cloud == nothing
    assert "0 in doubt, 0 held" in await printed(settings, "status")
    await issue(pool, 1, state=2, age=100)
    await issue(pool, 2, state=2, age=5)
    await issue(pool, 3, state=3, age=9_000)
    await issue(pool, 4, state=1, age=10_000)
    await pool.execute(
        "insert into cloud_pause (code, details, token_hash, at)"
        " values (190, 'the token has expired', 'h', now() - interval '5 min')"
    )
    cloud = (await status(settings))["cloud"]
    assert (cloud["in_doubt"], cloud["held"], cloud["stopped"]["code"]) == (2, 1, 190)
    assert 100 <= cloud["oldest_doubt_s"] < 200
    shown = await printed(settings, "status")
    assert "2 in doubt (the oldest for 1" in shown
    assert "1 held; number stopped for 5 min by code 190: the token has expired" in shown


# plans


async def test_the_rows_of_one_message_are_found_by_index(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute(
            "insert into send_issue (slot, seq, id, recipient, attempt, state) select n % 32, n,"
            " sha256(n::text::bytea), '1', 1, 3 from generate_series(1, 20000) n;"
            "insert into message (slot, seq, id, recipient, body) select n % 32, n,"
            " sha256(n::text::bytea), '1', '' from generate_series(1, 20000) n;"
            "insert into cloud_inbox (slot, kind, key, id, payload) select n % 32, 0, n::text,"
            " sha256(n::text::bytea), '' from generate_series(1, 20000) n;"
            "insert into upstream_id (wamid, slot, id, attempt) select n::text, n % 32,"
            " sha256(n::text::bytea), 1 from generate_series(1, 20000) n;"
            "analyze send_issue, message, cloud_inbox, upstream_id"
        )
        for sql in (doubts.ONE_SQL, attempts.ISSUE_SQL, attempts.EVIDENCE_SQL):
            plan = await connection.fetch(f"explain {sql}", raw(1))
            lines = "\n".join(row[0] for row in plan)
            assert "Seq Scan" not in lines, lines
