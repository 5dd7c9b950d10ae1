"""The database of a cluster, for the operator's commands: found, connected to and checked."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import click
import uvloop
from rich.console import Console
from rich.table import Table

from warouter.cli.nodes import settings_for
from warouter.config import Settings
from warouter.errors import CommandError, lacking
from warouter.local.description import NAME
from warouter.store import audit, migrate
from warouter.store.database import Connection, close_politely, first_connection

T = TypeVar("T")

DEFAULT_FOLDER = Path("warouter-data")
PIPE_COLUMNS = 180
# The latter when the server's farewell was read, but not yet the end of the connection.
OF_THE_DRIVER = (asyncpg.InterfaceError, asyncpg.InternalClientError)

cluster_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Use the cluster that `warouter up` runs on this data directory; by default the database"
    " that WA_DB_* name, else the cluster of ./warouter-data if there is one.",
)


class Moment(click.DateTime):
    """A time in UTC, in the forms in which the commands and the log write one."""

    def convert(self, *given: Any) -> datetime:
        return super().convert(*given).replace(tzinfo=UTC)


_MINUTES, _SECONDS = "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"
MOMENT = Moment(["%Y-%m-%d", _MINUTES, _SECONDS, f"{_SECONDS}Z", f"{_SECONDS}.%fZ"])


def settings_of(data_dir: Path | None) -> Settings:
    """Settings of the database: from --data-dir, else WA_DB_*, else an existing ./warouter-data."""
    return settings_for("console", folder_of(data_dir))


def folder_of(data_dir: Path | None) -> Path | None:
    """The data directory of the cluster that is meant; None for what WA_DB_* names."""
    if data_dir is None and "WA_DB_HOSTNAME" not in os.environ:
        return DEFAULT_FOLDER if (DEFAULT_FOLDER / NAME).exists() else None
    return data_dir


def ask(data_dir: Path | None, application: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run ``work`` in a session with the database that is meant; see ``connected``."""
    settings = settings_of(data_dir)

    async def run() -> T:
        async with connected(settings, application) as connection:
            return await work(connection)

    return uvloop.run(run())


@asynccontextmanager
async def connected(settings: Settings, application: str) -> AsyncIterator[Connection]:
    """A session that is closed at the end; raises CommandError when the database does not answer.

    ``application`` must not begin with ``wa:``: those sessions are taken for a node's.
    """
    connection = await checked(settings, application)
    try:
        with told():
            yield connection
    finally:
        await close_politely(connection)


async def checked(settings: Settings, application: str) -> Connection:
    """A session on a schema that this build can read; the caller closes it."""
    connection = await first_connection(settings, application)
    try:
        with told():
            await migrate.check(connection)
    except BaseException:
        await close_politely(connection)
        raise
    return connection


async def audited(connection: Connection, action: str, subject: str) -> None:
    """Write what this command does into the audit log, in the transaction that does it."""
    actor, source = operator()
    await audit.record(connection, actor, action, subject, source)


def operator() -> tuple[str, str]:
    """The person who runs this command, and the host, as the audit log names them."""
    return _user(), socket.gethostname()


def _user() -> str:
    """The person who runs this command, as the audit log names them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return f"uid {os.getuid()}"


@contextmanager
def told() -> Iterator[None]:
    """Turns the driver's errors into one sentence."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise CommandError(lacking(str(error))) from error
    except (OSError, asyncpg.PostgresError, *OF_THE_DRIVER) as error:
        raise CommandError(
            f"The database did not answer ({error or type(error).__name__}): try again."
        ) from error


def console() -> Console:
    """A console as wide as the terminal, or wide enough for every column in a file or a pipe."""
    found = Console()
    return found if found.is_terminal else Console(width=PIPE_COLUMNS)


def table(*columns: str, title: str | None = None) -> Table:
    """A table without lines; a column named ``>so`` is aligned to the right."""
    made = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name.removeprefix(">"), justify="right" if name[0] == ">" else "left")
    return made
