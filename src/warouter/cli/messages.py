"""``warouter messages``: the newest messages, or those that a search finds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.table import Table
from rich.text import Text

from warouter.cli.database import ask, cluster_option, console, table
from warouter.errors import CommandError
from warouter.store.views.messages.asked import search_of
from warouter.store.views.messages.found import (
    DIRECTIONS,
    KINDS,
    LIMIT,
    MOST,
    STATES,
    MessageListing,
)
from warouter.store.views.messages.read import read_messages

APPLICATION = "warouter messages"
COLUMNS = ("at (UTC)", "id", "direction", "number", "kind", "state", "error", ">slot", ">shard")

_TIME = "ISO 8601, UTC unless it says another zone, or a span: 90s, 15m, 2h, 1d ago."


@click.command()
@cluster_option
@click.option("--id", metavar="ID", help="The one message with this id; nothing else counts.")
@click.option("--to", "number", metavar="NUMBER", help="Only those to or from this customer.")
@click.option("--direction", type=click.Choice(DIRECTIONS), help="Only outgoing, or only inbound.")
@click.option(
    "--state", multiple=True, metavar="STATE", help=f"Only in one of: {', '.join(STATES)}."
)
@click.option("--kind", multiple=True, metavar="KIND", help=f"Only of one of: {', '.join(KINDS)}.")
@click.option("--code", metavar="CODE", help="Only those that failed with this error code.")
@click.option("--since", metavar="TIME", help=f"Only from then on. {_TIME}")
@click.option("--until", metavar="TIME", help="Only before then. Written as for --since.")
@click.option("--older", metavar="PLACE", help="Go on where an earlier list ended: its `older`.")
@click.option(
    "--limit", metavar="N", default=str(LIMIT), show_default=True, help=f"At most {MOST}."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def messages(
    data_dir: Path | None,
    as_json: bool,
    state: tuple[str, ...],
    kind: tuple[str, ...],
    **given: str,
) -> None:
    """List messages, outgoing and inbound, the newest first, without their content.

    A search looks at the newest 100,000 messages for a second and a half, and says so if it ended
    there: narrow the time, or go on with --older.
    """
    fields = {name: text or "" for name, text in given.items()}
    fields |= {"state": ",".join(state), "kind": ",".join(kind)}
    try:
        search = search_of(fields, datetime.now(UTC))
    except ValueError as error:
        raise CommandError(str(error)) from error
    found = ask(data_dir, APPLICATION, lambda connection: read_messages(connection, search))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    console().print(_listed(found))
    for line in _below(found):
        click.echo(line)


def _listed(found: MessageListing) -> Table:
    listed = table(*COLUMNS)
    for one in found.messages:
        cells = (one.at, one.id, one.direction, one.recipient, one.kind, one.state, one.error)
        listed.add_row(*(Text(cell or "") for cell in cells), str(one.slot), str(one.shard))
    return listed


def _below(found: MessageListing) -> list[str]:
    count = len(found.messages)
    lines = ["1 message" if count == 1 else f"{count:,} messages"]
    if found.rate is not None:
        lines[0] += (
            f"; in the last {found.rate.seconds} s {found.rate.outgoing:.1f}/s outgoing,"
            f" {found.rate.incoming:.1f}/s inbound"
        )
    if found.looked_down_to is not None:
        lines.append(
            f"looked at the newest {found.looked_at:,} only, down to {found.looked_down_to}:"
            " narrow the time, or go on"
        )
    if found.older is not None:
        lines.append(f"go on with --older {found.older}")
    return lines
