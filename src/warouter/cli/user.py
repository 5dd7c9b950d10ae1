"""``warouter user``: lists users, adds and removes them, and gives them passwords."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
from rich.table import Table
from rich.text import Text

from warouter import secret
from warouter.access.names import DEFAULT_USERNAME, check_username
from warouter.access.passwords import check_new_password, draw_password, hash_once
from warouter.cli.database import ask, audited, cluster_option, console, table
from warouter.cloud_number import FIRST
from warouter.errors import CommandError, ParameterInvalid
from warouter.store.account import logins, sessions, users
from warouter.store.account.accounts import ADMIN, USER
from warouter.store.account.sessions import Open
from warouter.store.account.users import ListedUser, LiveToken
from warouter.store.bounded import changing
from warouter.store.database import Connection

APPLICATION = "warouter user"
STANDARD_INPUT = Path("-")

_name = click.argument("name")
_password_file = click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read the password from this file of one line (-: standard input), and draw none.",
)


class UserReport(msgspec.Struct, frozen=True):
    """The users, sessions and tokens that ``list`` shows."""

    users: list[ListedUser]
    sessions: list[Open]
    tokens: list[LiveToken]


@click.group()
def user() -> None:
    """Users of the API.

    Without --password-file a password is drawn and printed once, alone on the standard output.
    Webapps follow within a second, and each act is a row of the audit log.
    """


@user.command("list")
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(data_dir: Path | None, as_json: bool) -> None:
    """List users: role, when made, whether the password must be changed, live tokens; and who is
    logged in at the console.

    With --json the tokens too: whose they are, when they were given and when they end.
    """
    found = ask(data_dir, APPLICATION, _listed)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    out = console()
    out.print(_table(found.users))
    if found.sessions:
        out.print()
        out.print(_at_console(found.sessions))


@user.command()
@cluster_option
@_password_file
@_name
def add(data_dir: Path | None, name: str, password_file: Path | None) -> None:
    """Add a user of role ROLE_USER.

    `admin` becomes the administrator, if there is no such user yet.
    """
    _check(check_username, name)
    password = _password(password_file)
    ask(data_dir, APPLICATION, lambda connection: _add(connection, name, password))
    _tell(f"User {name} added.", password, drawn=password_file is None)


@user.command("set-password")
@cluster_option
@_password_file
@_name
def set_password(data_dir: Path | None, name: str, password_file: Path | None) -> None:
    """Set a password, end all tokens of the user, and forget failed log-ins.

    On a fresh database `admin` is made with it, so that the default password never works.
    """
    _check_printable(name)
    password = _password(password_file)
    ask(data_dir, APPLICATION, lambda connection: _set_password(connection, name, password))
    _tell(f"Password of {name} set, all tokens ended.", password, drawn=password_file is None)


@user.command("end-sessions")
@cluster_option
@_name
def end_sessions(data_dir: Path | None, name: str) -> None:
    """End all sessions at the console and all tokens of the user; the password stays."""
    _check_printable(name)
    ended, tokens = ask(data_dir, APPLICATION, lambda one: _end_sessions(one, name))
    click.echo(f"{name}: {ended} sessions and {tokens} tokens ended.")


@user.command()
@cluster_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@_name
def remove(data_dir: Path | None, name: str, yes: bool) -> None:
    """Remove a user with all tokens; the last administrator stays."""
    _check_printable(name)
    if not yes:
        if not sys.stdin.isatty():
            raise CommandError("There is no terminal to ask at: use --yes.")
        click.confirm(f"Remove {name} and end all their tokens?", abort=True, err=True)
    ask(data_dir, APPLICATION, lambda connection: _remove(connection, name))
    click.echo(f"User {name} removed.")


async def _listed(connection: Connection) -> UserReport:
    return UserReport(
        await users.listed(connection, FIRST),
        await sessions.listed(connection, FIRST),
        await users.tokens(connection, FIRST),
    )


async def _end_sessions(connection: Connection, name: str) -> tuple[int, int]:
    async with _changing(connection, name, "end sessions"):
        if await users.found(connection, FIRST, name) is None:
            raise _unknown(name)
        return await sessions.end_all(connection, FIRST, name)


async def _add(connection: Connection, name: str, password: str) -> None:
    password_hash = await hash_once(password)
    async with _changing(connection, name, "create user"):
        if not await users.create(connection, FIRST, name, password_hash, _role_of(name)):
            raise CommandError(
                f"User {name} exists already: `warouter user set-password` gives a new password."
            )


async def _set_password(connection: Connection, name: str, password: str) -> None:
    password_hash = await hash_once(password)
    async with _changing(connection, name, "change password"):
        # Changes of users wait for each other, so no webapp makes the administrator in between.
        if not await users.set_password(connection, FIRST, name, password_hash):
            if name != DEFAULT_USERNAME:
                raise _unknown(name)
            await users.create(connection, FIRST, name, password_hash, ADMIN)
        await logins.forgive(connection, FIRST, name)


async def _remove(connection: Connection, name: str) -> None:
    async with _changing(connection, name, "delete user"):
        if name == DEFAULT_USERNAME:
            raise CommandError(
                f"{name} cannot be removed, since a webapp would make it anew with the default"
                " password: `warouter user set-password` locks out who knows the present one."
            )
        if await users.with_role(connection, FIRST, ADMIN) == {name}:
            raise CommandError(
                f"{name} is the last administrator: `warouter user add {DEFAULT_USERNAME}` makes"
                " another one first."
            )
        if not await users.remove(connection, FIRST, name):
            raise _unknown(name)


@asynccontextmanager
async def _changing(connection: Connection, name: str, action: str) -> AsyncIterator[None]:
    """A transaction that changes this user, and its row of the audit log."""
    async with changing(connection, "auth"):
        yield
        await audited(connection, action, name)


def _check_printable(name: str) -> None:
    """No user has another name, and PostgreSQL could not even be asked for some of them."""
    if not name.isprintable():
        raise _unknown(name)


def _role_of(name: str) -> str:
    """The role by the name: there is one administrator, as in the API."""
    return ADMIN if name == DEFAULT_USERNAME else USER


def _unknown(name: str) -> CommandError:
    shown = "".join(char if char.isprintable() else "?" for char in name)
    return CommandError(f"There is no user {shown}: see `warouter user list`.")


# ---------------------------------------------------------------- passwords


def _password(file: Path | None) -> str:
    """The password in the file, or a drawn one, held against the product's rule."""
    password = draw_password() if file is None else _read_secret(file)
    _check(check_new_password, password, "password")
    return password


