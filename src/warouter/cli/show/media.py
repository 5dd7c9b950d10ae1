"""``warouter show media``: what is kept, what waits, and what could not be fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from warouter.cli.database import ask, cluster_option, console, table
from warouter.store.database import Connection
from warouter.store.views.setup.environment import EnvironmentStatus, read_environment
from warouter.store.views.setup.media_status import MediaStatus, quota_of, read_media

APPLICATION = "warouter show"
PIPE_COLUMNS = 140


@click.command("media")
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(data_dir: Path | None, as_json: bool) -> None:
    """Show how much media is kept, of what type, and which fetches failed last."""
    media, environment = ask(data_dir, APPLICATION, _read)
    quota = quota_of(environment)
    if as_json:
        click.echo(msgspec.json.encode({"quota": quota, **msgspec.structs.asdict(media)}))
        return
    most = f"of {quota:,}" if quota else "without a quota"
    click.echo(f"{media.bytes:,} bytes {most}, the oldest from {media.oldest or 'never'}")
    shown = (
        _listed("kept", media.kept, "direction", "type", ">files", ">bytes", "oldest"),
        _listed("waiting", media.waiting, "reason", ">messages", "oldest"),
        _listed(
            *("failed", media.failed),
            *("at", "node", "direction", "message", "type", "reason"),
        ),
    )
    console(PIPE_COLUMNS).print(Group(*(each for each in shown if each.row_count)))


async def _read(connection: Connection) -> tuple[MediaStatus, EnvironmentStatus]:
    return await read_media(connection), await read_environment(connection)


def _listed(title: str, rows: Sequence[msgspec.Struct], *columns: str) -> Table:
    """A row for each struct, with these of its fields."""
    listed = table(*columns, title=title)
    for row in rows:
        listed.add_row(*(Text(str(getattr(row, name.removeprefix(">")))) for name in columns))
    return listed
