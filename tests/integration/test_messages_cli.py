"""``warouter messages``: the list at a shell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from tests.harness.shell import command, printed, refused
from warouter._hash import slot_of
from warouter.config import Settings
from warouter.message_id import mint, text_of
from warouter.store.views.messages.found import MessageListing

TO, OTHER = "4915112345678", "4915112345679"
HOSTILE = "<img src=x onerror=alert(1)> \u202e" + "x" * 300
NOW_MS = int(datetime.now(UTC).timestamp() * 1000)
HOUR_MS = 3_600_000


def made(n: int, number: str = TO, hours_ago: int = 0) -> bytes:
    return mint(slot_of(number), NOW_MS - hours_ago * HOUR_MS + n, bytes([n] * 12))


async def fill(pool: asyncpg.Pool) -> None:
    for n in range(1, 6):
        number = TO if n % 2 else OTHER
        raw = made(n, number, hours_ago=3 if n == 1 else 0)
        await pool.execute(
            "insert into message (slot, seq, id, recipient, kind, body)"
            " values ($1, $2, $3, $4, $5, 'secret')",
            *(raw[1], n, raw, number, 1 if n == 5 else 0),
        )
    await pool.execute("update send_cursor set mark = 4")
    payload = msgspec.json.encode({"errors": [{"code": 470, "title": HOSTILE, "details": "d"}]})
    await pool.execute(
        "insert into event (slot, seq, kind, key, recipient, payload)"
        " values ($1, 1, 0, $2, $3, $4)",
        *(slot_of(TO), f"{text_of(made(3))}:failed", TO, payload),
    )
    await pool.execute(
        "insert into event (slot, seq, kind, key, recipient, payload, recorded_at)"
        " values ($1, 1, 1, 'gBEG', $2, 'secret', $3)",
        *(slot_of(OTHER), OTHER, datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=NOW_MS)),
    )


async def listed(settings: Settings, *arguments: str) -> MessageListing:
    text = await printed(settings, "messages", "--json", *arguments)
    assert "secret" not in text
    return msgspec.json.decode(text, type=MessageListing)


def ids(found: MessageListing) -> list[str]:
    return [one.id for one in found.messages]


async def test_everything_newest_first(settings: Settings, pool: asyncpg.Pool) -> None:
    assert "0 messages; in the last 5 s 0.0/s outgoing" in await printed(settings, "messages")
    await fill(pool)
    found = await listed(settings)
    assert ids(found) == [
        text_of(made(5)),
        text_of(made(4, OTHER)),
        text_of(made(3)),
        text_of(made(2, OTHER)),
        "gBEG",
        text_of(made(1, hours_ago=3)),
    ]
    assert found.older is None
    text = await printed(settings, "messages")
    assert text.index(ids(found)[0]) < text.index("gBEG")
    assert "6 messages; in the last 5 s" in text


async def test_pages_and_filters(settings: Settings, pool: asyncpg.Pool) -> None:
    await fill(pool)
    every = ids(await listed(settings))
    first = await listed(settings, "--limit", "4")
    assert first.older is not None
    assert f"go on with --older {first.older}" in await printed(
        settings, "messages", "--limit", "4"
    )
    assert ids(first) + ids(await listed(settings, "--older", first.older)) == every
    for arguments, expected in (
        (("--to", "+49 151 1234 5679"), [every[1], every[3], every[4]]),
        (("--direction", "in"), ["gBEG"]),
        (("--state", "failed"), [every[2]]),
        (("--state", "failed", "--state", "received"), [every[2], "gBEG"]),
        (("--state", "waiting"), [every[0]]),
        (("--kind", "read mark"), [every[0]]),
        (("--code", "470"), [every[2]]),
        (("--code", "471"), []),
        (("--until", "1h"), [every[5]]),
        (("--since", "1h", "--direction", "out"), every[:4]),
        (("--id", "gBEG"), ["gBEG"]),
        (("--id", "nobody's"), []),
    ):
        assert ids(await listed(settings, *arguments)) == expected, arguments
    failed = (await listed(settings, "--code", "470")).messages[0]
    assert failed.error == f"470 {HOSTILE}: d"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--to", "12"), "a number has 5 to 15 digits, not 2"),
        (("--state", "lost"), "'lost' is no state"),
        (("--since", "soon"), "'soon' is no time"),
        (("--limit", "100000"), "'100000' is not a number of messages from 1 to 1000."),
        (("--older", "x"), "'x' is no place in the list"),
    ],
)
async def test_the_command_refuses_bad_filters(
    settings: Settings, pool: asyncpg.Pool, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in await refused(settings, "messages", *arguments)


async def test_its_help_names_every_state(settings: Settings) -> None:
    text = (await command(None, "messages", "--help")).output
    assert "in_doubt, held, taken" in " ".join(text.split())
