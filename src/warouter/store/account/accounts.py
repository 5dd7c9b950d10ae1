"""Users, tokens, and the settings and the registration of each number.

Nothing here is fenced: any webapp may write. What others keep in memory is followed by the counters
of table ``change``, which triggers raise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple

import asyncpg
import msgspec

from warouter.store.account import users
from warouter.store.account.author import Author
from warouter.store.bounded import Bounded
from warouter.store.database import ends_session
from warouter.stored import decoded

ADMIN = "ROLE_ADMIN"
USER = "ROLE_USER"
TOKENS_PER_USER = 50
TOKEN_DAYS = 7

_USER = """
select username, password_hash, role, must_change from user_account
 where number = $1 and username = $2"""
_REHASH = """
update user_account set password_hash = $4
 where number = $1 and username = $2 and password_hash = $3 returning true"""
_LOCK_USER = """
select username from user_account where number = $1 and username = $2 and password_hash = $3
   for no key update"""
_ADD_TOKEN = """
insert into token (hash, number, username, expires_at, created_at, used_at)
values ($1, $2, $3, now() + make_interval(days => $4), clock_timestamp(), clock_timestamp())
returning to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"+00:00"')"""
_COUNT_TOKENS = "select count(*) from token where number = $1 and username = $2"
# The new one and those that were used last stay; what has expired goes as well. One in use (and not
# only when it was new) stays before any other: else a client that logs in for each request would
# end those of everybody who has the same user within seconds.
_TRIM_TOKENS = """
delete from token where number = $1 and username = $2 and (expires_at <= now() or hash in (
    select hash from token
     where number = $1 and username = $2 and expires_at > now() and hash <> $3
     order by used_at > greatest(created_at + interval '5 seconds',
                                 clock_timestamp() - interval '15 minutes') desc,
              used_at desc, created_at desc offset $4))
returning expires_at > now()"""
# No trigger tells the others of it. Who has locked a row ends it, or notes the same: to wait for
# several in whatever order could be a deadlock.
_USED = """
update token t set used_at = greatest(t.used_at, clock_timestamp() - make_interval(secs => u.ago))
  from (select k.hash, g.ago
          from unnest($1::bytea[], $2::float8[]) g (hash, ago) join token k on k.hash = g.hash
           for no key update of k skip locked) u
 where t.hash = u.hash"""
_REMOVE_TOKEN = "delete from token where hash = $1"
_HOLDERS = """
select t.hash, t.number, t.username, u.role, u.must_change,
       extract(epoch from t.expires_at - now())::float8 as seconds_left
  from token t join user_account u using (number, username) join number n on n.id = t.number
 where t.hash = any ($1::bytea[]) and t.expires_at > now() and n.state <> 'removed'"""
_AUTH_VERSION = "select version from change where what = 'auth'"
_CHANGED = "select id, name, host, state from number where auth_version > $1"
_SETTING = "select value::text from setting where number = $1 and name = $2"
_ADD_SETTING = """
insert into setting (number, name, value) values ($1, $2, '{}')
on conflict (number, name) do nothing"""
_SETTING_FOR_UPDATE = f"{_SETTING} for update"
_SET_SETTING = "update setting set value = $3::text::jsonb where number = $1 and name = $2"
_DELETE_SETTING = "delete from setting where number = $1 and name = $2"
_NUMBER = "select cc, phone_number from account where number = $1"
_ACCOUNT = """
select cc, phone_number, cert, authority_key, pin_hash,
       extract(epoch from now() - registered_at)::float8 as registered_seconds_ago
  from account where number = $1"""
_SAVE_ACCOUNT = """
insert into account (number, cc, phone_number, cert, authority_key) values ($1, $2, $3, $4, $5)
on conflict (number) do update
   set cc = excluded.cc, phone_number = excluded.phone_number, cert = excluded.cert,
       authority_key = excluded.authority_key, registered_at = now()"""
# A hash has a salt: equal ones mean that nobody has set a pin in between.
_SWAP_PIN = """
update account set pin_hash = $2
 where number = $1 and cert is not distinct from $3 and pin_hash is not distinct from $4
returning true"""
_SET_CERTIFICATE = """
update account set cert = $2 where number = $1 and cc = $3 and phone_number = $4
returning true"""


