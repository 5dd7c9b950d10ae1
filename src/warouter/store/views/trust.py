"""Reads the sessions of PostgreSQL: of whom, under which login, and if in TLS.

Reads what any login may read, and says what it was not shown.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any
from uuid import UUID

from warouter.store.database import Taken
from warouter.store.views.permitted import permitted
from warouter.store.views.sessions import DatabaseLogin, SessionGroup, Trust

_PROGRAMS = """
select case when n.name is not null then n.name
            when a.application_name like 'wa:%' then substr(a.application_name, 37)
            else coalesce(nullif(a.application_name, ''), 'unnamed') end as name,
       a.usename::text as login,
       coalesce(n.role, '') as role, coalesce(n.version, '') as version,
       coalesce(n.host, '') as host, n.incarnation,
       count(*) as sessions,
       count(*) filter (where a.client_addr is not null and not coalesce(s.ssl, false)
                          and not (a.client_addr <<= '127.0.0.0/8' or a.client_addr <<= '::1/128'))
           as clear,
       -- a session by a Unix socket has port -1, one that is not shown has none
       count(*) filter (where a.client_port is null) as unseen
  from pg_stat_activity a
  left join pg_stat_ssl s using (pid)
  left join node n on a.application_name like 'wa:%'
                  and substr(a.application_name, 4, 32) = replace(n.incarnation::text, '-', '')
 where a.datname = current_database()
   -- none: a worker of the server's, or a session that is not logged in yet
   and a.usename is not null
   and coalesce(a.backend_type, 'client backend') = 'client backend'
 group by 1, 2, 3, 4, 5, 6 order by 1, 2"""
_PINNED = "select incarnation from node where fingerprint is not null"
_LOGINS = """
select r.rolname::text as name, r.rolsuper as superuser,
       not r.rolsuper and pg_has_role(r.oid, s.nspowner, 'usage') as owner
  from pg_roles r, pg_namespace s
 where s.nspname = current_schema() and r.rolname = any ($1::text[])
 order by 1"""
_OWN = """
select current_user::text as login,
       coalesce((select version from pg_stat_ssl where pid = pg_backend_pid()), '') as tls"""


async def read_trust(connection: Taken) -> Trust:
    """Read it; raises asyncpg's errors."""
    own = await connection.fetchrow(_OWN)
    assert own is not None
    found = await permitted(connection, _PINNED, table="node", columns="incarnation fingerprint")
    pinned = None if found is None else {row["incarnation"] for row in found}
    programs = tuple(_sessions(row, pinned) for row in await connection.fetch(_PROGRAMS))
    names = sorted({one.login for one in programs})
    logins = tuple(
        DatabaseLogin(
            name=row["name"],
            superuser=row["superuser"],
            owner=row["owner"],
            kinds=tuple(sorted({o.role for o in programs if o.login == row["name"] and o.role})),
        )
        for row in await connection.fetch(_LOGINS, names)
    )
    return Trust(login=own["login"], tls=own["tls"], programs=programs, logins=logins)


def _sessions(row: Any, pinned: Set[UUID] | None) -> SessionGroup:
    fields = dict(row)
    incarnation = fields.pop("incarnation")
    return SessionGroup(**fields, pinned=None if pinned is None else incarnation in pinned)
