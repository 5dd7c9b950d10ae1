"""``warouter cloud deregister``: takes the number off the Cloud API."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import uvloop

from warouter.cli.cloud import number_settings
from warouter.cli.database import audited, connected
from warouter.cli.nodes import data_dir_option
from warouter.cloud_number import FIRST, NumberCloud
from warouter.cloud_settings import CloudSettings
from warouter.config import Settings
from warouter.errors import CommandError, ConfigError
from warouter.store.account.registration import unregister
from warouter.store.upstream import read_upstream
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.described import NumberFields
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.secrets import Secrets

APPLICATION = "warouter cloud"
_TOLD = (
    "Run this again where the database can be reached: until it hears of it, POST /v1/account takes"
    " the number for registered."
)


@click.command("deregister")
@data_dir_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(data_dir: Path | None, yes: bool) -> None:
    """Take the number off: it stops sending and hearing at once.

    `POST /v1/account` registers it again; Meta allows ten of these in 72 hours. What is accepted
    already waits, and webapps accept more until they are restarted. It asks for the number first.
    If the database answers, the number is unregistered there too.
    """
    settings = number_settings(data_dir)
    cloud, of = settings.cloud, settings.number_cloud
    secrets = Secrets(of)
    found = uvloop.run(_named(cloud, of, secrets))
    who = f"{found.number} ({found.name})" if found.name else found.number
    if found.connected:
        click.echo(f"{who} is registered. Deregistered, it stops sending and hearing at once.")
    else:
        click.echo(f"{who} is not registered with Meta.")
    if not yes:
        _ask(found.number)
    if found.connected:
        uvloop.run(_deregister(cloud, of, secrets))
        click.echo("It is deregistered.")
    click.echo(uvloop.run(_unregister(settings)))


def _ask(number: str) -> None:
    """Go on if the number is typed; a script has to say --yes."""
    if not sys.stdin.isatty():
        raise ConfigError("There is no terminal to ask at: use --yes.")
    typed = click.prompt("Type the number to go on", default="", show_default=False)
    if _digits(typed) != _digits(number) or not _digits(number):
        raise CommandError("That is another number: nothing was done.")


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


async def _named(cloud: CloudSettings, of: NumberCloud, secrets: Secrets) -> NumberFields:
    calls = Calls(cloud, secrets)
    try:
        return await NumberCalls(calls).named(of)
    except CallFailed as error:
        raise CommandError(
            f"Meta does not say which number this is ({error}): see `warouter cloud check`."
        ) from error
    finally:
        await calls.close()


async def _deregister(cloud: CloudSettings, of: NumberCloud, secrets: Secrets) -> None:
    calls = Calls(cloud, secrets)
    try:
        await NumberCalls(calls).deregister(of)
    except CallFailed as error:
        words = str(error)
        if error.judged is None:
            words += ", so it may be deregistered all the same"
        raise CommandError(f"Meta did not deregister it ({words}): say it again.") from error
    finally:
        await calls.close()


async def _unregister(settings: Settings) -> str:
    """Unregister the number in the database, if that is its own; a sentence about it."""
    if not settings.db_hostname:
        return f"No database is named. {_TOLD}"
    try:
        async with connected(settings, APPLICATION) as connection, connection.transaction():
            upstream = await read_upstream(connection)
            if upstream != settings.upstream_name:
                return f"The database has the upstream {upstream}, and stays as it is."
            number = await unregister(connection, FIRST)
            await audited(connection, "deregister", number or "")
    except CommandError as error:
        raise CommandError(f"{error} {_TOLD}") from error
    if number is None:
        return "The database had no registered number."
    return "The database has no registered number now."