class User(msgspec.Struct, frozen=True):
    """A user, with their password's argon2id hash; ``must_change`` means that the password is the
    default one, good only for setting another.
    """

    username: str
    password_hash: str
    role: Literal["ROLE_ADMIN", "ROLE_USER"]
    must_change: bool


class NumberRow(NamedTuple):
    """A number of the installation: ``host`` is the name by which requests to it are told, if it
    has one; ``state`` is active, paused or removed.
    """

    id: int
    name: str
    host: str | None
    state: str


class Holder(msgspec.Struct, frozen=True):
    """The holder of a live token, by its SHA-256, with the number, and its remaining seconds."""

    hash: bytes
    number: int
    username: str
    role: str
    must_change: bool
    seconds_left: float


class Added(NamedTuple):
    """A new token: when it ends, as ``2026-12-01 13:41:29+00:00``, and how many others it ended."""

    expires: str
    ended: int


class Account(msgspec.Struct, frozen=True):
    """The registration of a number: country code and the rest, digits only."""

    cc: str
    phone_number: str
    cert: str | None
    authority_key: bytes | None
    pin_hash: str | None
    registered_seconds_ago: float


# A call that PostgreSQL refused since it cannot serve now, by the beginning of its SQLSTATE:
# connection (08), a transaction that took too long (25P), read-only since a failover (25006), a
# role or a password (28), a database (3D) that are gone, rights that were taken away (42501), a
# transaction that others made impossible (40), resources (53), locks (55P03), shutdown and the
# like (57), its disk (58), its configuration (F0).
_NOT_SERVED = ("08", "25P", "25006", "28", "3D", "42501", "40", "53", "55P03", "57", "58", "F0")


def is_unavailable(error: BaseException) -> bool:
    """True if the database was unavailable or busy: the call itself is not wrong."""
    if isinstance(error, asyncpg.PostgresError):
        # What ends a session, or refuses one, whatever the reason, is no fault of the call.
        return ends_session(error) or (error.sqlstate or "08").startswith(_NOT_SERVED)
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # a ValueError is a wrong argument
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError)


