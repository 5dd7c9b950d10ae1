"""Roles made and given their rights, while processes run under the login that did all so far.

That login goes on: it becomes a member of the owner. Each step is repeatable, and waits for no
lock for longer than a moment, as in a migration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import asyncpg

from warouter.errors import CommandError
from warouter.store.database import Connection
from warouter.store.roles import catalogue, grants
from warouter.store.roles.compare import Difference, differences, missing, public
from warouter.store.roles.found import Catalogue
from warouter.store.roles.password import password_in, verifier
from warouter.store.roles.rights import OPTIONS_SINCE, literal, membership, quoted
from warouter.store.roles.stepwise import patiently

_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,39}")
_RECORD = """
insert into database_role (kind, name) values ($1, $2)
on conflict (kind) do update set name = excluded.name where database_role.name <> excluded.name"""
_ADMINISTRATOR = """
select rolname, rolsuper, rolcreaterole from pg_roles where rolname = current_user"""


def names_for(prefix: str) -> dict[str, str]:
    """The names of the roles by kind. CommandError for a prefix that would need quotes."""
    if not _PREFIX.fullmatch(prefix):
        raise CommandError(
            f"--role-prefix {prefix!r} is no plain name: lower-case letters, digits and"
            " underscores, at most 40."
        )
    return {kind: f"{prefix}_{kind}" for kind in (grants.OWNER, *grants.KINDS)}


def prefix_of(known: Mapping[str, str]) -> str:
    """The prefix of the roles that are recorded: those of kinds that came later get it as well."""
    prefix = known.get(grants.OWNER, "").removesuffix(f"_{grants.OWNER}")
    return prefix if _PREFIX.fullmatch(prefix) and prefix != known[grants.OWNER] else grants.PREFIX


async def create(connection: Connection, prefix: str | None, passwords: Path | None) -> list[str]:
    """Make the roles of a migrated schema, or bring them to what they should be.

    Returns a sentence for each thing that was done, and for what could not be. CommandError when
    the administrator may not do it.
    """
    known = await catalogue.recorded(connection)
    names = names_for(prefix or prefix_of(known))
    if known and prefix is None:
        names |= known
    elif known and known != {kind: names.get(kind) for kind in known}:
        raise CommandError(
            f"This database has the roles {', '.join(sorted(known.values()))} already:"
            " leave out --role-prefix."
        )
    try:
        return await _Maker(connection, names, passwords).run()
    except asyncpg.InsufficientPrivilegeError as error:
        who = await connection.fetchval("select session_user")
        raise CommandError(
            f"{who} may not make the roles ({error}): run `warouter migrate --roles` as a"
            " superuser, or as a role with CREATEROLE that owns the database and its schema."
        ) from error


class _Maker:
    """One run; ``said`` grows by what is done."""

    def __init__(
        self, connection: Connection, names: Mapping[str, str], passwords: Path | None
    ) -> None:
        self._connection = connection
        self._names = names
        self._owner = names[grants.OWNER]
        self._passwords = passwords
        self._said: list[str] = []
        self._options = connection.get_server_version()[0] >= OPTIONS_SINCE

    async def run(self) -> list[str]:
        row = await self._connection.fetchrow(_ADMINISTRATOR)
        assert row is not None
        name, superuser, makes_roles = row
        if not (superuser or makes_roles):
            raise CommandError(
                f"{name} may not make roles: it lacks CREATEROLE. Run `warouter migrate --roles` as"
                " a superuser, or as a role with CREATEROLE that owns the database and its schema."
            )
        found = await catalogue.read(self._connection, self._names)
        await self._roles(found)
        await self._memberships(found, name)
        await self._take_over(found)
        async with self._connection.transaction():  # all or none: see ``recorded``
            for kind, role in self._names.items():
                await self._connection.execute(_RECORD, kind, role)
        if given := await settle(self._connection, self._names):
            self._said.append(f"{given} rights were given or taken.")
        await self._statistics()
        return [*self._said, *await check(self._connection)]

    async def _roles(self, found: Catalogue) -> None:
        for kind, name in self._names.items():
            how = "nologin" if kind == grants.OWNER else "login"
            if name not in found.roles:
                await self._do(f"create role {quoted(name)} {how}", f"Role {name} was made.")
            elif found.roles[name].login != (how == "login"):
                await self._do(f"alter role {quoted(name)} {how}", f"Role {name} has {how} now.")
            if kind != grants.OWNER and self._passwords is not None:
                kept = verifier(password_in(self._passwords, kind))
                path = self._passwords / f"{kind}.password"
                await self._do(
                    f"alter role {quoted(name)} password {literal(kept)}",
                    f"{name} has the password in {path}.",
                )

    async def _memberships(self, found: Catalogue, administrator: str) -> None:
        """The owner may end the sessions of processes; who owned things so far may go on."""
        mine = found.roles[self._owner].member_of if self._owner in found.roles else ()
        for kind in grants.PROCESSES:
            if self._names[kind] not in mine:
                await self._join(self._names[kind], self._owner)
        before = {found.owner, *found.tables.values(), *(f.owner for f in found.functions)}
        there = await catalogue.members(self._connection, self._owner)
        for login in sorted((before | {administrator}) - {self._owner}):
            if await self._is_superuser(login):
                self._said.append(
                    f"{login} is a superuser and may do everything still: let no process use it."
                )
            else:
                if login not in there:
                    await self._join(self._owner, login)
                self._said.append(
                    f"{login} may do everything still: once no process uses it,"
                    f" `warouter migrate --revoke-role {login}`."
                )

    async def _take_over(self, found: Catalogue) -> None:
        """The schema first, in which the owner has to be allowed to have the rest."""
        to = f"owner to {quoted(self._owner)}"
        if found.owner != self._owner:
            await self._alter(f"alter schema {quoted(found.schema)} {to}", found.schema)
        tables = [table for table, who in found.tables.items() if who != self._owner]
        for table in tables:
            await self._alter(f"alter table {quoted(table)} {to}", table)
        functions = [f.signature for f in found.functions if f.owner != self._owner]

        async def all_of_them() -> None:
            for signature in functions:
                await self._connection.execute(f"alter function {signature} {to}")

        # At once: one that ran in the owner's name could not call one that is not the owner's yet.
        await patiently(self._connection, "the functions", all_of_them)
        if tables or functions:
            self._said.append(
                f"{len(tables)} tables and {len(functions)} functions belong to {self._owner} now."
            )

    async def _statistics(self) -> None:
        """See how long everybody's transactions last; have a connection when there are few."""
        wishes: dict[str, tuple[str, ...]] = {
            "pg_read_all_stats": (grants.OWNER, "console", "reader", grants.WEB_CONSOLE)
        }
        if self._options:
            wishes["pg_use_reserved_connections"] = ("master", "coreapp")
        for group, kinds in wishes.items():
            for role in (self._names[kind] for kind in kinds):
                if role in await catalogue.members(self._connection, group):
                    continue
                try:
                    await self._join(group, role)
                except asyncpg.InsufficientPrivilegeError:
                    self._said.append(f"{group} could not be granted to {role}: it goes without.")

    async def _join(self, group: str, role: str) -> None:
        said = f"{role} is a member of {group} now."
        await self._do(membership(group, role, options=self._options), said)

    async def _is_superuser(self, role: str) -> bool:
        sql = "select rolsuper from pg_roles where rolname = $1"
        return bool(await self._connection.fetchval(sql, role))

    async def _alter(self, sql: str, what: str) -> None:
        await patiently(self._connection, what, partial(self._connection.execute, sql))

    async def _do(self, sql: str, said: str) -> None:
        await self._connection.execute(sql)
        self._said.append(said)


async def settle(connection: Connection, names: Mapping[str, str]) -> int:
    """Give what is missing and take what is too much; returns how many differences were mended."""
    found = await catalogue.read(connection, names)
    return await _mend(connection, [each for each in differences(names, found) if each.mends])


async def settle_new(connection: Connection, names: Mapping[str, str]) -> None:
    """Give the logins what a migration left missing, and take what everybody may do.

    A right that is too much stays, since another build may run that needs it.
    """
    found = await catalogue.read(connection, names)
    await _mend(connection, [*(missing(names, found) if names else ()), *public(found)])


async def _mend(connection: Connection, mended: Sequence[Difference]) -> int:
    for each in mended:
        for sql in each.mends:
            # What is not the administrator's to give stays, and is said by a check.
            with suppress(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
    return len(mended)


async def check(connection: Connection) -> list[str]:
    """A sentence for each thing that is not as it should be. CommandError without roles."""
    names = await catalogue.recorded(connection)
    if not names:
        raise CommandError(
            "One login does everything here: `warouter migrate --roles` makes one for each kind of"
            " process."
        )
    return [each.said for each in differences(names, await catalogue.read(connection, names))]
