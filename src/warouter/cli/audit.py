"""``warouter audit``: the audit log, with actor, source and outcome of each action."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import uvloop
from rich.table import Table
from rich.text import Text

from warouter.cli.database import connected, console, settings_of
from warouter.cli.nodes import data_dir_option
from warouter.config import Settings
from warouter.store.audit import Entry, read_audit

APPLICATION = "warouter audit"
PIPE_COLUMNS = 140
COLUMNS = ("at (UTC)", "who", "what", "about", "from", "outcome", "times")


@click.command()
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--last",
    default=50,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Number of entries, newest first.",
)
def audit(data_dir: Path | None, as_json: bool, last: int) -> None:
    """Show log-ins, refusals, and changes by administrators.

    Equal log-ins and refusals are one row a minute, with how many they were.

    Reads the database that WA_DB_* names, or that of a local cluster: --data-dir, else
    ./warouter-data if there is one.
    """
    entries = uvloop.run(_read(settings_of(data_dir), last))
    if as_json:
        for entry in entries:
            click.echo(msgspec.json.encode(entry))
    else:
        _show(entries)


async def _read(settings: Settings, most: int) -> list[Entry]:
    async with connected(settings, APPLICATION) as connection:
        return await read_audit(connection, most)


def _plain(text: str) -> Text:
    """The text without terminal control characters, since it may quote clients."""
    return Text("".join(c if c.isprintable() else "?" for c in text))


def _show(entries: list[Entry]) -> None:
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for entry in entries:
        table.add_row(*(_plain(str(value)) for value in msgspec.structs.astuple(entry)))
    console(PIPE_COLUMNS).print(table)
