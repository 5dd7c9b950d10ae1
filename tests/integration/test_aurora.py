"""On Amazon Aurora, where the functions of the WAL fail, the timeline counts as 1."""

from __future__ import annotations

import asyncio
import shutil
from uuid import uuid4

import asyncpg
import pytest

from tests.harness import prepared
from tests.harness.aurora import OLDER, TODAY, Refusal, like_aurora
from tests.harness.standby import Pair
from warouter.config import Settings
from warouter.local.postgres import Postgres

NEXT = "select next_number($1)"
FIRST = 1 << 32


@pytest.mark.parametrize("refusal", [TODAY, OLDER], ids=["today", "older"])
async def test_numbers_rise_on_timeline_1(
    postgres: Postgres, settings: Settings, pool: asyncpg.Pool, refusal: Refusal
) -> None:
    names = await like_aurora(postgres.dsn(settings.database), refusal)
    assert {"pg_current_wal_lsn", "pg_walfile_name", "pg_control_checkpoint"} <= {*names}
    with pytest.raises(asyncpg.PostgresError) as raised:
        await pool.fetchval("select pg_current_wal_lsn()")
    assert (raised.value.sqlstate, raised.value.message) == refusal[:2]
    assert await pool.fetchval(NEXT, 0) == FIRST + 1
    assert await pool.fetchval(NEXT, FIRST + 1) == FIRST + 2
    # Brought here from a PostgreSQL that has been promoted twice.
    assert await pool.fetchval(NEXT, 3 * FIRST + 7) == 3 * FIRST + 8
    terms = [await pool.fetchval("select win_term($1)", uuid4()) for _ in range(3)]
    assert terms == [FIRST + 1, FIRST + 2, FIRST + 3]


async def test_any_other_error_stays_one(
    postgres: Postgres, settings: Settings, pool: asyncpg.Pool
) -> None:
    await like_aurora(postgres.dsn(settings.database), Refusal("42501", "permission denied"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.fetchval(NEXT, 0)


async def test_a_standby_gives_no_number() -> None:
    """The functions fail there by the same code, and the timeline is not known."""
    folder = prepared.reachable_folder()
    pair = Pair(folder)
    try:
        await asyncio.to_thread(prepared.copy_to, pair.primary.folder)
        await pair.start()
        await pair.follow()
        assert pair.standby is not None
        connection = await asyncpg.connect(pair.standby.dsn(prepared.DATABASE))
        with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
            await connection.fetchval("select warouter.next_number(0)")
        await connection.close()
    finally:
        await pair.stop()
        shutil.rmtree(folder, ignore_errors=True)
