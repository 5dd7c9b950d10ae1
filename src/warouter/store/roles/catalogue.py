"""Reads PostgreSQL's catalogue of the schema: who owns what, and who may do what."""

from __future__ import annotations

from collections.abc import Mapping

from warouter.store.database import Connection
from warouter.store.roles import grants
from warouter.store.roles.found import Catalogue, Function, Role
from warouter.store.roles.rights import Right

_RIGHTS = """
with ours as (select oid from pg_namespace where oid = current_schema()::regnamespace),
held as (
    select g.grantee, g.privilege_type, case c.relkind when 'S' then 'sequence' else 'table' end
           as kind, c.relname::text as name, '' as column, c.relowner as owner
      from pg_class c join ours on c.relnamespace = ours.oid,
           aclexplode(coalesce(c.relacl, acldefault(
               (case c.relkind when 'S' then 's' else 'r' end)::"char", c.relowner))) g
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select g.grantee, g.privilege_type, 'table', c.relname, a.attname, c.relowner
      from pg_class c join ours on c.relnamespace = ours.oid
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped,
           aclexplode(a.attacl) g
    union all
    select g.grantee, g.privilege_type, 'function', p.oid::regprocedure::text, '', p.proowner
      from pg_proc p join ours on p.pronamespace = ours.oid,
           aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
     where not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    union all
    select g.grantee, g.privilege_type, 'schema', n.nspname, '', n.nspowner
      from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) g
     where n.oid in (select oid from ours) or n.nspname = 'public' and g.privilege_type = 'CREATE'
    union all
    select g.grantee, g.privilege_type, 'database', b.datname, '', b.datdba
      from pg_database b, aclexplode(coalesce(b.datacl, acldefault('d', b.datdba))) g
     where b.datname = current_database())
select case grantee when 0 then 'public' else pg_get_userbyid(grantee) end, lower(privilege_type),
       kind, name, "column"
  from held where grantee <> owner"""
_FUNCTIONS = """
select p.oid::regprocedure::text as signature, p.proname as name, p.pronargs as arguments,
       pg_get_userbyid(p.proowner) as owner, p.prosecdef as definer,
       coalesce(p.proconfig, '{}') as settings
  from pg_proc p
 where p.pronamespace = current_schema()::regnamespace and p.prokind = 'f'
   and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
 order by 1"""
_TABLES = """
select c.relname, pg_get_userbyid(c.relowner) from pg_class c
 where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') order by 1"""
_SCHEMA = """
select pg_get_userbyid(nspowner) from pg_namespace where oid = current_schema()::regnamespace"""
_ROLES = """
select r.rolname as name, r.rolcanlogin as login, r.rolsuper as superuser,
       r.rolcreaterole as createrole, r.rolcreatedb as createdb, r.rolreplication as replication,
       r.rolbypassrls as bypassrls,
       array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
              where m.member = r.oid) as member_of
  from pg_roles r where r.rolname = any ($1::text[])"""
# Through jsonb: before PostgreSQL 16 a membership had no options, and was good for all.
_MEMBERS = """
select distinct m.rolname from pg_auth_members a join pg_roles m on m.oid = a.member
  join pg_roles g on g.oid = a.roleid
 where g.rolname = $1 and coalesce((to_jsonb(a) ->> 'set_option')::boolean, true)
   and coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, true) order by 1"""
_GRANTORS = """
select pg_get_userbyid(a.grantor) from pg_auth_members a join pg_roles m on m.oid = a.member
  join pg_roles g on g.oid = a.roleid where g.rolname = $1 and m.rolname = $2 order by 1"""
# A member of the owner may do what that may anyway, and a superuser counts as one.
_STRANGER = """
select pg_get_userbyid(b.datdba) from pg_database b, pg_roles o
 where b.datname = current_database() and o.rolname = $1
   and not pg_has_role(b.datdba, o.oid, 'member')"""
_NAMES = "select kind, name::text from database_role"
_OWNER = "select rolname::text from pg_roles where rolname = $1"


async def read(connection: Connection, names: Mapping[str, str]) -> Catalogue:
    """Read it; of the server's roles only those with these ``names``, by kind."""
    functions = await connection.fetch(_FUNCTIONS)
    roles = await connection.fetch(_ROLES, list(names.values()))
    found = [Role(**{**row, "member_of": tuple(row["member_of"])}) for row in roles]
    return Catalogue(
        await connection.fetchval("select current_database()"),
        await connection.fetchval("select current_schema()"),
        await connection.fetchval(_SCHEMA),
        {row[0]: row[1] for row in await connection.fetch(_TABLES)},
        tuple(Function(**{**row, "settings": tuple(row["settings"])}) for row in functions),
        frozenset(Right(*row) for row in await connection.fetch(_RIGHTS)),
        {role.name: role for role in found},
        await connection.fetchval(_STRANGER, names.get(grants.OWNER)) or "",
    )


async def recorded(connection: Connection) -> dict[str, str]:
    """The roles of this database by kind, the owner among them; {} where one does everything."""
    if await connection.fetchval("select to_regclass('database_role')") is None:
        return {}
    return {row["kind"]: row["name"] for row in await connection.fetch(_NAMES)}


async def owner(connection: Connection) -> str | None:
    """The recorded owner, if this server has that role: a dump may come from another one."""
    name: str | None = await connection.fetchval(_OWNER, (await recorded(connection)).get("owner"))
    return name


async def grantors(connection: Connection, group: str, role: str) -> list[str]:
    """The roles that made the role a member of the group."""
    return [row[0] for row in await connection.fetch(_GRANTORS, group, role)]


async def members(connection: Connection, owner: str) -> list[str]:
    """The roles that may do what the owner may."""
    return [row[0] for row in await connection.fetch(_MEMBERS, owner)]
