"""``warouter show media``: what is kept, what waits, and what could not be fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
import uvloop
from rich.console import Group
from rich.table import Table
from rich.text import Text

from warouter.cli.database import connected, console, settings_of
from warouter.cli.nodes import data_dir_option
from warouter.config import Settings
from warouter.store.views.setup.environment import EnvironmentStatus, read_environment
from warouter.store.views.setup.media_status import MediaStatus, quota_of, read_media

APPLICATION = "warouter show"
PIPE_COLUMNS = 140


@click.command("media")
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(data_dir: Path | None, as_json: bool) -> None:
    """Show how much media is kept, of what type, and which fetches failed last."""
    media, environment = uvloop.run(_read(settings_of(data_dir)))
    quota = quota_of(environment)
    if as_json:
        click.echo(msgspec.json.encode({"quota": quota, **msgspec.structs.asdict(media)}))
        return
    most = f"of {quota:,}" if quota else "without a quota"
    click.echo(f"{media.bytes:,} bytes {most}, the oldest from {media.oldest or 'never'}")
    shown = (
        _table("kept", media.kept, "direction", "type", "files", "bytes", "oldest"),
        _table("waiting", media.waiting, "reason", "messages", "oldest"),
        _table(
            *("failed", media.failed),
            *("at", "node", "direction", "message", "type", "reason"),
        ),
    )
    console(PIPE_COLUMNS).print(Group(*(table for table in shown if table.row_count)))


async def _read(settings: Settings) -> tuple[MediaStatus, EnvironmentStatus]:
    async with connected(settings, APPLICATION) as connection:
        return await read_media(connection), await read_environment(connection)


def _table(title: str, rows: Sequence[msgspec.Struct], *columns: str) -> Table:
    """A row for each struct, with these of its fields."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in columns:
        right = name in ("files", "bytes", "messages")
        table.add_column(name, justify="right" if right else "left")
    for row in rows:
        table.add_row(*(Text(str(getattr(row, name))) for name in columns))
    return table
