"""The database of a cluster, for commands of an operator: found, connected to, checked."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from warouter.cli.nodes import settings_for
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.local.description import NAME
from warouter.store import migrate
from warouter.store.database import Connection, close_politely, first_connection

_DEFAULT_FOLDER = Path("warouter-data")


def settings_of(data_dir: Path | None) -> Settings:
    """Those of --data-dir, else of WA_DB_*, else of ./warouter-data if there is one."""
    if data_dir is None and "WA_DB_HOSTNAME" not in os.environ:
        data_dir = _DEFAULT_FOLDER if (_DEFAULT_FOLDER / NAME).exists() else None
    return settings_for("master", data_dir)


@asynccontextmanager
async def connected(settings: Settings, application: str) -> AsyncIterator[Connection]:
    """A session, closed in the end; CommandError when the database does not answer.

    ``application`` must not begin with ``wa:``: those sessions are taken for a node's.
    """
    connection = await first_connection(settings, application)
    try:
        await migrate.check(connection)
        yield connection
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CommandError(
            f"The database did not answer ({error or type(error).__name__}): try again."
        ) from error
    finally:
        await close_politely(connection)
