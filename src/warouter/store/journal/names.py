"""Ids and users of the Cloud API by ours, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from warouter.store.journal.sessions import JournalSessions, columns_of

# Of several attempts that were taken the last one: who resent it believes in that. One descent of
# the index for each: a join reads all of it, as soon as there are a few ids.
_WAMIDS = """
select w.number, w.id, k.wamid
  from unnest($1::integer[], $2::bytea[]) w(number, id),
       lateral (select u.wamid from upstream_id u where u.id = w.id and u.number = w.number
                 order by u.attempt desc limit 1) k"""
_IDS = "select number, wamid, id from ids_of_wamids($2, $1)"
_USERS = """
select alias, coalesce(successor, user_id) as user_id
  from contact_identity where portfolio = $1 and alias = any ($2)"""
# In the order of an index, so that it is one: without numbers there may be few among millions.
MOST_USERS = 10_000
USERS_SQL = f"""
select (select count(*) from (select from contact_identity order by user_id
                               limit {MOST_USERS}) u) as identities,
       (select count(*) from (select from contact_identity where alias is not null order by alias
                               limit {MOST_USERS}) a) as aliases"""

# The acknowledged one: that which is checked. A hash that nobody acknowledged would fail for sure.
_KEYS = """
select k.number, k.wa_id, k.acknowledged
  from unnest($1::integer[], $2::text[]) f(number, wa_id)
  join contact_key k on k.number = f.number and k.wa_id = f.wa_id
 where k.acknowledged is not null"""
# In order, as owners of several slots write the same contacts. What Meta repeats after days is old,
# and what its clock calls the future is now.
_UNREACHABLE = """
insert into cloud_unreachable as u (number, wa_id, at)
select f.number, f.wa_id, case when f.at > 0 then least(to_timestamp(f.at), clock_timestamp())
                     else clock_timestamp() end
  from unnest($1::integer[], $2::text[], $3::bigint[]) as f(number, wa_id, at)
 order by f.number, f.wa_id collate "C"
on conflict (number, wa_id) do update set at = greatest(u.at, excluded.at)"""

_LEARN = "select learn_identities('{}', '{}', '{}', $1, $2, $3, $4, $4, $4, $4)"


class Users(NamedTuple):
    """How many users of all portfolios are known, and have an alias; each up to MOST_USERS."""

    identities: int
    aliases: int


class CloudNames(JournalSessions):
    """Look-ups that no fence guards: what they find is true whoever asks."""

    async def wamids_of(self, ids: Sequence[tuple[int, bytes]]) -> dict[tuple[int, bytes], str]:
        """The id that the Cloud API gave each of these messages, by number and id; those without
        are missing.
        """
        rows = await self._cloud_read(_WAMIDS, *columns_of(ids, 2))
        return {(row["number"], row["id"]): row["wamid"] for row in rows}

    async def ids_of(self, wamids: Sequence[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        """Return those of the Cloud API's ids, each of its number, that are of our messages."""
        rows = await self._cloud_read(_IDS, *columns_of(wamids, 2))
        return {(row["number"], row["wamid"]): row["id"] for row in rows}

    async def users_of(self, portfolio: int, aliases: Sequence[str]) -> dict[str, str]:
        """The users of a portfolio behind these aliases; unknown ones are missing."""
        rows = await self._cloud_read(_USERS, portfolio, list(aliases))
        return {row["alias"]: row["user_id"] for row in rows}

    async def users(self) -> Users:
        """Count the users."""
        [row] = await self._cloud_read(USERS_SQL)
        return Users(row["identities"], row["aliases"])

    async def keys_of(self, contacts: Sequence[tuple[int, str]]) -> dict[tuple[int, str], str]:
        """The hash of the identity that each number has acknowledged of each of its contacts; those
        without are missing.
        """
        rows = await self._cloud_read(_KEYS, *columns_of(contacts, 2))
        return {(row["number"], row["wa_id"]): row["acknowledged"] for row in rows}

    async def learn_unreachable(self, found: Sequence[tuple[int, str, int]]) -> None:
        """Keep whom a number could not reach, and when: unix s by Meta's clock, 0 for now. Each
        number and contact once.
        """
        await self._cloud_read(_UNREACHABLE, *columns_of(found, 3))

    async def learn(self, users: Sequence[tuple[int, str, str]]) -> None:
        """Keep the wa_id of users, each with portfolio and user id before it."""
        await self._cloud_read(_LEARN, *columns_of(users, 3), [None] * len(users))
