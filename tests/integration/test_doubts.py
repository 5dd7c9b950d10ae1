"""``warouter doubt``, and what trace and status say of the Cloud API, on a real PostgreSQL."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from tests.harness.shell import at_terminal, command, printed, refused
from warouter._hash import slot_of
from warouter.config import Settings
from warouter.flow.causes import CAUSES, word_of
from warouter.log import without_numbers
from warouter.message_id import mint, text_of
from warouter.store import operator_word
from warouter.store.journal.issues import ASIDE
from warouter.store.views import attempts, doubt_choice, doubt_preview, doubts
from warouter.store.views.audit import read_audit
from warouter.store.views.trace import Trace

TO, OTHER_ONE = "4915112345678", "4915100000000"
SLOT = slot_of(TO)
KEYS = ["id", "state", "recipient", "cause", "attempt", "since", "ends"]
TEXT, TEMPLATE = b'{"text":{"body":"secret"}}', b'{"template":{"name":"secret"}}'


def raw(n: int) -> bytes:
    return mint(SLOT, 1_700_000_000_000, bytes([n] * 12))


ID = text_of(raw(1))


async def issue(
    pool: asyncpg.Pool,
    n: int = 1,
    state: int = 2,
    age: float = 5,
    cause: str | None = "takeover",
    body: bytes = TEXT,
    ttl: int | None = None,
    to: str = TO,
    doubted: int = 2,
) -> None:
    await pool.execute(
        "insert into message (slot, seq, id, recipient, body, ttl, accepted_at)"
        " values ($1, $2, $3, $4, $5, $6, now() - make_interval(secs => $7))",
        *(slot_of(to), n, raw(n), to, body, ttl, age),
    )
    await pool.execute(
        "insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, at, cause)"
        " values ($1, $2, $3, $4, 2, $5, $6, now() - make_interval(secs => $7), $8)",
        *(slot_of(to), n, raw(n), to, doubted, state, age, cause),
    )


async def listed(settings: Settings, *options: str, **environment: str) -> list[dict[str, Any]]:
    shown = await printed(settings, "doubt", "list", "--json", *options, **environment)
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
            " values ($1, $6, $2, $3, $4, $5)",
            *(f"wamid.{n}.{attempt}", raw(n), attempt, attempt <= failed),
            uuid4() if attempt == 2 else None,
            SLOT,
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
    assert await words(pool) == [(SLOT, 4, raw(n), payload) for n in (1, 2)]
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
        (("--before", "1h"), [1]),
        (("--to", f"+{TO}"), [1, 2]),
        (("--to", TO, "--since", "15min"), [2]),
        (("--to", "4915199999999"), []),
        (("--cause", "timeout"), [2]),
        (("--template", "offer"), [3]),
        (("--slot", str(SLOT)), [1, 2]),
        (("--state", "held", "--slot", str(SLOT), "--cause", "takeover"), [1]),
    ],
)
async def test_a_word_to_all_that_the_options_choose(
    settings: Settings, pool: asyncpg.Pool, chosen: tuple[str, ...], heard: list[int]
) -> None:
    await issue(pool, 1, state=3, age=7_200)
    await issue(pool, 2, state=3, age=600, cause="no answer in time")
    await issue(pool, 3, state=3, to=OTHER_ONE, body=b'{"template":{"name":"offer"}}')
    await issue(pool, 4, state=2)
    assert {one["id"] for one in await listed(settings, *chosen[chosen == ("--all",) :])} >= {
        text_of(raw(n)) for n in heard
    }
    count = "1 message" if len(heard) == 1 else f"{len(heard)} messages"
    said = await printed(settings, "doubt", "resend", *chosen, "--yes")
    assert f"{count} will be sent once more" in said
    assert {row[2] for row in await words(pool)} == {raw(n) for n in heard}


@pytest.mark.parametrize(
    "chosen",
    [
        (),
        (ID, "--all"),
        (ID, "--to", TO),
        ("--all", "--since", "1h"),
        ("--to", "x"),
        ("--slot", "32"),
        ("--template", "O'Hara"),
        ("--since", "yesterday"),
        ("--state", "in_doubt"),
    ],
)
async def test_the_choice_of_doubts_is_given_in_one_way(
    settings: Settings, pool: asyncpg.Pool, chosen: tuple[str, ...]
) -> None:
    await issue(pool, 1, state=3)
    assert (await command(settings, "doubt", "fail", "--yes", *chosen)).exit_code in (1, 2)
    assert await words(pool) == []


async def test_a_list_is_cut_and_says_how_many_there_are(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    for n in (1, 2, 3):
        await issue(pool, n, state=3, age=100 - n)
    await issue(pool, 4, state=2)
    assert [one["id"] for one in await listed(settings, "--limit", "1")] == [ID]
    shown = await printed(settings, "doubt", "list", "--limit", "2")
    assert shown.endswith("1 in doubt, 3 held; the oldest 2 are listed\n")
    assert (await printed(settings, "doubt", "list", "--state", "held")).endswith("3 held\n")
    assert (await printed(settings, "doubt", "list", "--slot", "30")).endswith("0 messages\n")


# many


async def held_by_three(pool: asyncpg.Pool) -> None:
    await issue(pool, 1, state=3, age=7_300)
    await issue(pool, 2, state=3, age=600, cause="no answer in time", body=TEMPLATE)
    await issue(pool, 3, state=3, age=50, to=OTHER_ONE, doubted=0)
    await issue(pool, 4, state=2, age=90, to=OTHER_ONE)


@pytest.mark.parametrize(
    ("word", "sentences"),
    [
        (
            "resend",
            [
                "3 messages to 2 customers will be sent once more.",
                "By state: 3 held. By cause: 2 takeover, 1 timeout.",
                "Waiting for 50 s to 2 h; the oldest since 2",
                "2 messages may have been taken by Meta already: each that was reaches its",
                "1 is a template, whose delivery costs the price of its category.",
            ],
        ),
        (
            "fail",
            [
                "3 messages to 2 customers will end as failed.",
                "1 customer may have got a message of which the business is told that it failed.",
            ],
        ),
        (
            "hold",
            [
                "1 message to 1 customer will be held.",
                "By state: 1 in doubt. By cause: 1 takeover.",
                "Waiting for 90 s; the oldest since 2",
                "they fail 2 h after they are held, about 2",
            ],
        ),
    ],
)
async def test_a_word_to_many_is_previewed(
    settings: Settings, pool: asyncpg.Pool, word: str, sentences: list[str]
) -> None:
    await held_by_three(pool)
    result = await command(settings, "doubt", word, "--all", WAROUTER_PENDING="7200")
    for sentence in sentences:
        assert sentence in result.stdout
    assert str(result.exception) == "Nothing is done yet: run this again with --yes."
    assert await words(pool) == []


async def test_a_preview_of_none_says_so(settings: Settings, pool: asyncpg.Pool) -> None:
    await issue(pool, 1, state=2)
    assert await printed(settings, "doubt", "fail", "--all") == "None of these is held.\n"
    assert await printed(settings, "doubt", "hold", "--to", OTHER_ONE) == (
        "None of these is in doubt or aside.\n"
    )


@pytest.mark.parametrize(("typed", "code", "heard"), [("y", 0, 3), ("n", 130, 0)])
async def test_a_person_is_asked(
    settings: Settings, pool: asyncpg.Pool, typed: str, code: int, heard: int
) -> None:
    await held_by_three(pool)
    environment = {
        "PATH": os.environ["PATH"],
        "WA_DB_HOSTNAME": settings.db_hostname,
        "WA_DB_PORT": str(settings.db_port),
        "WA_DB_USERNAME": settings.db_username,
        "WA_DB_PASSWORD": settings.db_password,
        "WAROUTER_DB_NAME": settings.database,
    }
    ended = await at_terminal(typed, environment, "doubt", "fail", "--all")
    assert (ended[0], len(await words(pool))) == (code, heard), ended[1]
    assert ("3 messages will end as failed" in ended[1]) is bool(heard)


async def test_a_message_held_after_the_preview_is_left_alone(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await issue(pool, 1, state=3, age=60)
    which = doubt_choice.DoubtChoice(doubts.HEARS["resend"])
    async with pool.acquire() as connection:
        spans = await doubts.read_spans(connection, settings)
        preview = await doubt_preview.read_preview(connection, which, "resend", spans)
        await issue(pool, 2, state=3, age=-60)
        page = await operator_word.say_next(connection, preview.choice, "resend")
    assert (page.ids, page.heard) == ([raw(1)], 1)


async def test_a_word_to_very_many_goes_page_by_page(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_word, "PAGE", 2)
    for n in range(1, 6):
        await issue(pool, n, state=2, to=(TO, OTHER_ONE)[n % 2])
    said = await printed(settings, "doubt", "hold", "--since", "1h", "--yes")
    assert said == "5 messages will be held\n"
    assert [row[2] for row in await words(pool)] == [raw(n) for n in range(1, 6)]
    async with pool.acquire() as connection:
        entries = await read_audit(connection, 9)
    assert [(e.action, e.outcome) for e in entries] == [("doubt hold", "done")] * 3
    assert [e.subject for e in entries] == [
        f"1 message, {text_of(raw(5))}, by --since 1h",
        f"2 messages, {text_of(raw(3))} to {text_of(raw(4))}, by --since 1h",
        f"2 messages, {ID} to {text_of(raw(2))}, by --since 1h",
    ]


async def test_those_that_ended_meanwhile_are_counted(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in (1, 2, 3):
        await issue(pool, n, state=3)
    whole = operator_word.chosen_ids

    async def ended_since(connection: Any, *given: Any) -> list[bytes]:
        ids = await whole(connection, *given)
        await connection.execute("delete from send_issue where id = $1", raw(2))
        return ids

    monkeypatch.setattr(operator_word, "chosen_ids", ended_since)
    said = await printed(settings, "doubt", "resend", "--all", "--yes")
    assert said == "2 messages will be sent once more\n1 message was no longer held\n"


async def test_more_than_are_counted(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await held_by_three(pool)
    for module, name in ((doubt_choice, "COUNT_SQL"), (doubt_preview, "PREVIEW_SQL")):
        limited = getattr(module, name).replace("limit 100001", "limit 3")
        monkeypatch.setattr(module, name, limited)
        monkeypatch.setattr(module, "MOST_COUNTED", 2)
    result = await command(settings, "doubt", "resend", "--all")
    assert "More than 2 messages to" in result.stdout
    assert "The figures are those of 2 of them." in result.stdout
    assert "at least " in await printed(settings, "doubt", "list")


@pytest.mark.parametrize(
    "body",
    [
        b'{"template":{"components":[{"type":"body"}],"name":"offer"}}',
        b'{"template" : {"language":{"code":"de"}, "name" : "offer"},"to":"1"}',
    ],
)
async def test_a_template_is_found_by_its_name(
    settings: Settings, pool: asyncpg.Pool, body: bytes
) -> None:
    await issue(pool, 1, body=body)
    await issue(pool, 2, body=b'{"template":{"name":"offer_2"}}')
    await issue(pool, 3, body=b'{"text":{"body":"\\"template\\":{\\"name\\":\\"offer\\"}"}}')
    await issue(pool, 4, body=b'{"template":{"name":"offer","x":"\\u0000"}}')  # PostgreSQL cannot
    await issue(pool, 5, body=b'"template" is not JSON')
    assert (
        ID
        in {one["id"] for one in await listed(settings, "--template", "offer")}
        <= {
            ID,
            text_of(raw(4)),
        }
    )


@pytest.mark.parametrize(
    "said",
    [
        *CAUSES,
        *("no answer in time", "", "unclear", "answer: HTTP 502", "the answer is too large"),
        *("the answer broke off", "no answer came", "RuntimeError('odd')", "cut", "it's", None),
    ],
)
async def test_a_cause_is_the_same_word_in_sql(
    settings: Settings, pool: asyncpg.Pool, said: str | None
) -> None:
    await issue(pool, 1, cause=said)
    found = {cause for cause in CAUSES if await listed(settings, "--cause", cause)}
    assert found == {word_of(said or "")}


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (2, "is in doubt, which ends by itself, at 2"),
        (ASIDE, "is aside, which ends by itself, at 2"),
        (1, "is issued, not held"),
        (4, "is waiting"),
    ],
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


async def test_a_message_in_doubt_is_held_by_a_word(settings: Settings, pool: asyncpg.Pool) -> None:
    await issue(pool, 1, state=2)
    await issue(pool, 2, state=3)
    await issue(pool, 3, state=1)
    await issue(pool, 4, state=ASIDE)
    both = await printed(settings, "doubt", "hold", ID, text_of(raw(4)))
    assert both == "2 messages will be held\n"
    assert await words(pool) == [(SLOT, 4, raw(n), b"hold") for n in (1, 4)]
    assert "in_doubt, hold asked" in await printed(settings, "doubt", "list")
    already = await refused(settings, "doubt", "hold", ID, text_of(raw(2)))
    assert "is held already: only a message in doubt can be held" in already
    issued = await refused(settings, "doubt", "hold", text_of(raw(3)))
    assert "is issued, not in doubt or aside: its owner is still working on it" in issued
    assert len(await words(pool)) == 2


@pytest.mark.parametrize("name", ["show", "resend", "fail", "hold"])
async def test_ids_that_are_none(settings: Settings, name: str) -> None:
    assert "neither in doubt nor held" in await refused(settings, "doubt", name, ID)
    assert "is not the id of a message" in await refused(settings, "doubt", name, "wamid.HBgL")
    assert (await command(settings, "doubt", name)).exit_code == 2


# trace


async def evidence(pool: asyncpg.Pool, *attempts: int) -> None:
    for n, attempt in enumerate(attempts):
        await pool.execute(
            "insert into upstream_id (wamid, slot, id, attempt) values ($1, $4, $2, $3)",
            *(f"wamid.{n}", raw(1), attempt, SLOT),
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
    await pool.execute("update send_cursor set mark = 9")
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
    await pool.execute("update send_cursor set mark = 9")
    found = await traced(settings)
    assert found.state == "held"
    assert found.cloud is not None
    assert found.cloud.held is not None
    assert found.cloud.doubt is None
    await pool.execute(
        "insert into event (slot, seq, kind, key, recipient, payload)"
        " values ($2, 1, 0, $1, '1', '{}')",
        *(f"{ID}:failed", SLOT),
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
        # Those to one customer are looked for in one slot, and a page of all goes by the ids.
        of_one = doubt_choice.DoubtChoice(recipient=TO, slot=SLOT).arguments
        of_all = doubt_choice.DoubtChoice().arguments
        for sql, *given in (
            (doubt_choice.LIST_SQL, *of_one, 100),
            (doubt_choice.COUNT_SQL, *of_one),
            (doubt_preview.PREVIEW_SQL, *of_one, True),
            (doubt_choice.IDS_SQL, *of_all, b"", 1_000),
        ):
            plan = await connection.fetch(f"explain {sql}", *given)
            lines = "\n".join(row[0] for row in plan)
            assert "Seq Scan" not in lines, lines
