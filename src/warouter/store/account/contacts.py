"""The contact store: what the upstream answered about numbers, and when. Its writes are not fenced.

Answers are good for 7 days; a number that was valid once may be written to after that as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from warouter.store.bounded import Bounded

CACHE_DAYS = 7

_KNOWN = """
select wa_id, valid from contact
 where wa_id = any ($1::text[]) and checked_at > now() - make_interval(days => $2)"""
_IS_VALID = "select valid from contact where wa_id = $1"
# In order, so that two webapps that save the same numbers wait for each other and no more.
_SAVE = """
insert into contact (wa_id, valid, checked_at)
select t.wa_id, t.valid, now() from unnest($1::text[], $2::boolean[]) as t(wa_id, valid)
 order by t.wa_id
on conflict (wa_id) do update set valid = excluded.valid, checked_at = excluded.checked_at"""


class ContactStore(Bounded):
    """Answers about numbers, by wa_id."""

    async def known(self, wa_ids: Collection[str]) -> dict[str, bool]:
        """Answers about these numbers that are at most ``CACHE_DAYS`` old: on WhatsApp or not."""
        rows = await self._fetch(_KNOWN, list(wa_ids), CACHE_DAYS)
        return {row["wa_id"]: row["valid"] for row in rows}

    async def is_valid(self, wa_id: str) -> bool:
        """True if the last answer about the number, however old, was that it is on WhatsApp."""
        return await self._fetchval(_IS_VALID, wa_id) is True

    async def save(self, valid: Mapping[str, bool]) -> None:
        """Store answers that just came."""
        await self._fetch(_SAVE, list(valid), list(valid.values()))
