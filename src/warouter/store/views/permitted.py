"""Statements that not every login has the right to."""

from __future__ import annotations

from typing import Any

import asyncpg

from warouter.store.database import Connection


async def permitted(connection: Connection, sql: str, *arguments: Any) -> list[Any] | None:
    """The rows, None where a right is missing; a transaction around it goes on in any case."""
    try:
        async with connection.transaction():
            rows: list[Any] = await connection.fetch(sql, *arguments)
            return rows
    except asyncpg.InsufficientPrivilegeError:
        return None
