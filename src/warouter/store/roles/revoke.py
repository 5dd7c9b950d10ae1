"""Takes the rights from the login of the time before roles."""

from __future__ import annotations

import asyncpg

from warouter.errors import CommandError
from warouter.store.database import Connection
from warouter.store.roles import catalogue, grants
from warouter.store.roles.rights import OPTIONS_SINCE, membership, quoted

# Also in other databases of the server where the same owner has something.
_BUSY = """
select count(*) from pg_stat_activity a
 where a.usename = $1 and a.application_name like 'wa:%'
   and (a.datname = current_database() or a.datid in (
        select d.dbid from pg_shdepend d
         where d.refclassid = 'pg_authid'::regclass
           and d.refobjid = (select oid from pg_roles where rolname = $2)))"""
_OWNS_DATABASE = """
select datname from pg_database
 where datname = current_database() and pg_get_userbyid(datdba) = $1"""
_MAKES_ROLES = "select rolcreaterole from pg_roles where rolname = $1"


async def revoke(connection: Connection, role: str) -> list[str]:
    """Take from a login of the time before roles what it may do as a member of the owner, or as who
    made the roles.
    """
    names = await catalogue.recorded(connection)
    owner = names.get(grants.OWNER, "")
    held = {g: await catalogue.grantors(connection, g, role) for g in sorted(names.values())}
    database = await connection.fetchval(_OWNS_DATABASE, role)
    if role == owner or not names or not (database or any(held.values())):
        raise CommandError(f"{role} is no member of the owner of this schema: nothing was done.")
    if role == await connection.fetchval("select session_user"):
        raise CommandError(f"You are {role}: run this as another administrator.")
    if busy := await connection.fetchval(_BUSY, role, owner):
        raise CommandError(
            f"{busy} sessions of processes use {role} still: give them their own logins first"
            " (WA_DB_USERNAME)."
        )
    async with connection.transaction():
        for group, grantors in held.items():
            for grantor in grantors:
                who = f"{quoted(role)} granted by {quoted(grantor)}"
                await connection.execute(f"revoke {quoted(group)} from {who} cascade")
        # What it had granted went with it.
        options = connection.get_server_version()[0] >= OPTIONS_SINCE
        for kind in grants.PROCESSES:
            if owner not in await catalogue.members(connection, names[kind]):
                sql = membership(names[kind], owner, options=options)
                await connection.execute(sql)
    said = [f"{role} is no member of {owner} any more."]
    if database:
        said.append(await _give(connection, database, role, owner))
    if await connection.fetchval(_MAKES_ROLES, role):
        said.append(
            f"{role} has CREATEROLE still, which before PostgreSQL 16 is good for all logins:"
            f" ALTER ROLE {quoted(role)} NOCREATEROLE."
        )
    return said


async def _give(connection: Connection, database: str, role: str, owner: str) -> str:
    """The database to the owner of the schema: as its owner the login could drop it."""
    sql = f"alter database {quoted(database)} owner to {quoted(owner)}"
    try:
        await connection.execute(sql)
    except asyncpg.InsufficientPrivilegeError:
        return f"{role} owns database {database} still, and so may drop it: as a superuser, {sql}."
    return f"Database {database} belongs to {owner} now."
