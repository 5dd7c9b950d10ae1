"""The content of a backup, read and replaced in one transaction each."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from warouter.store.account.accounts import User
from warouter.store.account.author import Author
from warouter.store.bounded import Bounded

_LATEST = 1 << 33  # the year 2242
_SETTINGS = "select name, value::text from setting order by name"
_USERS = "select username, password_hash, role, must_change from user_account order by username"
_ACCOUNT = """
select cc, phone_number, cert, authority_key, pin_hash,
       extract(epoch from registered_at)::float8
  from account"""
_CLEAR_SETTINGS = "delete from setting"
_ADD_SETTING = "insert into setting (name, value) values ($1, $2::text::jsonb)"
_CLEAR_USERS = "delete from user_account where username <> all ($1::text[])"
# Only a user who changes loses the tokens.
_CHANGED = """
select username from user_account
 where username = $1 and (password_hash, role, must_change) is distinct from ($2, $3, $4)"""
_CLEAR_TOKENS = "delete from token where username = $1"
_SET_USER = """
insert into user_account as u (username, password_hash, role, must_change) values ($1, $2, $3, $4)
on conflict (number, username) do update
   set password_hash = excluded.password_hash, role = excluded.role,
       must_change = excluded.must_change
 where (u.password_hash, u.role, u.must_change)
       is distinct from (excluded.password_hash, excluded.role, excluded.must_change)"""
_SET_ACCOUNT = """
insert into account as a (one, cc, phone_number, cert, authority_key, pin_hash, registered_at)
values (true, $1, $2, $3, $4, $5, to_timestamp($6::float8))
on conflict (one) do update
   set cert = excluded.cert, authority_key = excluded.authority_key,
       pin_hash = excluded.pin_hash, registered_at = excluded.registered_at
 where a.cc = excluded.cc and a.phone_number = excluded.phone_number
returning one"""


class SavedAccount(msgspec.Struct, frozen=True):
    """The registered number. ``registered_at`` is in unix seconds."""

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
    """Reads and replaces settings, users and the registration."""

    async def read(self) -> Saved:
        """Read everything in one snapshot."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            settings = await connection.fetch(_SETTINGS)
            users = await connection.fetch(_USERS)
            account = await connection.fetchrow(_ACCOUNT)
        return Saved(
            {name: msgspec.json.decode(value) for name, value in settings},
            [User(*user) for user in users],
            SavedAccount(*account) if account else None,
        )

    async def replace(self, saved: Saved, by: Author | None = None) -> bool:
        """Replace everything; False, and no change, if another number is registered; AccessDenied
        if ``by`` has ended.

        Ends the tokens of users who change or go. A registration is never taken away.
        """
        async with self._changing("auth", "settings") as connection:
            if by is not None:
                await by.check(connection)
            account = saved.account
            if account is not None:
                fields = msgspec.structs.astuple(account)
                if await connection.fetchval(_SET_ACCOUNT, *fields) is None:
                    return False
            await connection.execute(_CLEAR_SETTINGS)
            await connection.executemany(
                _ADD_SETTING,
                [(name, msgspec.json.encode(v).decode()) for name, v in saved.settings.items()],
            )
            await connection.execute(_CLEAR_USERS, [user.username for user in saved.users])
            for user in saved.users:
                await self._replace_user(connection, user)
        return True

    async def _replace_user(self, connection: Any, user: User) -> None:
        fields = msgspec.structs.astuple(user)
        if await connection.fetchval(_CHANGED, *fields) is not None:
            await connection.execute(_CLEAR_TOKENS, user.username)
        await connection.execute(_SET_USER, *fields)
