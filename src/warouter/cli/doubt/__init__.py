"""``warouter doubt``: messages of which nobody knows whether the Cloud API took them.

filters   which messages: the options that all of these commands take
words     sent again, failed, held: an operator's word, with a preview for many
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table
from rich.text import Text

from warouter.cli.database import ask, cluster_option, console, settings_of, table
from warouter.cli.doubt.filters import chosen, filtered, parsed
from warouter.cli.doubt.words import fail, hold, resend, unknown
from warouter.cli.trace import lines_of
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.message_id import text_of
from warouter.store.database import Connection
from warouter.store.views.doubt_choice import (
    DoubtChoice,
    DoubtCounts,
    DoubtListing,
    read_listing,
)
from warouter.store.views.doubts import Doubtful, DoubtfulMessage, find_one, read_spans
from warouter.store.views.messages.shown import read_shown
from warouter.store.views.trace import Trace
from warouter.store.views.twice import TwiceListing, read_twice

APPLICATION = "warouter doubt"
LIMIT, MOST = 1_000, 100_000

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def doubt() -> None:
    """List, resend, fail or hold messages of which nobody knows whether Meta took them.

    A doubt ends by itself, by an answer, a status or the end of its window. A held message waits
    for an operator, and fails after WAROUTER_PENDING.
    """


@doubt.command("list")
@cluster_option
@filtered()
@click.option("--limit", type=click.IntRange(1, MOST), default=LIMIT, show_default=True)
@_json
@click.option("--twice", is_flag=True, help="List what Meta took more than once, and charges so.")
def list_(data_dir: Path | None, as_json: bool, twice: bool, limit: int, **given: Any) -> None:
    """List messages in doubt or held, the longest first; and say how many Meta took twice."""
    which = chosen(given)
    find = partial(_find, settings_of(data_dir), which, limit)
    (listed, counts), paid = ask(data_dir, APPLICATION, find)
    if twice:
        _list_twice(paid, as_json=as_json)
        return
    if as_json:
        names = Doubtful.__struct_fields__
        click.echo(msgspec.json.encode([{n: getattr(one, n) for n in names} for one in listed]))
        return
    console().print(_listed(listed))
    click.echo(_summary(len(listed), counts))
    if paid.messages:
        click.echo(f"{_told(paid)}: --twice lists them")


@doubt.command()
@cluster_option
@_json
@click.argument("message_id", metavar="ID")
def show(data_dir: Path | None, as_json: bool, message_id: str) -> None:
    """Show one message: its doubt, and every step as `warouter trace` does, without its content."""
    find_one = partial(_find_one, settings_of(data_dir), parsed(message_id))
    shown, trace = ask(data_dir, APPLICATION, find_one)
    if as_json:
        click.echo(msgspec.json.encode({"doubt": shown, "trace": trace}))
        return
    for name, value in msgspec.structs.asdict(shown).items():
        if value is not None:
            click.echo(f"{name:<11}{value}")
    for line in ["", *lines_of(trace)] if trace is not None else ():
        click.echo(line)


doubt.add_command(resend)
doubt.add_command(fail)
doubt.add_command(hold)


async def _find(
    settings: Settings, which: DoubtChoice, limit: int, connection: Connection
) -> tuple[DoubtListing, TwiceListing]:
    spans = await read_spans(connection, settings)
    found = await read_listing(connection, which, spans, limit)
    return found, await read_twice(connection)


async def _find_one(
    settings: Settings, message_id: bytes, connection: Connection
) -> tuple[DoubtfulMessage, Trace | None]:
    shown = await find_one(connection, message_id, await read_spans(connection, settings))
    if shown is None:
        raise CommandError(unknown(message_id))
    return shown, await read_shown(connection, text_of(message_id))


def _listed(found: list[DoubtfulMessage]) -> Table:
    listed = table("id", "state", "recipient", "cause", ">attempt", "since", "ends")
    for one in found:
        state = f"{one.state}, {one.asked} asked" if one.asked else one.state
        cells = (one.id, state, one.recipient, one.cause, str(one.attempt), one.since, one.ends)
        listed.add_row(*(Text(cell or "") for cell in cells))
    return listed


def _summary(listed: int, counts: DoubtCounts) -> str:
    """The number of messages in each state, and of those that are listed if that is not all."""
    words = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.states.items()]
    said = ("at least " if counts.more else "") + (", ".join(words) or "0 messages")
    return said if listed >= counts.total else f"{said}; the oldest {listed:,} are listed"


def _list_twice(paid: TwiceListing, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(paid.messages))
        return
    listed = table("id", "recipient", ">taken", ">charged", "at")
    for one in paid.messages:
        counts = str(one.taken), str(one.charged)
        listed.add_row(*map(Text, (one.id, one.recipient or "", *counts, one.at)))
    console().print(listed)
    click.echo(_told(paid))


def _told(paid: TwiceListing) -> str:
    count = len(paid.messages)
    many = f"more than {count:,}" if paid.more else f"{count:,}"
    return f"{many} taken more than once, and charged so where they were delivered"
