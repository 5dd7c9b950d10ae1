"""``warouter key``: lists keys, adds and removes them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec
from rich.table import Table
from rich.text import Text

from warouter import secret
from warouter.access.key import (
    MOST_YEARS,
    about,
    check_adopted,
    check_name,
    networks_of,
    new_key,
    starts_of,
)
from warouter.access.scopes import NAMES, Scope, joined, names_of
from warouter.access.token import hash_of
from warouter.cli.database import ask, audited, cluster_option, console, operator, table
from warouter.errors import CommandError, ParameterInvalid
from warouter.store.account import keys
from warouter.store.account.keys import MOST_KEYS, NewKey, StoredKey
from warouter.store.bounded import changing
from warouter.store.database import Connection

APPLICATION = "warouter key"
_NUMBER = 1  # the only one that there is


class KeyReport(msgspec.Struct, frozen=True):
    """A key as ``list`` shows it."""

    id: int
    name: str
    starts: str
    scopes: list[str]
    networks: list[str]
    created: str
    created_by: str
    expires: str | None
    used: str | None


@click.group()
def key() -> None:
    """Keys: credentials of programs, which do not log in.

    Webapps follow within a second, and each act is a row of the audit log.
    """


@key.command("list")
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(data_dir: Path | None, as_json: bool) -> None:
    """List keys: what each may do, from where, until when, and when it was used last."""
    found = ask(data_dir, APPLICATION, lambda connection: keys.listed(connection, _NUMBER))
    if as_json:
        click.echo(msgspec.json.encode([_report(one) for one in found]))
    elif found:
        console().print(_table(found))
    else:
        click.echo("There are no keys: `warouter key add NAME --scope send` makes one.")


@key.command()
@cluster_option
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(list(NAMES)),
    help="Something that the key may do; can be given several times.",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="A network that the key may be used from; without any, anywhere.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 365 * MOST_YEARS),
    help="Days until the key ends; without, it has no end.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the key into this new file, for its owner alone; with --adopt read it from there.",
)
@click.option(
    "--adopt",
    is_flag=True,
    help="Make the token in --file, which another product gave, a key: its program keeps it.",
)
@click.argument("name")
def add(
    data_dir: Path | None,
    name: str,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    days: int | None,
    file: Path | None,
    adopt: bool,
) -> None:
    """Add a key, and print it once, alone on the standard output."""
    text = _adopted(file) if adopt else new_key()
    new = _checked(text, name, scopes, networks, days, adopt=adopt)
    to = None if adopt else file
    if to is not None:
        _write(to, text)
    try:
        stored = ask(data_dir, APPLICATION, lambda connection: _add(connection, new))
    except BaseException:
        if to is not None:
            to.unlink(missing_ok=True)  # it opens nothing
        raise
    if adopt or to is not None:
        click.echo(f"Key {stored.id} ({name}) added.")
        return
    click.echo(f"Key {stored.id} ({name}) added. It is shown only now:", err=True)
    click.echo(text)


@key.command()
@cluster_option
@click.argument("key", metavar="ID", type=click.IntRange(1, 2**63 - 1))
def remove(data_dir: Path | None, key: int) -> None:
    """End a key, at once and for good; `warouter key list` has the ids."""
    ended = ask(data_dir, APPLICATION, lambda connection: _remove(connection, key))
    click.echo(f"Key {key} ({ended.name}) removed.")


async def _add(connection: Connection, new: NewKey) -> StoredKey:
    async with changing(connection, "auth"):
        stored = await keys.add(connection, _NUMBER, new)
        if stored is None:
            raise CommandError(
                f"The number has {MOST_KEYS} keys, or the token was adopted before: see `warouter"
                " key list`, and `warouter key remove` those that nobody needs."
            )
        await audited(connection, "add key", _about(stored))
    return stored


async def _remove(connection: Connection, key: int) -> StoredKey:
    async with changing(connection, "auth"):
        ended = await keys.end(connection, _NUMBER, key)
        if ended is None:
            raise CommandError(f"There is no key {key}: see `warouter key list`.")
        await audited(connection, "remove key", _about(ended))
    return ended


def _checked(
    text: str,
    name: str,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    days: int | None,
    *,
    adopt: bool,
) -> NewKey:
    """The key, held against the rules of the API, whose words become the command's."""
    try:
        check_name(name)
        if adopt:
            check_adopted(text)
        allowed = networks_of(networks)
    except ParameterInvalid as error:
        raise CommandError(f"The {error.details}.") from error
    return NewKey(
        hash_of(text),
        name,
        # Of another product's token nothing is known to be harmless.
        "adopted" if adopt else starts_of(text),
        int(joined(NAMES[scope] for scope in scopes)),
        operator()[0],
        allowed,
        None if days is None else datetime.now(UTC) + timedelta(days=days),
    )


def _adopted(file: Path | None) -> str:
    if file is None:
        raise CommandError("--adopt wants --file, the file with the token.")
    try:
        lines = secret.lines_of(secret.text_of(str(file)))
        if len(lines) > 1:
            raise ValueError(f"it has {len(lines)} lines")
    except ValueError as error:
        raise CommandError(f"{file} must hold one line with the token: {error}.") from error
    return lines[0]


def _write(file: Path, text: str) -> None:
    """Into a file that did not exist, readable by its owner alone."""
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(f"{file} exists already: name a new file.") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
    with open(made, "w") as out:
        out.write(f"{text}\n")


def _about(one: StoredKey) -> str:
    return about(one.id, one.name, Scope(one.scopes))


def _report(one: StoredKey) -> KeyReport:
    return KeyReport(
        one.id,
        one.name,
        one.starts,
        names_of(Scope(one.scopes)),
        one.networks,
        one.created,
        one.created_by,
        one.expires,
        one.used,
    )


def _table(found: list[StoredKey]) -> Table:
    listed = table(">id", "name", "starts", "scopes", "networks", "ends (UTC)", "used (UTC)")
    for one in found:
        listed.add_row(
            str(one.id),
            Text(one.name),
            Text(one.starts),
            " ".join(names_of(Scope(one.scopes))),
            " ".join(one.networks) or "anywhere",
            one.expires or "never",
            one.used or "never",
        )
    return listed
