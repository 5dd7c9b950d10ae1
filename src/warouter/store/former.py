"""Databases from before the baseline, made in steps that are gone. Goes with the tag of 0.3.0.

The schema after the last of those is the baseline, but for what served nobody any more.
"""

from __future__ import annotations

import re

from warouter.errors import CommandError
from warouter.store.database import Connection
from warouter.store.migrations import SCHEMA, UNCHECKED, sql_in

_FIRST = "0001_initial.sql"
LAST = ("0074_spared.sql", "5273d01af5f99f3c8b7903f976c549ce85d2947c022c2bddc7e081c0dacec856")
# The last build with those steps.
_COMMIT = "74655be6"
_NEWEST = """
select name, checksum from schema_migration
 where exists (select from schema_migration where name = $1) order by version desc limit 1"""


async def is_former(connection: Connection) -> bool:
    """True if the schema came to be in the former steps.

    CommandError if the last of them is missing.
    """
    newest = await connection.fetchrow(_NEWEST, _FIRST)
    if newest is not None and tuple(newest) != LAST:
        raise CommandError(
            f"The schema is from before the baseline, and ends with {newest['name']}: run `warouter"
            f" migrate` of commit {_COMMIT} first, or begin with an empty database."
        )
    return newest is not None


def to_baseline() -> str:
    """SQL that makes the schema after the last former step the baseline, and forgets the steps."""
    functions = sql_in(SCHEMA / "functions")
    replaced = re.sub(r"^create function", "create or replace function", functions, flags=re.M)
    return UNCHECKED + sql_in(SCHEMA / "former") + replaced
