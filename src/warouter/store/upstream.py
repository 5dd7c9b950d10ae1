"""Which upstream a database has: a fact of the database, chosen before its first owner, for ever.

Coreapps that are set to another one do not start, and leaders name only those that match, so no
message is sent, and settled, at the wrong place.
"""

from __future__ import annotations

from warouter.store.database import Connection, Source

_READ = "select upstream from format"
_CHOOSE = "update format set upstream = $1 where not exists (select from slot where epoch > 0)"


async def read_upstream(source: Source) -> str:
    """`simulator`, or `cloud:` and the id of a phone number."""
    upstream: str = await source.fetchval(_READ)
    return upstream


async def choose_upstream(connection: Connection, upstream: str) -> bool:
    """Give this upstream to a database whose slots never had an owner; False if it uses another."""
    await connection.execute(_CHOOSE, upstream)
    return await read_upstream(connection) == upstream
