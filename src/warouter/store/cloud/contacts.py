"""Contacts as the Cloud API has shown them, and the switches of the number that were set at Meta.

Who cannot be reached is written by owners (``journal.names``), identities by the webapps that get
the webhooks (``keys``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from warouter.store.bounded import Bounded

UNREACHABLE_HOURS = 24.0
AT_ONCE = 1_000  # numbers of one question

_UNREACHABLE = """
select wa_id from cloud_unreachable
 where wa_id = any ($1::text[]) and at > now() - $2 * interval '1 hour'"""
_KEY = "hash, extract(epoch from since)::bigint as since, hash is not distinct from acknowledged"
_OF = f"select {_KEY} from contact_key where wa_id = $1"
_ACKNOWLEDGE = f"""
update contact_key set acknowledged = hash where wa_id = $1 and hash = $2 returning {_KEY}"""
_TOLD = "select told from cloud_switch where name = $1"
_TELL = """
insert into cloud_switch (name, told) values ($1, $2)
on conflict (name) do update set told = excluded.told"""


class KnownKey(NamedTuple):
    """The identity of a contact; ``since`` is in unix s."""

    hash: str
    since: int
    acknowledged: bool


class CloudContacts(Bounded):
    """Numbers that cannot be reached, identities, and the switches of the number."""

    async def unreachable(self, wa_ids: Sequence[str]) -> set[str]:
        """The numbers to which a message failed with 131026 within the last 24 hours."""
        found: set[str] = set()
        for start in range(0, len(wa_ids), AT_ONCE):
            some = wa_ids[start : start + AT_ONCE]
            rows = await self._fetch(_UNREACHABLE, some, UNREACHABLE_HOURS)
            found.update(row["wa_id"] for row in rows)
        return found

    async def key(self, wa_id: str) -> KnownKey | None:
        """The identity of a contact, None if no webhook showed one."""
        return await self._one(_OF, wa_id)

    async def acknowledge(self, wa_id: str, hash: str) -> KnownKey | None:
        """Acknowledge the identity of this hash, and return it as it is now; None as in ``key``."""
        return await self._one(_ACKNOWLEDGE, wa_id, hash) or await self.key(wa_id)

    async def told(self, name: str) -> bool | None:
        """The value to which a switch of the number was set at Meta.

        Off if it never was set, None if Meta did not answer.
        """
        row = await self._fetchrow(_TOLD, name)
        return row["told"] if row is not None else False

    async def tell(self, name: str, told: bool | None) -> None:
        """Keep what a switch was set to."""
        await self._fetch(_TELL, name, told)

    async def _one(self, sql: str, *arguments: Any) -> KnownKey | None:
        row = await self._fetchrow(sql, *arguments)
        return KnownKey(*row) if row is not None else None
