"""Statements that not every login has the right to."""

from __future__ import annotations

from typing import Any

import asyncpg

from warouter.store.database import Taken

_MAY = """
select bool_and(has_column_privilege(to_regclass($1), c, 'select')) from unnest($2::text[]) c"""


async def permitted(
    connection: Taken, sql: str, *arguments: Any, table: str = "", columns: str = ""
) -> list[Any] | None:
    """The rows, None where a right is missing; a transaction around it goes on in any case.

    ``columns`` of ``table``, with spaces between them, are asked for first: PostgreSQL logs each
    statement that it refuses.
    """
    if table and not await connection.fetchval(_MAY, table, columns.split()):
        return None
    try:
        async with connection.transaction():
            rows: list[Any] = await connection.fetch(sql, *arguments)
            return rows
    except asyncpg.InsufficientPrivilegeError:
        return None
