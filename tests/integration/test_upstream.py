"""Which upstream a database has: chosen by `warouter migrate` before its first owner, for ever."""

from __future__ import annotations

import asyncpg
import pytest
from msgspec.structs import replace

from tests.harness.cloud_owned import cloud_settings
from tests.harness.journals import own
from tests.harness.shell import command, printed
from warouter.config import Settings
from warouter.errors import CommandError, ConfigError
from warouter.node.runtime import ProcessIdentity, check_database
from warouter.store.upstream import read_upstream

CLOUD = "cloud:105954558954427"
VARIABLES = {
    "WAROUTER_UPSTREAM": "cloud",
    "WAROUTER_CLOUD_PHONE_NUMBER_ID": "105954558954427",
    "WAROUTER_CLOUD_WABA_ID": "102290129340398",
    "WAROUTER_CLOUD_TOKEN": "EAAJB-token",
    "WAROUTER_CLOUD_APP_SECRET": "0123456789abcdef0123456789abcdef",
    "WAROUTER_CLOUD_VERIFY_TOKEN": "verify-me",
}


async def test_a_database_that_nobody_has_used_gets_that_of_the_variables(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    assert await read_upstream(pool) == "simulator"
    said = await printed(settings, "migrate", **VARIABLES)
    assert said == f"up to date\nThe upstream is {CLOUD} now.\n"
    assert await read_upstream(pool) == CLOUD
    assert await printed(settings, "migrate", **VARIABLES) == "up to date\n"
    assert "The upstream is simulator now." in await printed(settings, "migrate")


async def test_one_that_was_used_keeps_its_own(settings: Settings, pool: asyncpg.Pool) -> None:
    await own(pool, 3, 11)
    said = await printed(settings, "migrate", **VARIABLES)
    assert f"The upstream stays simulator: the database was used with it, so not {CLOUD}." in said
    assert await read_upstream(pool) == "simulator"


async def test_without_a_number_nothing_is_done(settings: Settings) -> None:
    lacking = {**VARIABLES, "WAROUTER_CLOUD_PHONE_NUMBER_ID": ""}
    result = await command(settings, "migrate", **lacking)
    assert isinstance(result.exception, ConfigError)
    assert "WAROUTER_CLOUD_PHONE_NUMBER_ID is missing" in str(result.exception)
    assert result.stdout == ""


async def test_a_coreapp_with_another_one_does_not_start(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    mine = cloud_settings(settings, cloud_phone_number_id=CLOUD.partition(":")[2])
    for role in ("webapp", "master"):
        await check_database(mine, ProcessIdentity(mine, role))
    with pytest.raises(
        CommandError, match=r"is simulator, .* set to cloud:105954558954427: .*a new database"
    ):
        await check_database(mine, ProcessIdentity(mine, "coreapp"))
    await printed(settings, "migrate", **VARIABLES)
    await check_database(mine, ProcessIdentity(mine, "coreapp"))
    other = replace(mine, cloud_phone_number_id="1")
    for theirs in (settings, other):
        with pytest.raises(CommandError, match="WAROUTER_UPSTREAM"):
            await check_database(theirs, ProcessIdentity(theirs, "coreapp"))
