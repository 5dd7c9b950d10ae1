"""``warouter cloud switch``: which upstream the database has."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import uvloop

from warouter.cli.database import connected, settings_of
from warouter.cli.nodes import data_dir_option
from warouter.cluster.shardmap import SIMULATOR
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.store.upstream import Switched, admit_older, read_upstream, switch

APPLICATION = "warouter cloud"


@click.command("switch")
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
    help="Also with messages that are not settled: the new upstream is sent them, but those that"
    " the Cloud API may have taken are held for `warouter doubt`.",
)
def command(data_dir: Path | None, kind: str | None, force: bool) -> None:
    """Give the database another upstream.

    For `cloud` it takes the number of WAROUTER_CLOUD_PHONE_NUMBER_ID. All shards are without an
    owner until coreapps start that are set to the new upstream; webapps hold requests meanwhile.
    After a switch to the Cloud API, builds that do not know it refuse to start, also after the way
    back as long as messages are left that they would treat wrongly.
    """
    settings = settings_of(data_dir)
    upstream = _wanted(settings, kind or settings.upstream)
    found = uvloop.run(_switch(settings, upstream, force=force))
    if isinstance(found, bool):
        click.echo(f"The upstream is {upstream} already.")
        _say_older(upstream, shut_out=not found)
        return
    if not found.done:
        raise CommandError(_in_the_way(found))
    click.echo(f"The upstream is {upstream} now.")
    if found.unsettled:
        click.echo(f"It will be sent {_count(found.unsettled)} that were not settled.")
    if found.doubtful or found.held:
        held = _count(found.doubtful + found.held)
        click.echo(f"Held for `warouter doubt`, as the Cloud API may have taken them: {held}.")
    _say_older(upstream, shut_out=found.shut_out)
    if found.restart:
        names = ", ".join(found.restart)
        click.echo(f"Restart these with WAROUTER_UPSTREAM set to it, webapps first: {names}.")


def _wanted(settings: Settings, kind: str) -> str:
    """The upstream as the database names it; ConfigError if the variables do not say."""
    wanted = msgspec.structs.replace(settings, upstream=kind)
    if kind == "cloud":
        _ = wanted.cloud
    return wanted.upstream_name


async def _switch(settings: Settings, upstream: str, *, force: bool) -> Switched | bool:
    """If the database has this upstream already, whether older builds may run."""
    async with connected(settings, APPLICATION) as connection:
        if await read_upstream(connection) == upstream:
            return await admit_older(connection)
        return await switch(connection, upstream, force=force)


def _in_the_way(found: Switched) -> str:
    """What is left, and what to do about it: only that of which there is something."""
    left, advice = [], []
    if found.unsettled:
        parked = f", {found.parked:,} of them parked" if found.parked else ""
        left.append(f"{_count(found.unsettled)} not settled{parked}")
    if found.doubtful:
        left.append(f"{_count(found.doubtful)} that the Cloud API may have taken")
    if found.unsettled or found.doubtful:
        advice.append("stop the webapps and wait until `warouter status` shows no backlog")
    if found.held:
        left.append(f"{_count(found.held)} held")
        advice.append("end what is held by `warouter doubt resend` or `warouter doubt fail`")
    return (
        f"In the way: {'; '.join(left)}: {' and '.join(advice)}, or use --force, by which the new"
        " upstream is sent what is not settled, and the rest is held."
    )


def _say_older(upstream: str, *, shut_out: bool) -> None:
    """Who comes back to the simulator may want an older build next."""
    if shut_out and upstream == SIMULATOR:
        click.echo(
            "Older builds may not run yet: say this once more when these messages have ended"
            " (`warouter status`, `warouter doubt list`)."
        )


def _count(number: int) -> str:
    return f"{number:,} message" if number == 1 else f"{number:,} messages"
