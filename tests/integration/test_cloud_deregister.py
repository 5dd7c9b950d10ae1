"""`warouter cloud deregister`: at Meta, and in the database of the same number."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.cloud import client_variables
from tests.harness.shell import at_terminal, command, printed, refused
from warouter.config import Settings
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.store.account.registration import read_standing
from warouter.store.upstream import choose_upstream

TOKEN = "EAAtoken-of-the-test"
ASKED = ("cloud", "deregister", "--yes")
WHO = "+15557770000 (warouter test)"
IS = f"{WHO} is registered. Deregistered, it stops sending and hearing at once."
DONE = "It is deregistered."


class World:
    """Meta's stand-in with a registered number, and the database of a cluster that serves it."""

    def __init__(self, settings: Settings, simulator: CloudSimulator) -> None:
        self.settings = settings
        self.simulator = simulator
        self.variables: dict[str, str] = {}

    async def said(self, *arguments: str) -> list[str]:
        return (await printed(self.settings, *arguments, **self.variables)).splitlines()


@pytest_asyncio.fixture
async def world(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[World]:
    simulator = CloudSimulator(CloudFacts(token=TOKEN))
    addresses = await simulator.start()
    world = World(settings, simulator)
    world.variables = client_variables(simulator.facts, addresses.graph_url)
    async with pool.acquire() as connection:
        await choose_upstream(connection, f"cloud:{simulator.facts.phone_number_id}")
    await pool.execute(
        "insert into account (number, cc, phone_number, cert) values (1, '1', '5557770000', 'c')"
    )
    yield world
    await simulator.stop()


async def test_the_number_is_off_at_meta_and_in_the_database(
    world: World, pool: asyncpg.Pool
) -> None:
    assert (await read_standing(pool, 1)).registered
    assert await world.said(*ASKED) == [
        IS,
        DONE,
        "The database has no registered number now.",
    ]
    assert not world.simulator.number.registered
    assert not (await read_standing(pool, 1)).registered
    (entry,) = [
        msgspec.json.decode(line)
        for line in (await printed(world.settings, "audit", "--json")).splitlines()
    ]
    assert (entry["action"], entry["subject"], entry["outcome"]) == (
        "deregister",
        "15557770000",
        "done",
    )
    # Said once more, as after a failure halfway: nothing is asked of Meta again.
    assert await world.said(*ASKED) == [
        f"{WHO} is not registered with Meta.",
        "The database had no registered number.",
    ]


async def test_a_number_that_meta_limits_is_registered_all_the_same(world: World) -> None:
    """Whoever took it for unregistered would tell Meta nothing, and forget it here."""
    for status in ("FLAGGED", "RESTRICTED", "RATE_LIMITED"):
        world.simulator.use(CloudFaults(number_status=status))
        world.simulator.number.registered = True
        assert (await world.said(*ASKED))[:2] == [IS, DONE]
        assert not world.simulator.number.registered


async def test_a_database_of_another_upstream_stays_as_it_is(
    world: World, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        await choose_upstream(connection, "cloud:4711")
    said = await world.said(*ASKED)
    assert said[2:] == ["The database has the upstream cloud:4711, and stays as it is."]
    assert (await read_standing(pool, 1)).registered


async def test_without_a_database_meta_is_told_all_the_same(world: World) -> None:
    result = await command(None, *ASKED, **world.variables)
    assert (result.exit_code, world.simulator.number.registered) == (0, False)
    assert result.stdout.splitlines()[2].startswith("No database is named. Run this again")


async def test_a_database_that_is_down_is_said(world: World) -> None:
    away = {"WA_DB_HOSTNAME": "127.0.0.1", "WA_DB_PORT": "1"}
    result = await command(None, *ASKED, **world.variables, **away)
    assert result.stdout.splitlines() == [IS, DONE]
    assert "cannot be reached" in str(result.exception)
    assert "until it hears of it, POST /v1/account" in str(result.exception)


async def test_a_refusal_by_meta_leaves_everything(world: World, pool: asyncpg.Pool) -> None:
    world.simulator.use(CloudFaults(no_token=True))
    sentence = await refused(world.settings, *ASKED, **world.variables)
    assert sentence.startswith("Meta does not say which number this is (the Graph API answered")
    assert TOKEN not in sentence
    assert (await read_standing(pool, 1)).registered


async def test_without_a_terminal_the_command_asks_nothing(world: World) -> None:
    result = await command(world.settings, *ASKED[:2], **world.variables)
    assert str(result.exception) == "There is no terminal to ask at: use --yes."
    assert getattr(result.exception, "exit_code", None) == 2
    assert result.stdout.splitlines() == [IS]
    assert world.simulator.number.registered


@pytest.mark.parametrize(
    ("typed", "code", "registered"),
    [
        ("15557770000", 0, False),
        ("+1 555 777 0000", 0, False),
        ("15557770001", 1, True),
        ("", 1, True),
    ],
)
async def test_at_a_terminal_the_number_has_to_be_typed(
    world: World, typed: str, code: int, registered: bool
) -> None:
    ended, said = await at_terminal(typed, os.environ | world.variables, *ASKED[:2])
    assert (ended, world.simulator.number.registered) == (code, registered), said
    assert ("nothing was done" in said) is registered
