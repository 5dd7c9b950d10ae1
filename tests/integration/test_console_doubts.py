"""Messages in doubt at the console: filters of the page Number, and an operator's word on many.

On a real database, under the console's own login.
"""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.pages import Answer, Pages, pages
from warouter._hash import slot_of
from warouter.config import Settings
from warouter.message_id import mint, text_of
from warouter.store import operator_word
from warouter.store.journal.issues import DOUBTED, KEPT

TO, OTHER_ONE = "4915112345678", "4915100000000"
NUMBERS = "/console/numbers"
PREVIEW = f"{NUMBERS}/doubts"


@pytest_asyncio.fixture
async def console(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Pages]:
    await pool.execute("update format set upstream = 'cloud:106540352242922'")
    async with pages(settings, pool) as found:
        yield found


def raw(n: int, to: str = TO) -> bytes:
    return mint(slot_of(to), 1_700_000_000_000, bytes([n] * 12))


async def doubt(
    pool: asyncpg.Pool, n: int, state: int, to: str = TO, cause: str = "timeout", age: float = 5
) -> None:
    await pool.execute(
        "insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, cause, at)"
        " values ($1, $2, $3, $4, 1, 1, $5, $6, now() - make_interval(secs => $7))",
        *(slot_of(to), n, raw(n, to), to, state, cause, age),
    )


async def some(pool: asyncpg.Pool) -> None:
    await doubt(pool, 1, KEPT, age=7_300)
    await doubt(pool, 2, KEPT, OTHER_ONE, "connection")
    await doubt(pool, 3, DOUBTED)


async def words(pool: asyncpg.Pool) -> list[tuple[bytes, bytes]]:
    rows = await pool.fetch("select id, payload from cloud_inbox where kind = 4 order by n")
    return [tuple(row) for row in rows]


def previewed(answer: Answer) -> dict[str, str]:
    """The fields that the button of a preview posts."""
    found = re.findall(r'<input type="hidden" name="(.*?)" value="(.*?)">', answer.text)
    return {name: html.unescape(value) for name, value in found}


def offered(answer: Answer) -> set[str]:
    """The words that the list has links for."""
    return {parse_qs(urlsplit(link).query)["word"][0] for link in answer.links(PREVIEW)}


@pytest.mark.parametrize(
    ("query", "caption", "count"),
    [
        ("", "1 in doubt, 2 held", 3),
        ("state=held", "2 held", 2),
        ("state=in_doubt", "1 in doubt", 1),
        ("cause=connection", "1 held", 1),
        (f"number=%2B{TO}", "1 in doubt, 1 held", 2),
        ("before=2h", "1 held", 1),
        ("since=2h&state=held", "1 held", 1),
        (f"slot={slot_of(OTHER_ONE)}", "1 held", 1),
    ],
)
async def test_the_list_is_filtered(
    console: Pages, pool: asyncpg.Pool, query: str, caption: str, count: int
) -> None:
    await some(pool)
    answer = await console.get(f"{NUMBERS}?{query}")
    assert f"<caption>{caption}</caption>" in answer.text
    assert answer.text.count('<tr id="doubt-') == count
    given = (f"+{TO}", f"%2B{TO}")  # the filter itself, which is in the address
    assert TO not in answer.text.replace(given[0], "").replace(given[1], "")


async def test_a_filter_that_cannot_be_meant_is_told(console: Pages, pool: asyncpg.Pool) -> None:
    await some(pool)
    answer = await console.get(f"{NUMBERS}?slot=99")
    assert "is not a slot from 0 to 31" in html.unescape(answer.text)
    assert '<tr id="doubt-' not in answer.text


async def test_the_words_that_are_offered_are_those_that_somebody_hears(
    console: Pages, pool: asyncpg.Pool
) -> None:
    await doubt(pool, 1, KEPT)
    assert offered(await console.get(NUMBERS)) == {"resend", "fail"}
    await pool.execute("update send_issue set state = $1", DOUBTED)
    assert offered(await console.get(NUMBERS)) == {"hold"}
    await console.as_person("robert")
    assert offered(await console.get(NUMBERS)) == set()


