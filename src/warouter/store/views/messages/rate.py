"""How many messages there were a second, lately."""

from __future__ import annotations

from datetime import datetime

from warouter._hash import SLOTS
from warouter.store.database import Taken
from warouter.store.views.messages.found import MessageRate
from warouter.store.views.messages.inbound import SEEK
from warouter.store.views.messages.newest import least_id

SECONDS = 5
_NOW = "select clock_timestamp() - make_interval(secs => $1)"
_MOST = 20_000  # of a slot
_OUTGOING = f"""
select count(*) from unnest($1::bytea[], $2::bytea[]) l(above, below)
 cross join lateral (select from message m where m.id >= l.above and m.id < l.below
                      order by m.id desc limit {_MOST}) c"""
_INCOMING = f"select coalesce(sum(s.after - s.first), 0)::bigint from ({SEEK}) s"


async def read_rate(connection: Taken) -> MessageRate:
    """Read how much was accepted, and came in, during the last seconds by the database's clock.

    An id is made by another clock; one that is wrong by seconds spoils the figure, and no more.
    """
    slots = list(range(SLOTS))
    since: datetime = await connection.fetchval(_NOW, SECONDS)
    ms = int(since.timestamp() * 1000)
    outgoing = await connection.fetchval(
        _OUTGOING,
        [least_id(slot, ms) for slot in slots],
        [least_id(slot, ms + SECONDS * 1000) for slot in slots],
    )
    incoming = await connection.fetchval(_INCOMING, slots, [since] * SLOTS)
    return MessageRate(outgoing / SECONDS, incoming / SECONDS, SECONDS)