class Accounts(Bounded):
    """Rows of the account, through a pool."""

    # ------------------------------------------------------------ users

    async def user(self, number: int, username: str) -> User | None:
        row = await self._fetchrow(_USER, number, username)
        return User(*row) if row else None

    async def create_user(
        self,
        number: int,
        username: str,
        password_hash: str,
        role: str = USER,
        *,
        must_change: bool = False,
        by: Author | None = None,
    ) -> bool:
        """Create a user; False if the name is taken, AccessDenied if ``by`` has ended."""
        async with self._changing_users(by) as connection:
            return await users.create(
                connection, number, username, password_hash, role, must_change=must_change
            )

    async def set_password(
        self, number: int, username: str, password_hash: str, by: Author | None = None
    ) -> bool:
        """Set a password and end all tokens of the user; False if there is no such user,
        AccessDenied if ``by`` has ended.
        """
        async with self._changing_users(by) as connection:
            return await users.set_password(connection, number, username, password_hash)

    async def replace_password(
        self, number: int, username: str, old_hash: str, new_hash: str
    ) -> bool:
        """Set a password as ``set_password`` does, if the one that was checked is still theirs."""
        async with self._changing("auth") as connection:
            if await connection.fetchval(_LOCK_USER, number, username, old_hash) is None:
                return False
            return await users.set_password(connection, number, username, new_hash)

    async def rehash(self, number: int, username: str, old_hash: str, new_hash: str) -> bool:
        """Store a new hash of the same password; False if another was stored in between."""
        async with self._changing("auth") as connection:
            given = (number, username, old_hash, new_hash)
            return await connection.fetchval(_REHASH, *given) is not None

    async def delete_user(self, number: int, username: str, by: Author | None = None) -> bool:
        """Delete a user with all tokens; False if there is none, AccessDenied if ``by`` ended."""
        async with self._changing_users(by) as connection:
            return await users.remove(connection, number, username)

    @asynccontextmanager
    async def _changing_users(self, by: Author | None) -> AsyncIterator[Any]:
        async with self._changing("auth") as connection:
            if by is not None:
                await by.check(connection)
            yield connection

    # ------------------------------------------------------------ tokens

    async def add_token(
        self, number: int, username: str, password_hash: str, token_hash: bytes
    ) -> Added | None:
        """Store a token's SHA-256 for 7 days. A user has at most 50: those that have not been used
        for longest end.

        None if the user is gone or has another password than the one that was checked.
        """
        async with self._changing("auth") as connection:
            if await connection.fetchval(_LOCK_USER, number, username, password_hash) is None:
                return None
            new = (token_hash, number, username, TOKEN_DAYS)
            expires: str = await connection.fetchval(_ADD_TOKEN, *new)
            # Asked first: even a delete of nothing would make every webapp reload its tokens.
            if await connection.fetchval(_COUNT_TOKENS, number, username) <= TOKENS_PER_USER:
                return Added(expires, 0)
            others = TOKENS_PER_USER - 1
            gone = await connection.fetch(_TRIM_TOKENS, number, username, token_hash, others)
            return Added(expires, sum(lived for (lived,) in gone))

    async def used(self, ages: Mapping[bytes, float]) -> None:
        """Note of these tokens, by hash, how many seconds ago each was used last."""
        await self._fetch(_USED, list(ages), list(ages.values()))

    async def remove_token(self, token_hash: bytes) -> None:
        async with self._changing("auth") as connection:
            await connection.execute(_REMOVE_TOKEN, token_hash)

    async def holders(self, hashes: Sequence[bytes]) -> list[Holder]:
        """The holders of those of the tokens that are live."""
        rows = await self._fetch(_HOLDERS, hashes)
        return [Holder(*row) for row in rows]

    async def auth_version(self) -> int:
        """A counter that grows when a user, a token or a key is changed or deleted."""
        return int(await self._fetchval(_AUTH_VERSION))

    async def changed_since(self, version: int) -> list[NumberRow]:
        """The numbers that were changed after the counter stood at ``version``, or users, tokens
        or keys of which were.
        """
        return [NumberRow(*row) for row in await self._fetch(_CHANGED, version)]

    # ------------------------------------------------------------ settings

    async def setting(self, number: int, name: str) -> dict[str, Any]:
        """The number's object of this name; empty if none is stored or it is not an object."""
        stored = await self.raw_setting(number, name)
        return stored if isinstance(stored, dict) else {}

    async def raw_setting(self, number: int, name: str) -> Any:
        """The number's stored value of this name, whatever it is."""
        text = await self._fetchval(_SETTING, number, name)
        return {} if text is None else decoded(text)

    async def change_setting(
        self, number: int, name: str, change: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> None:
        """Replace a setting by ``change(present)``. Changes of one setting wait for each other."""
        async with self._changing("settings") as connection:
            await connection.execute(_ADD_SETTING, number, name)
            present = decoded(await connection.fetchval(_SETTING_FOR_UPDATE, number, name))
            changed = change(present if isinstance(present, dict) else {})
            value = msgspec.json.encode(changed).decode()
            await connection.execute(_SET_SETTING, number, name, value)

    async def delete_setting(self, number: int, name: str) -> None:
        async with self._changing("settings") as connection:
            await connection.execute(_DELETE_SETTING, number, name)

    # ------------------------------------------------------------ registrations

    async def phone_number(self, number: int) -> tuple[str, str] | None:
        """Country code and the rest of the registered phone number; None before registration."""
        row = await self._fetchrow(_NUMBER, number)
        return (row["cc"], row["phone_number"]) if row else None

    async def account(self, number: int) -> Account | None:
        """The registration of a number; None before it."""
        row = await self._fetchrow(_ACCOUNT, number)
        return Account(*row) if row else None

    async def save_account(
        self,
        number: int,
        cc: str,
        phone_number: str,
        cert: str | None,
        authority_key: bytes | None,
    ) -> None:
        """Register a phone number now; the 32-byte ``authority_key`` verifies certificates."""
        await self._fetch(_SAVE_ACCOUNT, number, cc, phone_number, cert, authority_key)

    async def set_pin(self, number: int, pin_hash: str | None, seen: Account) -> bool:
        """Turn two-step verification on (with the pin's argon2id hash) or off (None); False if
        certificate or pin are not those ``seen`` any more.
        """
        swapped = await self._fetchval(_SWAP_PIN, number, pin_hash, seen.cert, seen.pin_hash)
        return swapped is not None

    async def set_certificate(self, number: int, cert: str, seen: Account) -> bool:
        """Store a newer certificate; False if what was ``seen`` is not registered any more."""
        found = await self._fetchval(_SET_CERTIFICATE, number, cert, seen.cc, seen.phone_number)
        return found is not None