@pytest.mark.parametrize(
    ("word", "sentence", "heard"),
    [
        ("resend", "2 messages to 2 customers will be sent once more.", {1, 2}),
        ("fail", "2 customers may have got a message of which the business is told", {1, 2}),
        ("hold", "1 message to 1 customer will be held.", {3}),
    ],
)
async def test_a_word_to_many_is_previewed_and_said(
    console: Pages, pool: asyncpg.Pool, word: str, sentence: str, heard: set[int]
) -> None:
    await some(pool)
    answer = await console.get(f"{PREVIEW}?word={word}")
    assert sentence in answer.seen
    assert f"warouter doubt {word} --all" in answer.seen
    assert await words(pool) == []
    shown = await console.get((await console.post(f"{PREVIEW}/{word}", previewed(answer))).location)
    count = "1 message" if len(heard) == 1 else f"{len(heard)} messages"
    assert f"doubt {word} : {count}, by --all: done" in shown.seen
    said = await words(pool)
    assert {row[1] for row in said} == {word.encode()}
    assert {row[0][-1] for row in said} == heard
    assert f"an operator said {word}, not taken up yet" in shown.seen


async def test_a_word_goes_to_those_that_the_filters_left(
    console: Pages, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_word, "PAGE", 1)
    await some(pool)
    await doubt(pool, 4, KEPT, cause="connection", age=60)
    query = f"cause=connection&since=1h&number=%2B{TO}"
    answer = await console.get(f"{PREVIEW}?word=fail&{query}")
    assert "1 message to 1 customer will end as failed." in answer.seen
    await doubt(pool, 5, KEPT, cause="connection", age=-60)  # after the preview
    location = (await console.post(f"{PREVIEW}/fail", previewed(answer))).location
    assert await words(pool) == [(raw(4), b"fail")]
    assert parse_qs(urlsplit(location).query)["cause"] == ["connection"]
    shown = await console.get(location)
    assert "1 message, by --to +49...78" in shown.seen


async def test_messages_that_ended_meanwhile_are_counted(
    console: Pages, pool: asyncpg.Pool
) -> None:
    await some(pool)
    fields = previewed(await console.get(f"{PREVIEW}?word=resend"))
    await pool.execute("delete from send_issue where id = $1", raw(1))
    shown = await console.get((await console.post(f"{PREVIEW}/resend", fields)).location)
    assert "1 message, 1 message no longer held, by --all: done" in shown.seen
    await pool.execute("delete from send_issue")
    shown = await console.get((await console.post(f"{PREVIEW}/resend", fields)).location)
    assert "doubt resend : --all: None of these is held any more." in shown.seen


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"count": "1"},
        {"count": "0", "until": "2126-11-29T12:00:00Z"},
        {"count": "1", "until": "2126-11-29T12:00:00Z", "state": "in_doubt"},
        {"count": "1", "until": "soon"},
    ],
)
async def test_nothing_is_said_without_a_preview(
    console: Pages, pool: asyncpg.Pool, fields: dict[str, str]
) -> None:
    await some(pool)
    await console.post(f"{PREVIEW}/fail", fields)
    assert await words(pool) == []


async def test_readers_see_a_preview_and_say_nothing(console: Pages, pool: asyncpg.Pool) -> None:
    await some(pool)
    await console.as_person("robert")
    answer = await console.get(f"{PREVIEW}?word=fail")
    assert "An administrator can do it." in answer.seen
    fields = {"count": "2", "until": "2126-11-29T12:00:00Z"}
    assert (await console.post(f"{PREVIEW}/fail", fields)).status == 403
    assert await words(pool) == []


async def test_a_preview_of_none_and_of_no_word(console: Pages, pool: asyncpg.Pool) -> None:
    await doubt(pool, 1, DOUBTED)
    assert "None of these is held." in (await console.get(f"{PREVIEW}?word=fail")).seen
    answer = await console.get(f"{PREVIEW}?cause=timeout")
    assert "Choose what shall become of" in answer.seen
    for link in answer.links("?"):
        assert (await console.get(f"{PREVIEW}{link}")).status == 200
    assert len(answer.links("?")) == 3
    assert (await console.get(f"{PREVIEW}?word=fail&state=sent")).status == 400


async def test_one_message_in_doubt_is_held(console: Pages, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into message (slot, seq, id, recipient, kind, body) values ($1,1,$2,$3,0,'{}')",
        *(slot_of(TO), raw(1), TO),
    )
    await doubt(pool, 1, DOUBTED)
    one = f"/console/messages/{text_of(raw(1))}"
    answer = await console.get(one)
    assert "Hold this message" in answer.seen
    assert f"warouter doubt hold {text_of(raw(1))}" in answer.seen
    shown = await console.get((await console.post(f"{one}/hold")).location)
    assert f"doubt hold : {text_of(raw(1))}: done" in shown.seen
    assert await words(pool) == [(raw(1), b"hold")]
