"""Keys of a number: added, listed, ended, found by their hash, and when each was used last.

A key is never changed, so that what it may do never grows. Whoever adds or ends one does it in a
transaction of ``bounded.changing``: webapps through ``Keys``, the operator's command in that of its
audit row.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from warouter.app_settings import Network
from warouter.store.account.author import Author
from warouter.store.bounded import Bounded

MOST_KEYS = 1000  # of a number that have not ended

_LIVES = "ended_at is null and (expires_at is null or expires_at > now())"
_TIME = "to_char({} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
_SHOWN = (
    "id, name, starts, scopes, networks::text[], "
    + ", ".join(_TIME.format(column) for column in ("created_at", "expires_at", "used_at"))
    + ", created_by"
)
# For as long as rows of the audit log may need its name.
_PRUNE = """
delete from api_key where number = $1
   and least(ended_at, expires_at) < now() - interval '90 days'"""
_ADD = f"""
insert into api_key (number, hash, name, starts, scopes, networks, expires_at, created_by)
select $1, $2, $3, $4, $5, $6::cidr[], $7, $8
 where (select count(*) from api_key where number = $1 and {_LIVES}) < $9
on conflict do nothing
returning {_SHOWN}"""
_IS_KNOWN = "select exists (select from api_key where hash = $1)"
_LIST = f"select {_SHOWN} from api_key where number = $1 and ended_at is null order by id"
_ONE = f"select {_SHOWN} from api_key where number = $1 and id = $2 and ended_at is null"
_END = f"""
update api_key set ended_at = now() where number = $1 and id = $2 and ended_at is null
returning {_SHOWN}"""
_HOLDERS = f"""
select hash, id, number, scopes, networks, expires_at,
       extract(epoch from expires_at - now())::float8
  from api_key where hash = any ($1::bytea[]) and {_LIVES}
   and exists (select from number n where n.id = api_key.number and n.state <> 'removed')"""
# No trigger tells the others of it; as with tokens, what is locked is noted by whoever locked it.
_USED = """
update api_key k set used_at = greatest(k.used_at,
                                        clock_timestamp() - make_interval(secs => u.ago))
  from (select a.id, g.ago
          from unnest($1::bigint[], $2::float8[]) g (id, ago) join api_key a on a.id = g.id
           for no key update of a skip locked) u
 where k.id = u.id"""


class NewKey(msgspec.Struct, frozen=True):
    """A key to be added: the SHA-256 of its text, its first characters, its rights.

    ``scopes`` are bits of ``access.scopes``, ``created_by`` whoever adds it. Without ``networks``
    it may be used from anywhere, without ``expires`` it has no end.
    """

    hash: bytes
    name: str
    starts: str
    scopes: int
    created_by: str
    networks: tuple[Network, ...] = ()
    expires: datetime | None = None


class StoredKey(msgspec.Struct, frozen=True):
    """A key as it is listed; times are UTC as text, None where there is none."""

    id: int
    name: str
    starts: str
    scopes: int
    networks: list[str]
    created: str
    expires: str | None
    used: str | None
    created_by: str


class KeyHolder(msgspec.Struct, frozen=True):
    """A living key by its hash: its rights, its end, and its remaining seconds (infinite without
    an end).
    """

    hash: bytes
    id: int
    number: int
    scopes: int
    networks: tuple[Network, ...]
    expires: datetime | None
    seconds_left: float


async def add(connection: Any, number: int, new: NewKey) -> StoredKey | None:
    """Add a key; None if the number has ``MOST_KEYS``, or the hash is known."""
    await connection.execute(_PRUNE, number)
    row = await connection.fetchrow(
        _ADD,
        number,
        new.hash,
        new.name,
        new.starts,
        new.scopes,
        list(new.networks),
        new.expires,
        new.created_by,
        MOST_KEYS,
    )
    return StoredKey(*row) if row else None


async def listed(connection: Any, number: int) -> list[StoredKey]:
    """The keys of a number that nobody has ended, by age; those that have expired among them."""
    return [StoredKey(*row) for row in await connection.fetch(_LIST, number)]


async def end(connection: Any, number: int, key: int) -> StoredKey | None:
    """End a key; None if the number has no such key, or it was ended before."""
    row = await connection.fetchrow(_END, number, key)
    return StoredKey(*row) if row else None


class Keys(Bounded):
    """The keys, for webapps and consoles."""

    async def add(self, number: int, new: NewKey, by: Author | None = None) -> StoredKey | None:
        """Add a key; None if there are too many. AccessDenied if ``by`` has ended meanwhile."""
        async with self._changing("auth") as connection:
            if by is not None:
                await by.check(connection)
            return await add(connection, number, new)

    async def end(self, number: int, key: int, by: Author | None = None) -> StoredKey | None:
        """End a key; None if there is none. AccessDenied if ``by`` has ended meanwhile."""
        async with self._changing("auth") as connection:
            if by is not None:
                await by.check(connection)
            return await end(connection, number, key)

    async def listed(self, number: int) -> list[StoredKey]:
        """The keys of a number, by age."""
        async with self._connection() as connection:
            return await listed(connection, number)

    async def one(self, number: int, key: int) -> StoredKey | None:
        """A key of a number; None if there is none."""
        row = await self._fetchrow(_ONE, number, key)
        return StoredKey(*row) if row else None

    async def is_known(self, key_hash: bytes) -> bool:
        """True if a key of any number has this hash, also one that has ended."""
        return bool(await self._fetchval(_IS_KNOWN, key_hash))

    async def holders(self, hashes: Sequence[bytes]) -> list[KeyHolder]:
        """Those of the keys, by hash, that live."""
        return [_holder(*row) for row in await self._fetch(_HOLDERS, hashes)]

    async def used(self, ages: Mapping[int, float]) -> None:
        """Note of these keys how many seconds ago each was used last."""
        await self._fetch(_USED, list(ages), list(ages.values()))


def _holder(
    key_hash: bytes,
    key: int,
    number: int,
    scopes: int,
    networks: Sequence[Any],
    expires: datetime | None,
    left: float | None,
) -> KeyHolder:
    known = tuple(ipaddress.ip_network(str(one)) for one in networks)
    seconds = float("inf") if left is None else left
    return KeyHolder(key_hash, key, number, scopes, known, expires, seconds)
