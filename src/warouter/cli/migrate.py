"""``warouter migrate``: brings the database to the schema of this build."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import click

from warouter.cli.nodes import data_dir_option, settings_for
from warouter.errors import CommandError, UntrustedDatabase
from warouter.store.migrate import migrate as apply


@click.command()
@data_dir_option
def migrate(data_dir: Path | None) -> None:
    """Create or upgrade the schema. Safe to repeat, and to run from several places at once."""
    settings = settings_for("master", data_dir)
    try:
        applied = asyncio.run(apply(settings))
    except UntrustedDatabase as error:
        raise CommandError(str(error)) from error
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise CommandError(
            f"PostgreSQL at {settings.db_where} failed to run the migrations"
            f" ({error or type(error).__name__}): check WA_DB_*."
        ) from error
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("up to date")
