"""What of a schema an older build relies on, and what a migration took away from it."""

from __future__ import annotations

from typing import NamedTuple

import asyncpg

_COLUMNS = """
select c.relname as table, a.attname as column, format_type(a.atttypid, a.atttypmod) as type,
       a.attnotnull and not a.atthasdef and a.attidentity = '' as required
  from pg_attribute a join pg_class c on c.oid = a.attrelid
 where c.relnamespace = 'warouter'::regnamespace and c.relkind in ('r', 'v')
   and a.attnum > 0 and not a.attisdropped and c.relname <> 'schema_migration'"""
_FUNCTIONS = """
select p.proname as name, oidvectortypes(p.proargtypes) as arguments,
       pg_get_function_result(p.oid) as result, p.pronargs as most,
       p.pronargs - p.pronargdefaults as least
  from pg_proc p where p.pronamespace = 'warouter'::regnamespace"""
# A name says enough: what is added to a table that was there binds its older writers.
_RULES = """
select c.relname as table, o.conname as name
  from pg_constraint o join pg_class c on c.oid = o.conrelid
 where c.relnamespace = 'warouter'::regnamespace and o.contype in ('c', 'f', 'u', 'x')
union
select c.relname, i.indexrelid::regclass::text
  from pg_index i join pg_class c on c.oid = i.indrelid
 where c.relnamespace = 'warouter'::regnamespace and i.indisunique
union
select c.relname, t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid
 where c.relnamespace = 'warouter'::regnamespace and not t.tgisinternal"""


class Column(NamedTuple):
    table: str
    column: str
    type: str
    required: bool


class Function(NamedTuple):
    name: str
    arguments: str
    result: str
    most: int
    least: int


class Shape(NamedTuple):
    columns: set[Column]
    functions: set[Function]
    rules: set[tuple[str, str]]

    @property
    def tables(self) -> set[str]:
        return {c.table for c in self.columns}


async def shape(connection: asyncpg.Connection) -> Shape:
    return Shape(
        {Column(*row) for row in await connection.fetch(_COLUMNS)},
        {Function(*row) for row in await connection.fetch(_FUNCTIONS)},
        {tuple(row) for row in await connection.fetch(_RULES)},
    )


def broken(old: Shape, new: Shape) -> list[str]:
    """Sentences: what a build for the old schema would stumble over on the new one."""
    columns = {(c.table, c.column, c.type) for c in new.columns}
    calls = {(f.name, f.arguments, f.result) for f in new.functions}
    found = [
        f"column {c.table}.{c.column} {c.type} is gone"
        for c in old.columns
        if (c.table, c.column, c.type) not in columns
    ]
    found += [
        f"column {c.table}.{c.column} must be given"
        for c in new.columns - old.columns
        if c.required and c.table in old.tables
    ]
    found += [
        f"function {f.name}({f.arguments}) {f.result} is gone"
        for f in old.functions
        if (f.name, f.arguments, f.result) not in calls
    ]
    found += [
        f"a call of {f.name} with {o.most} arguments fits two functions"
        for f in new.functions - old.functions
        for o in old.functions
        if f.name == o.name and f.arguments != o.arguments and f.least <= o.most <= f.most
    ]
    found += [
        f"table {table} has a new rule {name}"
        for table, name in new.rules - old.rules
        if table in old.tables
    ]
    return sorted(found)
