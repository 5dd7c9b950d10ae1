"""Contacts as the Cloud API has shown them to a number, and its switches that were set at Meta.

Who cannot be reached is written by owners (``journal.names``), identities by the webapps that get
the webhooks (``keys``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from warouter.store.bounded import Bounded

UNREACHABLE_HOURS = 24.0
AT_ONCE = 1_000  # contacts of one question

_UNREACHABLE = """
select wa_id from cloud_unreachable
 where number = $1 and wa_id = any ($2::text[]) and at > now() - $3 * interval '1 hour'"""
_KEY = "hash, extract(epoch from since)::bigint as since, hash is not distinct from acknowledged"
_OF = f"select {_KEY} from contact_key where number = $1 and wa_id = $2"
_ACKNOWLEDGE = f"""
update contact_key set acknowledged = hash
 where number = $1 and wa_id = $2 and hash = $3 returning {_KEY}"""
_TOLD = "select told from cloud_switch where number = $1 and name = $2"
_TELL = """
insert into cloud_switch (number, name, told) values ($1, $2, $3)
on conflict (number, name) do update set told = excluded.told"""


class KnownKey(NamedTuple):
    """The identity of a contact; ``since`` is in unix s."""

    hash: str
    since: int
    acknowledged: bool


class CloudContacts(Bounded):
    """Contacts that cannot be reached, identities, and switches, of the ``number`` of each call."""

    async def unreachable(self, number: int, wa_ids: Sequence[str]) -> set[str]:
        """Those to whom a message of the number failed with 131026 within the last 24 hours."""
        found: set[str] = set()
        for start in range(0, len(wa_ids), AT_ONCE):
            some = wa_ids[start : start + AT_ONCE]
            rows = await self._fetch(_UNREACHABLE, number, some, UNREACHABLE_HOURS)
            found.update(row["wa_id"] for row in rows)
        return found

    async def key(self, number: int, wa_id: str) -> KnownKey | None:
        """The identity of a contact, None if no webhook showed one."""
        return await self._one(_OF, number, wa_id)

    async def acknowledge(self, number: int, wa_id: str, hash: str) -> KnownKey | None:
        """Acknowledge the identity of this hash, and return it as it is now; None as in ``key``."""
        found = await self._one(_ACKNOWLEDGE, number, wa_id, hash)
        return found or await self.key(number, wa_id)

    async def told(self, number: int, name: str) -> bool | None:
        """The value to which a switch of the number was set at Meta.

        Off if it never was set, None if Meta did not answer.
        """
        row = await self._fetchrow(_TOLD, number, name)
        return row["told"] if row is not None else False

    async def tell(self, number: int, name: str, told: bool | None) -> None:
        """Keep what a switch was set to."""
        await self._fetch(_TELL, number, name, told)

    async def _one(self, sql: str, *arguments: Any) -> KnownKey | None:
        row = await self._fetchrow(sql, *arguments)
        return KnownKey(*row) if row is not None else None
