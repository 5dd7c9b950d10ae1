"""Ids of inbound messages hold a whole number: people see others, v1 and callbacks keep them."""

from __future__ import annotations

from base64 import b64decode

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.shell import printed
from warouter._hash import slot_of
from warouter.config import Settings
from warouter.lab.simulator.cloud.wamid import Wamids
from warouter.log import use_key
from warouter.store import dead_letters
from warouter.store.dead_letters import Selection
from warouter.store.views.messages.found import Search
from warouter.store.views.messages.read import read_messages
from warouter.store.views.messages.short import short_id
from warouter.store.views.messages.shown import read_shown
from warouter.store.views.trace import read_trace

NUMBER, SEQ = "15550001111", 12
SLOT = slot_of(NUMBER)
WAMID = Wamids(7).incoming(NUMBER, 1)


@pytest_asyncio.fixture
async def short(pool: asyncpg.Pool) -> str:
    """The short id of an inbound message that the journal has, under the database's key."""
    assert NUMBER.encode() in b64decode(WAMID.removeprefix("wamid."))
    await pool.execute(
        "insert into event (slot, kind, seq, key, recipient, payload)"
        " values ($1, 1, $2, $3, $4, '{}')",
        *(SLOT, SEQ, WAMID, NUMBER),
    )
    use_key(await pool.fetchval("select shown_key from format"))
    return short_id(WAMID, SLOT, SEQ)


async def test_a_list_has_short_ids_that_find_the_message(pool: asyncpg.Pool, short: str) -> None:
    assert short.startswith(f"in-{SLOT}-{SEQ}-")
    async with pool.acquire() as connection:
        (listed,) = (await read_messages(connection, Search())).messages
        assert listed.id == short
        for asked in (short, WAMID):
            found = await read_shown(connection, asked)
            assert found is not None
            assert (found.id, found.recipient, found.state) == (short, NUMBER, "received")
            by_id = await read_messages(connection, Search(message_id=asked))
            assert [each.id for each in by_id.messages] == [short]


async def test_a_client_still_has_the_real_one(pool: asyncpg.Pool, short: str) -> None:
    async with pool.acquire() as connection:
        found = await read_trace(connection, WAMID)
    assert found is not None
    assert found.id == WAMID


@pytest.mark.parametrize("wrong", ["aaaaaaaaaaaaa", "", "AAAAAAAAAAAAA", "a' or true --"])
async def test_a_place_alone_finds_nothing(pool: asyncpg.Pool, short: str, wrong: str) -> None:
    guess = f"in-{SLOT}-{SEQ}-{wrong}"
    async with pool.acquire() as connection:
        assert await read_shown(connection, guess) is None
        assert await read_shown(connection, short.replace(f"-{SEQ}-", "-13-")) is None


async def test_another_database_has_other_ids(short: str) -> None:
    use_key(b"another")
    assert short_id(WAMID, SLOT, SEQ) != short


async def test_commands_show_no_wamid(settings: Settings, short: str) -> None:
    for words in (("messages",), ("messages", "--json"), ("trace", WAMID), ("trace", short)):
        shown = await printed(settings, *words)
        assert short in shown
        assert "wamid." not in shown


async def test_a_dead_letter_names_its_message_by_it(pool: asyncpg.Pool, short: str) -> None:
    await pool.execute(
        "insert into dead_letter (slot, kind, seq, key, recipient, attempts, reason, payload)"
        " select slot, kind, seq, key, recipient, 3, 'gone', payload from event"
    )
    await pool.execute("delete from event")
    async with pool.acquire() as connection:
        (cover,) = await dead_letters.covers(connection, Selection(), 10)
        assert cover.key == short
        found = await read_shown(connection, short)
    assert found is not None
    assert found.id == short
