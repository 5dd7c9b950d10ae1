"""Facts about the whole cluster, and of the number that asks, for /v1/support, read at once."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import msgspec

from warouter.store.bounded import connection
from warouter.store.nodes import SLOTS_SQL, map_of

_FACTS = """
select m.version, m.shards, t.incarnation as leader, current_database() as database,
       current_schema() as schema, current_setting('server_version') as server_version,
       (select max(version) from schema_migration) as schema_version,
       a.cc || a.phone_number as number,
       coalesce(extract(epoch from a.registered_at), 0)::bigint as registered_at
  from shard_map m cross join term t left join account a on a.number = $1"""


class ClusterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """``leader`` leads or led last. ``owned``: incarnation -> shards in which it owns slots.
    ``number`` is None while none is registered; ``registered_at`` is in seconds since 1970.
    """

    shards: int
    leader: UUID | None
    owned: dict[UUID, list[int]]
    schema_version: int
    database: str
    schema: str
    server_version: str
    number: str | None
    registered_at: int


async def read_facts(pool: asyncpg.Pool, number: int) -> ClusterFacts:
    """Read the facts for a number. Raises TimeoutError or asyncpg's errors when the database does
    not answer.
    """
    async with connection(pool) as taken:
        row = await taken.fetchrow(_FACTS, number)
        assert row is not None
        slots = map_of(row["version"], row["shards"], await taken.fetch(SLOTS_SQL))
    owners = {s.owner for s in slots.slots if s.owner is not None}
    facts = {name: value for name, value in row.items() if name != "version"}
    return ClusterFacts(**facts, owned={owner: slots.shards_of(owner) for owner in owners})
