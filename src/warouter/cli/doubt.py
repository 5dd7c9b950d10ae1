"""``warouter doubt``: messages of which nobody knows whether the Cloud API took them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table
from rich.text import Text

from warouter.cli.database import ask, audited, cluster_option, console, settings_of, table
from warouter.cli.trace import lines_of
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.message_id import parse, text_of
from warouter.recipient import wa_id
from warouter.store import operator_word
from warouter.store.database import Connection
from warouter.store.operator_word import Word
from warouter.store.views.doubts import (
    Doubtful,
    DoubtfulMessage,
    Spans,
    find,
    find_one,
    held,
    read_spans,
)
from warouter.store.views.messages.asked import search_of
from warouter.store.views.messages.shown import read_shown
from warouter.store.views.trace import Trace
from warouter.store.views.twice import TwiceListing, read_twice

APPLICATION = "warouter doubt"

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_ids = click.argument("ids", metavar="[ID]...", nargs=-1)
_all = click.option("--all", "every", is_flag=True, help="All held messages.")
_since = click.option(
    "--since",
    metavar="TIME",
    help="Those held since then: ISO 8601, UTC unless it says another zone, or 90s, 15m, 2h, 1d.",
)
_to = click.option("--to", "number", metavar="NUMBER", help="Those held for this customer.")


def _chosen(command: Callable[..., None]) -> Callable[..., None]:
    """Messages by their ids, or those that are held."""
    for option in (_ids, _to, _since, _all, cluster_option):
        command = option(command)
    return command


@click.group()
def doubt() -> None:
    """List, resend or fail messages of which nobody knows whether Meta took them.

    A doubt ends by itself, by an answer, a status or the end of its window. A held message waits
    for an operator, and fails after WAROUTER_PENDING.
    """


@doubt.command("list")
@cluster_option
@_json
@click.option("--twice", is_flag=True, help="List what Meta took more than once, and charges so.")
def list_(data_dir: Path | None, as_json: bool, twice: bool) -> None:
    """List messages in doubt or held, the longest first; and say how many Meta took twice."""
    found, paid = ask(data_dir, APPLICATION, partial(_find, settings_of(data_dir)))
    if twice:
        _list_twice(paid, as_json=as_json)
        return
    if as_json:
        names = Doubtful.__struct_fields__
        listed = [{name: getattr(one, name) for name in names} for one in found]
        click.echo(msgspec.json.encode(listed))
        return
    console().print(_listed(found))
    kept = sum(one.state == "held" for one in found)
    click.echo(f"{len(found) - kept:,} in doubt, {kept:,} held")
    if paid.messages:
        click.echo(f"{_told(paid)}: --twice lists them")


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


@doubt.command()
@cluster_option
@_json
@click.argument("message_id", metavar="ID")
def show(data_dir: Path | None, as_json: bool, message_id: str) -> None:
    """Show one message: its doubt, and every step as `warouter trace` does, without its content."""
    find_one = partial(_find_one, settings_of(data_dir), _parsed(message_id))
    shown, trace = ask(data_dir, APPLICATION, find_one)
    if as_json:
        click.echo(msgspec.json.encode({"doubt": shown, "trace": trace}))
        return
    for name, value in msgspec.structs.asdict(shown).items():
        if value is not None:
            click.echo(f"{name:<11}{value}")
    for line in ["", *lines_of(trace)] if trace is not None else ():
        click.echo(line)


@doubt.command()
@_chosen
def resend(data_dir: Path | None, ids: tuple[str, ...], **which: Any) -> None:
    """Send held messages once more: the given ids, or those of --since and --to, or --all.

    They go under their next attempt. A message that Meta had taken after all reaches its recipient
    twice, and is charged twice. The owners of the slots act within seconds.
    """
    click.echo(f"{_say(data_dir, ids, 'resend', **which)} will be sent once more")


@doubt.command()
@_chosen
def fail(data_dir: Path | None, ids: tuple[str, ...], **which: Any) -> None:
    """End held messages as `failed`: the given ids, or those of --since and --to, or --all.

    They have code 500 and "outcome unknown, not sent again". A message that Meta had taken after
    all was delivered nevertheless. The owners of the slots act within seconds.
    """
    click.echo(f"{_say(data_dir, ids, 'fail', **which)} will end as failed")


async def _find(
    settings: Settings, connection: Connection
) -> tuple[list[DoubtfulMessage], TwiceListing]:
    found = await find(connection, await read_spans(connection, settings))
    return found, await read_twice(connection)


async def _find_one(
    settings: Settings, message_id: bytes, connection: Connection
) -> tuple[DoubtfulMessage, Trace | None]:
    shown = await find_one(connection, message_id, await read_spans(connection, settings))
    if shown is None:
        raise CommandError(_unknown(message_id))
    return shown, await read_shown(connection, text_of(message_id))


def _say(
    data_dir: Path | None,
    ids: tuple[str, ...],
    word: Word,
    *,
    every: bool,
    since: str | None,
    number: str | None,
) -> str:
    """Say the word to these messages; how many they are, in words."""
    if bool(ids) + every + bool(since or number) != 1:
        raise click.UsageError("Give ids, or --since or --to or both, or --all.")
    try:
        to = wa_id(number) if number else None
        at = search_of({"since": since}, datetime.now(UTC)).since if since else None
    except ValueError as error:
        raise CommandError(str(error)) from error
    begin = None if at is None else datetime.fromtimestamp(at / 1000, UTC)
    named = None if not ids else sorted({_parsed(text) for text in ids})
    count = ask(data_dir, APPLICATION, partial(_ask, settings_of(data_dir), named, begin, to, word))
    return "1 message" if count == 1 else f"{count:,} messages"


async def _ask(
    settings: Settings,
    named: list[bytes] | None,
    since: datetime | None,
    to: str | None,
    word: Word,
    connection: Connection,
) -> int:
    """Say the word to all ``named`` messages or to none, without names to those held; how many."""
    async with connection.transaction():
        ids = await held(connection, since, to) if named is None else named
        heard = await operator_word.say(connection, ids, word)
        for message_id in ids:
            if message_id not in heard:
                spans = await read_spans(connection, settings)
                raise CommandError(await _why_not(connection, message_id, spans))
            await audited(connection, f"doubt {word}", text_of(message_id))
        return len(ids)


async def _why_not(connection: Connection, message_id: bytes, spans: Spans) -> str:
    shown = await find_one(connection, message_id, spans)
    if shown is None:
        return _unknown(message_id)
    if shown.state == "in_doubt":
        when = f", at {shown.ends} or later" if shown.ends else ""
        return (
            f"{shown.id} is in doubt, which ends by itself{when}:"
            " only a held message can be resent or failed."
        )
    return f"{shown.id} is {shown.state}, not held: its owner is still working on it."


def _unknown(message_id: bytes) -> str:
    text = text_of(message_id)
    return f"{text} is neither in doubt nor held: `warouter trace {text}` says where it is."


def _parsed(text: str) -> bytes:
    try:
        return parse(text)
    except ValueError as error:
        raise CommandError(f"{text[:64]!r} is not the id of a message.") from error


def _listed(found: list[DoubtfulMessage]) -> Table:
    listed = table("id", "state", "recipient", "cause", ">attempt", "since", "ends")
    for one in found:
        state = f"{one.state}, {one.asked} asked" if one.asked else one.state
        cells = (one.id, state, one.recipient, one.cause, str(one.attempt), one.since, one.ends)
        listed.add_row(*(Text(cell or "") for cell in cells))
    return listed
