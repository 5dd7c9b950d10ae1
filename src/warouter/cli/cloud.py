"""``warouter cloud``: the Cloud API for operators: which upstream the database has."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import uvloop

from warouter.cli.database import connected, settings_of
from warouter.cli.nodes import data_dir_option
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.store.upstream import Switched, read_upstream, switch

APPLICATION = "warouter cloud"


@click.group()
def cloud() -> None:
    """Choose between the Cloud API, the upstream that reaches WhatsApp, and the simulator.

    Uses the database that WA_DB_* names, or that of a local cluster: --data-dir, else
    ./warouter-data if there is one.
    """


@cloud.command("switch")
@data_dir_option
@click.option(
    "--to",
    "kind",
    type=click.Choice(("simulator", "cloud")),
    help="The default is what WAROUTER_UPSTREAM says.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Also with messages that are not settled: the new upstream is sent them, and those that"
    " the Cloud API may have taken are held for `warouter doubt`.",
)
def switch_command(data_dir: Path | None, kind: str | None, force: bool) -> None:
    """Give the database another upstream.

    For `cloud` it takes the number of WAROUTER_CLOUD_PHONE_NUMBER_ID. All shards are without an
    owner until coreapps start that are set to the new upstream; webapps hold requests meanwhile.
    After a switch to the Cloud API, builds that do not know it refuse to start.
    """
    settings = settings_of(data_dir)
    upstream = _wanted(settings, kind or settings.upstream)
    found = uvloop.run(_switch(settings, upstream, force=force))
    if found is None:
        click.echo(f"The upstream is {upstream} already.")
        return
    if not found.done:
        raise CommandError(_in_the_way(found))
    click.echo(f"The upstream is {upstream} now.")
    if found.unsettled:
        click.echo(f"It will be sent {_count(found.unsettled)} that were not settled.")
    if found.doubtful:
        click.echo(f"Held, as the Cloud API may have taken them: {_count(found.doubtful)}.")
    if found.restart:
        names = ", ".join(found.restart)
        click.echo(f"Restart these coreapps with WAROUTER_UPSTREAM set to it: {names}.")


def _wanted(settings: Settings, kind: str) -> str:
    """The upstream as the database names it; ConfigError if the variables do not say."""
    wanted = msgspec.structs.replace(settings, upstream=kind)
    if kind == "cloud":
        _ = wanted.cloud
    return wanted.upstream_name


async def _switch(settings: Settings, upstream: str, *, force: bool) -> Switched | None:
    """None if the database has this upstream already."""
    async with connected(settings, APPLICATION) as connection:
        if await read_upstream(connection) == upstream:
            return None
        return await switch(connection, upstream, force=force)


def _in_the_way(found: Switched) -> str:
    return (
        f"Messages are left that are not settled ({found.unsettled:,}), or that the Cloud API may"
        f" have taken ({found.doubtful:,}): stop the webapps and wait until `warouter status` shows"
        " no backlog, or use --force."
    )


def _count(number: int) -> str:
    return f"{number:,} message" if number == 1 else f"{number:,} messages"
