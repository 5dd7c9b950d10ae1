"""``warouter callbacks``: lists, shows and replays dead letters; and how the webhook does.

webhook   what it has refused, a test callback, a try of what waits
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table
from rich.text import Text

from warouter.cli.callbacks.webhook import failures, retry, test
from warouter.cli.database import ask, cluster_option, console, table
from warouter.errors import CommandError
from warouter.kinds import EVENT_NAMES
from warouter.recipient import wa_id
from warouter.store import dead_letters
from warouter.store.database import Connection
from warouter.store.dead_letters import Letter, Selection

APPLICATION = "warouter callbacks"
MOST = 100_000

_kind = click.option(
    "--kind", type=click.Choice(EVENT_NAMES), help="Only statuses, or only inbound messages."
)
_recipient = click.option("--recipient", metavar="NUMBER", help="Only those of this customer.")
_reason = click.option("--reason", metavar="TEXT", help="Only those whose reason has this text.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def callbacks() -> None:
    """The webhook: what it refuses, and dead letters, events that it refused for seven days."""


@callbacks.command("list")
@cluster_option
@_kind
@_recipient
@_reason
@_json
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
def list_(
    data_dir: Path | None,
    kind: str | None,
    recipient: str | None,
    reason: str | None,
    as_json: bool,
    limit: int,
) -> None:
    """List dead letters, oldest death first."""
    which = _selected(kind, recipient, (), reason)
    letters, total = ask(data_dir, APPLICATION, lambda one: _find(one, which, limit))
    if as_json:
        click.echo(msgspec.json.encode({"total": total, "letters": letters}))
    else:
        console().print(_listed(letters))
        click.echo(f"{len(letters):,} of {total:,} dead letters")


@callbacks.command()
@cluster_option
@click.argument("letter", metavar="ID")
def show(data_dir: Path | None, letter: str) -> None:
    """Show one dead letter as JSON, with its event."""
    which = _selected(None, None, (letter,))
    letters, _ = ask(data_dir, APPLICATION, lambda connection: _find(connection, which, 1))
    if not letters:
        raise CommandError(f"There is no dead letter {letter}.")
    click.echo(msgspec.json.format(msgspec.json.encode(letters[0]), indent=2))


@callbacks.command()
@cluster_option
@_kind
@_recipient
@_reason
@click.option("--all", "every", is_flag=True, help="All dead letters.")
@click.argument("letters", metavar="[ID]...", nargs=-1)
def replay(
    data_dir: Path | None,
    kind: str | None,
    recipient: str | None,
    reason: str | None,
    every: bool,
    letters: tuple[str, ...],
) -> None:
    """Deliver dead letters once more: the given ids, those of a kind or customer, or --all.

    The owners of their slots do it within seconds. A letter that is refused again is tried for
    another hour, with the back-off of the settings, and then is a dead letter again; so long it
    holds back what else of its kind there is for its customer.
    """
    if not (letters or kind or recipient or reason or every):
        raise click.UsageError(
            "Give ids, --kind, --recipient, --reason or --all to choose dead letters."
        )
    which = _selected(kind, recipient, letters, reason)
    asked = ask(data_dir, APPLICATION, lambda connection: dead_letters.ask(connection, which))
    click.echo(f"{asked:,} dead letters will be delivered once more")
    if letters and asked < len(set(letters)):
        raise CommandError(f"Only {asked} of these {len(set(letters))} are dead letters.")


callbacks.add_command(failures)
callbacks.add_command(test)
callbacks.add_command(retry)


async def _find(connection: Connection, which: Selection, limit: int) -> tuple[list[Letter], int]:
    letters = await dead_letters.find(connection, which, limit)
    return letters, await dead_letters.count(connection, which)


def _selected(
    kind: str | None, recipient: str | None, letters: tuple[str, ...], reason: str | None = None
) -> Selection:
    return Selection(
        None if kind is None else EVENT_NAMES.index(kind),
        None if recipient is None else _told(wa_id, recipient),
        [_told(dead_letters.parse, text) for text in letters] or None,
        reason,
    )


def _told(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _listed(letters: list[Letter]) -> Table:
    listed = table("id", "recipient", "event", "died at", ">attempts", "reason")
    for one in letters:
        listed.add_row(
            one.id,
            one.recipient,
            Text(one.key),
            one.died_at,
            str(one.attempts),
            Text(f"{one.reason}, replay requested" if one.asked else one.reason),
        )
    return listed