def _tell(done: str, password: str, *, drawn: bool) -> None:
    if not drawn:
        click.echo(done)
        return
    click.echo(f"{done} This password was drawn, and is shown only now:", err=True)
    click.echo(password)


def _check(rule: Callable[..., None], *arguments: str) -> None:
    """Hold a text against a rule of the API; its words become the command's."""
    try:
        rule(*arguments)
    except ParameterInvalid as error:
        raise CommandError(f"The {error.details}.") from error


def _read_secret(file: Path) -> str:
    """The one line of a file that is fit for a secret; ``-`` is the standard input."""
    is_input = file == STANDARD_INPUT
    try:
        lines = secret.lines_of(_standard_input() if is_input else secret.text_of(str(file)))
        if len(lines) > 1:
            raise ValueError(f"it has {len(lines)} lines")
    except ValueError as error:
        where = "Standard input" if is_input else str(file)
        raise CommandError(f"{where} must hold one line with the password: {error}.") from error
    return lines[0]


def _standard_input() -> str:
    return secret.decoded(sys.stdin.buffer.read(secret.MOST_BYTES + 1))


def _table(found: list[ListedUser]) -> Table:
    listed = table("name", "role", "created (UTC)", "must change", ">live tokens")
    for one in found:
        must = "yes" if one.must_change else "no"
        listed.add_row(Text(one.username), one.role, one.created, must, str(one.tokens))
    return listed


def _at_console(found: list[Open]) -> Table:
    listed = table("at the console", "from", "since (UTC)", "seen (UTC)", "ends (UTC)")
    for one in found:
        listed.add_row(Text(one.username), Text(one.source), one.created, one.seen, one.expires)
    return listed
