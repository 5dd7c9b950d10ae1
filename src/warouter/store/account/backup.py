"""The content of a number's backup, read and replaced in one transaction each."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from warouter.store.account.accounts import User
from warouter.store.account.author import Author
from warouter.store.bounded import Bounded

_LATEST = 1 << 33  # the year 2242
_SETTINGS = "select name, value::text from setting where number = $1 order by name"
_USERS = """
select username, password_hash, role, must_change from user_account
 where number = $1 order by username"""
_ACCOUNT = """
select cc, phone_number, cert, authority_key, pin_hash,
       extract(epoch from registered_at)::float8
  from account where number = $1"""
_CLEAR_SETTINGS = "delete from setting where number = $1"
_ADD_SETTING = "insert into setting (number, name, value) values ($1, $2, $3::text::jsonb)"
_CLEAR_USERS = "delete from user_account where number = $1 and username <> all ($2::text[])"
# Only a user who changes loses the tokens.
_CHANGED = """
select username from user_account
 where number = $1 and username = $2
   and (password_hash, role, must_change) is distinct from ($3, $4, $5)"""
_CLEAR_TOKENS = "delete from token where number = $1 and username = $2"
_SET_USER = """
insert into user_account as u (number, username, password_hash, role, must_change)
values ($1, $2, $3, $4, $5)
on conflict (number, username) do update
   set password_hash = excluded.password_hash, role = excluded.role,
       must_change = excluded.must_change
 where (u.password_hash, u.role, u.must_change)
       is distinct from (excluded.password_hash, excluded.role, excluded.must_change)"""
_SET_ACCOUNT = """
insert into account as a (number, cc, phone_number, cert, authority_key, pin_hash, registered_at)
values ($1, $2, $3, $4, $5, $6, to_timestamp($7::float8))
on conflict (number) do update
   set cert = excluded.cert, authority_key = excluded.authority_key,
       pin_hash = excluded.pin_hash, registered_at = excluded.registered_at
 where a.cc = excluded.cc and a.phone_number = excluded.phone_number
returning number"""


class SavedAccount(msgspec.Struct, frozen=True):
    """The registered phone number. ``registered_at`` is in unix seconds."""

    cc: str
    phone_number: str
    cert: str | None
    authority_key: bytes | None
    pin_hash: str | None
    registered_at: Annotated[float, Meta(ge=0, le=_LATEST)]


class Saved(msgspec.Struct, frozen=True):
    """The content of a backup: ``settings`` by name; ``account`` is None before registration."""

    settings: dict[str, Any]
    users: list[User]
    account: SavedAccount | None


class Backups(Bounded):
    """Reads and replaces a number's settings, users and registration."""

    async def read(self, number: int) -> Saved:
        """Read everything of the number in one snapshot."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            settings = await connection.fetch(_SETTINGS, number)
            users = await connection.fetch(_USERS, number)
            account = await connection.fetchrow(_ACCOUNT, number)
        return Saved(
            {name: msgspec.json.decode(value) for name, value in settings},
            [User(*user) for user in users],
            SavedAccount(*account) if account else None,
        )

    async def replace(self, number: int, saved: Saved, by: Author | None = None) -> bool:
        """Replace everything of the number; False, and no change, if it has registered another
        phone number; AccessDenied if ``by`` has ended.

        Ends the tokens of users who change or go. A registration is never taken away.
        """
        async with self._changing("auth", "settings") as connection:
            if by is not None:
                await by.check(connection)
            account = saved.account
            if account is not None:
                fields = msgspec.structs.astuple(account)
                if await connection.fetchval(_SET_ACCOUNT, number, *fields) is None:
                    return False
            await connection.execute(_CLEAR_SETTINGS, number)
            await connection.executemany(
                _ADD_SETTING,
                [
                    (number, name, msgspec.json.encode(v).decode())
                    for name, v in saved.settings.items()
                ],
            )
            kept = [user.username for user in saved.users]
            await connection.execute(_CLEAR_USERS, number, kept)
            for user in saved.users:
                await self._replace_user(connection, number, user)
        return True

    async def _replace_user(self, connection: Any, number: int, user: User) -> None:
        fields = msgspec.structs.astuple(user)
        if await connection.fetchval(_CHANGED, number, *fields) is not None:
            await connection.execute(_CLEAR_TOKENS, number, user.username)
        await connection.execute(_SET_USER, number, *fields)
