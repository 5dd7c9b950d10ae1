"""The contact store: what the upstream answered each number about contacts, and when.

Answers are good for 7 days; who was valid once may be written to after that as well. The writes are
not fenced.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from warouter.store.bounded import Bounded

CACHE_DAYS = 7

_KNOWN = """
select wa_id, valid from contact
 where number = $1 and wa_id = any ($2::text[])
   and checked_at > now() - make_interval(days => $3)"""
_IS_VALID = "select valid from contact where number = $1 and wa_id = $2"
# In order, so that two webapps that save the same numbers wait for each other and no more.
_SAVE = """
insert into contact (number, wa_id, valid, checked_at)
select $1, t.wa_id, t.valid, now() from unnest($2::text[], $3::boolean[]) as t(wa_id, valid)
 order by t.wa_id
on conflict (wa_id, number)
   do update set valid = excluded.valid, checked_at = excluded.checked_at"""


class ContactStore(Bounded):
    """Answers to a number about contacts, by wa_id."""

    async def known(self, number: int, wa_ids: Collection[str]) -> dict[str, bool]:
        """Answers about these contacts that are at most ``CACHE_DAYS`` old: on WhatsApp or not."""
        rows = await self._fetch(_KNOWN, number, list(wa_ids), CACHE_DAYS)
        return {row["wa_id"]: row["valid"] for row in rows}

    async def is_valid(self, number: int, wa_id: str) -> bool:
        """True if the last answer about the contact, however old, was that it is on WhatsApp."""
        return await self._fetchval(_IS_VALID, number, wa_id) is True

    async def save(self, number: int, valid: Mapping[str, bool]) -> None:
        """Store answers that just came."""
        await self._fetch(_SAVE, number, list(valid), list(valid.values()))
