"""``warouter migrate``: brings the database to this build's schema, and its logins up to date."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import asyncpg
import click

from warouter.cli.database import OF_THE_DRIVER
from warouter.cli.nodes import ADMINISTRATOR, data_dir_option, settings_for
from warouter.config import Settings
from warouter.errors import CommandError, UnfitDatabase, UntrustedDatabase
from warouter.store import audit
from warouter.store.migrate import act_as_owner, administering
from warouter.store.migrate import migrate as apply
from warouter.store.roles import create, grants, revoke
from warouter.store.upstream import choose_upstream, read_upstream

AGAIN_SECONDS = 0.5
_AWAY = (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)


@click.command()
@data_dir_option
@click.option("--roles", is_flag=True, help="Make a login for each kind of process, as well.")
@click.option(
    "--role-prefix",
    metavar="PREFIX",
    help=f"What the names of the roles begin with; {grants.PREFIX} if it is not said.",
)
@click.option(
    "--password-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Give each login the password in KIND.password there; what is missing is drawn.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=0.0,
    metavar="SECONDS",
    help="So long a server that does not answer yet is tried again.",
)
@click.option("--check-roles", is_flag=True, help="Change nothing; say what is wrong with roles.")
@click.option("--revoke-role", metavar="NAME", help="Take from a login what it could do before.")
def migrate(
    data_dir: Path | None,
    roles: bool,
    role_prefix: str | None,
    password_dir: Path | None,
    wait: float,
    check_roles: bool,
    revoke_role: str | None,
) -> None:
    """Create or upgrade the schema. Safe to repeat, and to run from several places at once.

    A database that no coreapp has used yet belongs to the upstream that WAROUTER_UPSTREAM names.

    WA_DB_USERNAME is an administrator: a superuser, or whoever owns the database. With --roles it
    needs CREATEROLE.
    """
    if (role_prefix or password_dir) and not roles:
        raise click.UsageError("--role-prefix and --password-dir go with --roles.")
    settings = settings_for(ADMINISTRATOR, data_dir)
    if check_roles:
        wrong = _ran(settings, _check(settings))
        for sentence in wrong or ["The roles are as they should be."]:
            click.echo(sentence)
        sys.exit(1 if wrong else 0)
    if revoke_role:
        for sentence in _ran(settings, _revoke(settings, revoke_role)):
            click.echo(sentence)
        return
    for sentence in [*_applied(settings, wait), *_ran(settings, _choose(settings))]:
        click.echo(sentence)
    if roles:
        for sentence in _ran(settings, _create(settings, role_prefix, password_dir)):
            click.echo(sentence)


def _applied(settings: Settings, seconds: float) -> list[str]:
    until = time.monotonic() + seconds
    while True:
        try:
            return [f"applied {name}" for name in _ran(settings, apply(settings))] or ["up to date"]
        except CommandError as error:
            if not _away(error.__cause__) or time.monotonic() > until:
                raise
        time.sleep(AGAIN_SECONDS)


def _away(error: BaseException | None) -> bool:
    """True if the server is not there yet, or starts: what it refuses, it refuses later as well."""
    refused = isinstance(error, (UnfitDatabase, UntrustedDatabase))
    return isinstance(error, _AWAY) and not refused


def _ran(settings: Settings, work: Coroutine[Any, Any, list[str]]) -> list[str]:
    try:
        return asyncio.run(work)
    except (UnfitDatabase, UntrustedDatabase) as error:
        raise CommandError(str(error)) from error
    except (OSError, asyncpg.PostgresError, *OF_THE_DRIVER) as error:
        first, _, _ = str(error).partition("\n")  # PostgreSQL may add lines of detail and hint
        raise CommandError(
            f"PostgreSQL at {settings.db_where} failed to run the migrations"
            f" ({first or type(error).__name__}): check WA_DB_*."
        ) from error


async def _choose(settings: Settings) -> list[str]:
    wanted = settings.upstream_name
    async with administering(settings) as connection:
        await act_as_owner(connection)
        before = await read_upstream(connection)
        if not await choose_upstream(connection, wanted):
            return [f"The upstream stays {before}: the database was used with it, so not {wanted}."]
    return [f"The upstream is {wanted} now."] if wanted != before else []


async def _create(settings: Settings, prefix: str | None, passwords: Path | None) -> list[str]:
    async with administering(settings) as connection:
        said = await create.create(connection, prefix, passwords)
        if await audit.keep(connection, settings.audit_days):
            said.append(f"Rows of the audit log stay for {settings.audit_days} days at least now.")
        return said


async def _check(settings: Settings) -> list[str]:
    async with administering(settings) as connection:
        return await create.check(connection)


async def _revoke(settings: Settings, role: str) -> list[str]:
    async with administering(settings) as connection:
        return await revoke.revoke(connection, role)
