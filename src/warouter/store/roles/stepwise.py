"""Changes of the schema beside traffic: each waits for its locks for a moment only, lets go of all
it has, and tries again, since behind a waiting ALTER everything else would queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import random
from typing import Any

import asyncpg

from warouter.errors import CommandError
from warouter.retry import backoff
from warouter.store.database import Connection

log = logging.getLogger(__name__)

# Shorter than deadlock_timeout, so that it is always this side that gives way.
LOCK_MS = 200
TRY_SECONDS = 120.0
BRIEFLY = f"set local lock_timeout = {LOCK_MS}"
_OLDEST = """
select pid, application_name, extract(epoch from clock_timestamp() - xact_start)::int as age
  from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
 order by xact_start limit 1"""


async def patiently(
    connection: Connection, name: str, change: Callable[[], Awaitable[Any]]
) -> None:
    """Run a change in a transaction with short lock time-outs, again until it got all its locks.

    CommandError, with ``name``, when that took too long.
    """

    async def once() -> None:
        async with connection.transaction():
            await connection.execute(BRIEFLY)
            await change()

    await again(connection, name, once)


async def again(connection: Connection, name: str, once: Callable[[], Awaitable[None]]) -> None:
    """Repeat until all locks were granted; raises CommandError after ``TRY_SECONDS``."""
    loop = asyncio.get_running_loop()
    give_up, attempt = loop.time() + TRY_SECONDS, 0
    while True:
        try:
            await once()
            return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            if loop.time() > give_up:
                raise CommandError(await _in_the_way(connection, name)) from error
            if attempt == 2:  # a busy table costs a try or two
                log.warning("migration lock timed out", extra={"migration": name})
        await asyncio.sleep(backoff(attempt, first=0.05, most=1.0, draw=random()))
        attempt += 1


async def _in_the_way(connection: Connection, name: str) -> str:
    """A sentence on who holds the locks, and what to do."""
    oldest = await connection.fetchrow(_OLDEST)
    suspect = (
        f" (the oldest open transaction: {oldest['age']} s, pid {oldest['pid']},"
        f" {oldest['application_name'] or 'without a name'!r})"
        if oldest
        else ""
    )
    return (
        f"{name} did not get its locks within {TRY_SECONDS:g} s{suspect} and is not applied:"
        " end the long transaction or dump, and run `warouter migrate` again."
    )
