"""``warouter key`` through the command line, while a webapp runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.lone_webapp import Webapp, alone
from tests.harness.shell import command, printed, refused
from warouter.access.key import may_be_key
from warouter.config import Settings

AUDITED = "select action, subject, outcome from audit order by id"


@pytest_asyncio.fixture
async def webapp(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Webapp]:
    async with alone(settings) as webapp:
        yield webapp


async def test_a_key_from_beginning_to_end(
    settings: Settings, pool: asyncpg.Pool, webapp: Webapp
) -> None:
    await webapp.process.start()
    assert "There are no keys" in await printed(settings, "key", "list")
    result = await command(settings, "key", "add", "Prometheus", "--scope", "monitor")
    key = result.stdout.removesuffix("\n")
    assert may_be_key(key)
    assert "It is shown only now" in result.stderr
    assert key not in result.stderr
    assert await webapp.opens(key)
    (shown,) = msgspec.json.decode(await printed(settings, "key", "list", "--json"))
    assert (shown["name"], shown["scopes"], shown["starts"]) == (
        "Prometheus",
        ["monitor"],
        key[:8],
    )
    number = str(shown["id"])
    assert "Prometheus" in await printed(settings, "key", "list")
    assert await printed(settings, "key", "remove", number) == (
        f"Key {number} (Prometheus) removed.\n"
    )
    await webapp.until_ended(key)
    assert "There is no key" in await refused(settings, "key", "remove", number)
    about = f"{number} Prometheus monitor"
    assert [tuple(row) for row in await pool.fetch(AUDITED)][:2] == [
        ("add key", about, "done"),
        ("remove key", about, "done"),
    ]
    assert key not in webapp.process.log.read_text()


async def test_a_key_in_a_file_is_its_owners_alone(
    settings: Settings, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    told = await printed(
        settings,
        *("key", "add", "shop", "--scope", "send", "--days", "90"),
        *("--network", "192.0.2.0/24", "--file", str(file)),
    )
    assert "wrk_" not in told
    assert may_be_key(file.read_text().removesuffix("\n"))
    assert file.stat().st_mode & 0o777 == 0o600
    row = await pool.fetchrow(
        "select networks::text[], expires_at - created_at > interval '89 days' from api_key"
    )
    assert tuple(row) == (["192.0.2.0/24"], True)
    again = await refused(settings, "key", "add", "x", "--scope", "send", "--file", str(file))
    assert "exists already" in again
    assert await pool.fetchval("select count(*) from api_key") == 1


async def test_a_token_of_another_product_is_adopted(
    settings: Settings, pool: asyncpg.Pool, webapp: Webapp, tmp_path: Path
) -> None:
    await webapp.process.start()
    theirs, file = "EAAG" + "x" * 180, tmp_path / "token"
    file.write_text(f"{theirs}\n")
    file.chmod(0o600)
    assert not await webapp.opens(theirs)
    adopt = ("key", "add", "chatwoot", "--scope", "monitor", "--adopt", "--file", str(file))
    assert "added" in await printed(settings, *adopt)
    assert await webapp.opens(theirs)
    assert "adopted before" in await refused(settings, *adopt)
    file.write_text("short\n")
    assert "32 to 1024 printable" in await refused(settings, *adopt)
    assert "--adopt wants --file" in await refused(
        settings, "key", "add", "x", "--scope", "send", "--adopt"
    )
    assert await pool.fetchval("select count(*) from api_key where starts = 'adopted'") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((" shop", "--scope", "send"), "The name must have 1 to 64"),
        (("shop", "--scope", "send", "--network", "192.0.2.1/24"), "The networks[0] must be"),
    ],
)
async def test_wishes_that_are_refused(
    settings: Settings, pool: asyncpg.Pool, arguments: tuple[str, ...], words: str
) -> None:
    assert words in await refused(settings, "key", "add", *arguments)
    assert await pool.fetchval("select count(*) from api_key") == 0
