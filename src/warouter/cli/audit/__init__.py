"""``warouter audit``: the audit log, with actor, source and outcome of each action.

follow   each row as it is written
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop
from rich.table import Table
from rich.text import Text

from warouter.cli.audit.follow import follow
from warouter.cli.database import MOMENT, ask, cluster_option, console, settings_of
from warouter.errors import CommandError
from warouter.store.database import Connection
from warouter.store.views.audit import (
    AuditEntry,
    Choice,
    read_audit,
    read_chosen,
    read_ends,
    read_rows,
)
from warouter.store.views.chain import Chain, ChainBroken, ChainRow, Ends, check_anchor

APPLICATION = "warouter audit"
COLUMNS = ("at (UTC)", "who", "what", "about", "from", "outcome", "times")
Known = Sequence[tuple[int, str]]
_WHAT_TO_DO = (
    "Keep a copy of the database now, and compare it with a backup or a log that was kept."
)
_KNOWN = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


def _noted(_context: object, _option: object, texts: tuple[str, ...]) -> list[tuple[int, str]]:
    found = [_KNOWN.fullmatch(text) for text in texts]
    if wrong := [text for text, match in zip(texts, found, strict=True) if match is None]:
        raise click.BadParameter(f"{wrong[0]!r} is not ID:HASH as --verify prints it.")
    return [(int(match[1]), match[2]) for match in found if match is not None]


@click.command()
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--last",
    default=50,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Number of entries, newest first.",
)
@click.option("--actor", default="", metavar="NAME", help="Only of this user.")
@click.option("--action", default="", metavar="TEXT", help="Only this, such as `log in`.")
@click.option("--outcome", default="", metavar="TEXT", help="Only what ended so: done, 401 ...")
@click.option("--failed", is_flag=True, help="Only what did not end with done.")
@click.option("--from", "since", type=MOMENT, help="Only from this time on (UTC).")
@click.option("--to", "until", type=MOMENT, help="Only before this time (UTC).")
@click.option("--verify", "verifies", is_flag=True, help="Check the chain of hashes instead.")
@click.option(
    "--known",
    multiple=True,
    metavar="ID:HASH",
    callback=_noted,
    help="With --verify: a row of an earlier --verify must still stand as it was.",
)
@click.option("--follow", "follows", is_flag=True, help="Print each row as it comes, until Ctrl-C.")
@click.option(
    "--since",
    "behind",
    metavar="ID",
    type=click.IntRange(0, 1 << 62),
    help="With --follow: begin behind this row instead of behind the newest.",
)
def audit(
    data_dir: Path | None,
    as_json: bool,
    last: int,
    verifies: bool,
    known: list[tuple[int, str]],
    follows: bool,
    behind: int | None,
    **chosen: Any,
) -> None:
    """Show log-ins, refusals, and changes by administrators.

    Equal log-ins and refusals are one row a minute, with how many they were; one that may still
    grow is marked. --verify and --follow are about the rows as they are stored: an action has one
    when it begins and another one (`of` the first) when it has ended.
    """
    if (verifies and follows) or (known and not verifies) or (behind is not None and not follows):
        raise click.UsageError("--known goes with --verify, --since with --follow; one of the two.")
    choice = Choice(**chosen)
    if (verifies or follows) and choice != Choice():
        raise click.UsageError("--verify and --follow are about all rows.")
    if verifies:
        click.echo(ask(data_dir, APPLICATION, lambda connection: verify(connection, known)))
    elif follows:
        uvloop.run(follow(settings_of(data_dir), behind, _print_json if as_json else _print))
    else:
        entries = ask(data_dir, APPLICATION, lambda connection: _read(connection, last, choice))
        if as_json:
            for entry in entries:
                click.echo(msgspec.json.encode(entry))
        else:
            _show(entries)


async def _read(connection: Connection, most: int, choice: Choice) -> list[AuditEntry]:
    if choice == Choice():
        return await read_audit(connection, most)
    return [entry for _, entry in await read_chosen(connection, most, choice)]


def _plain(text: str) -> str:
    """The text without terminal control characters, since it may quote clients."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _show(entries: list[AuditEntry]) -> None:
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for entry in entries:
        *texts, pending = msgspec.structs.astuple(entry)
        if pending:
            texts[-1] = f"pending {texts[-1]}"
        table.add_row(*(Text(_plain(str(value))) for value in texts))
    console().print(table)


def _print(row: ChainRow) -> None:
    about = f"end of {row.of}" if row.of is not None else f"times {row.times}"
    texts = (row.actor, row.action, row.subject, row.source, row.outcome)
    words = (str(row.id), row.at, *(_plain(text) for text in texts if text), about, row.hash)
    click.echo("  ".join(words))


def _print_json(row: ChainRow) -> None:
    click.echo(msgspec.json.encode(row))


# --verify: computes the chain of the log again, from its anchor


async def verify(connection: Connection, known: Known) -> str:
    """A sentence on what was checked; CommandError if the chain does not hold, and where."""
    while True:
        ends = await _ends(connection)
        _check_known(known, ends)
        try:
            return await _walk(connection, ends, known)
        except ChainBroken as error:
            # Not if retention has meanwhile deleted what was about to be read.
            if (await _ends(connection)).tail_id == ends.tail_id:
                raise CommandError(f"The audit log is broken: {error}. {_WHAT_TO_DO}") from error


async def _walk(connection: Connection, ends: Ends, known: Known) -> str:
    check_anchor(ends)
    chain = Chain(ends.tail_id, ends.tail_hash, known)
    while rows := await read_rows(connection, chain.id, ends.head_id):
        for row in rows:
            chain.add(row)
    chain.end(ends)
    return _sentence(chain, ends)


async def _ends(connection: Connection) -> Ends:
    ends = await read_ends(connection)
    if ends is None:
        raise CommandError(f"The audit log is broken: audit_chain is empty. {_WHAT_TO_DO}")
    return ends


def _check_known(known: Known, ends: Ends) -> None:
    for number, _ in known:
        if number < ends.tail_id:
            raise CommandError(
                f"Row {number} of --known is no longer kept (the oldest is row {ends.tail_id + 1}):"
                " use a newer one."
            )


def _sentence(chain: Chain, ends: Ends) -> str:
    rows = "1 row" if chain.rows == 1 else f"{chain.rows} rows"
    span = f" ({ends.tail_id + 1} to {chain.id}, {chain.first} to {chain.last})"
    return (
        f"The audit log is whole: {rows}{span if chain.rows else ''};"
        f" note elsewhere, for --known: {chain.id}:{chain.hash}"
    )
