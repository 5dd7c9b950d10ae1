"""Users of a number made, changed, removed in a transaction of ``bounded.changing``, and listed.

Webapps do it through ``accounts``, the operator's command in the transaction of its audit row.
"""

from __future__ import annotations

from typing import Any

import msgspec

_CREATE = """
insert into user_account (number, username, password_hash, role, must_change)
values ($1, $2, $3, $4, $5)
on conflict (number, username) do nothing returning username"""
_SET_PASSWORD = """
update user_account set password_hash = $3, must_change = false
 where number = $1 and username = $2 returning username"""
_REMOVE_TOKENS = "delete from token where number = $1 and username = $2"
_REMOVE = "delete from user_account where number = $1 and username = $2 returning username"
_ROLE = "select role from user_account where number = $1 and username = $2"
_WITH_ROLE = "select username from user_account where number = $1 and role = $2"
_LIST = """
select username, role, to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'),
       must_change,
       (select count(*) from token t
         where t.number = u.number and t.username = u.username and expires_at > now())
  from user_account u where number = $1 order by username"""

_TOKENS = """
select username, to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'),
       to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
  from token where number = $1 and expires_at > now() order by username, created_at"""


class ListedUser(msgspec.Struct, frozen=True):
    """A user as an operator sees them: ``created`` is UTC as text, ``tokens`` how many are live."""

    username: str
    role: str
    created: str
    must_change: bool
    tokens: int


class LiveToken(msgspec.Struct, frozen=True):
    """A live token of the API; times are UTC as text."""

    username: str
    created: str
    expires: str


async def create(
    connection: Any,
    number: int,
    username: str,
    password_hash: str,
    role: str,
    *,
    must_change: bool = False,
) -> bool:
    """Create a user; False if the name is taken."""
    arguments = (number, username, password_hash, role, must_change)
    return await connection.fetchval(_CREATE, *arguments) is not None


async def set_password(connection: Any, number: int, username: str, password_hash: str) -> bool:
    """Set a password and end all tokens of the user; False if there is no such user."""
    if await connection.fetchval(_SET_PASSWORD, number, username, password_hash) is None:
        return False
    await connection.execute(_REMOVE_TOKENS, number, username)
    return True


async def end_tokens(connection: Any, number: int, username: str) -> int:
    """End all tokens of a user; returns how many rows that were."""
    done: str = await connection.execute(_REMOVE_TOKENS, number, username)
    return int(done.rpartition(" ")[2])


async def remove(connection: Any, number: int, username: str) -> bool:
    """Remove a user with their tokens; False if there is no such user."""
    return await connection.fetchval(_REMOVE, number, username) is not None


async def found(connection: Any, number: int, username: str) -> str | None:
    """The role of a user; None if there is no such user."""
    role: str | None = await connection.fetchval(_ROLE, number, username)
    return role


async def with_role(connection: Any, number: int, role: str) -> set[str]:
    """The names of the users with this role."""
    return {row[0] for row in await connection.fetch(_WITH_ROLE, number, role)}


async def listed(connection: Any, number: int) -> list[ListedUser]:
    """All users of a number by name."""
    return [ListedUser(*row) for row in await connection.fetch(_LIST, number)]


async def tokens(connection: Any, number: int) -> list[LiveToken]:
    """All live tokens of a number, by user and age."""
    return [LiveToken(*row) for row in await connection.fetch(_TOKENS, number)]
