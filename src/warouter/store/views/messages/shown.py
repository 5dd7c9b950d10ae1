"""Messages by the ids that people see, and traces in which no id tells a number."""

from __future__ import annotations

import msgspec

from warouter.kinds import INBOUND
from warouter.log import is_telling, without_numbers
from warouter.store.database import Taken
from warouter.store.views.messages.short import parse_short, short_id
from warouter.store.views.trace import Trace, read_trace

KEY_SQL = f"""
select key from event where slot = $1 and kind = {INBOUND} and seq = $2
union all
select key from dead_letter where slot = $1 and kind = {INBOUND} and seq = $2
limit 1"""
PLACE_SQL = f"""
select slot, seq from event where key = $1 and kind = {INBOUND}
union all
select slot, seq from dead_letter where key = $1 and kind = {INBOUND}
limit 1"""


async def whole_id(connection: Taken, message_id: str) -> str:
    """The upstream's id of a message; as it was given if it is no short one, or of nobody."""
    short = parse_short(message_id)
    if short is None:
        return message_id
    key: str | None = await connection.fetchval(KEY_SQL, short.slot, short.seq)
    return key if key is not None and short.stands_for(key) else message_id


async def read_shown(connection: Taken, message_id: str) -> Trace | None:
    """The trace of a message by any of its ids, for people: no id in it tells a number."""
    found = await read_trace(connection, await whole_id(connection, message_id))
    if found is None:
        return None
    if found.direction == "incoming" and is_telling(found.id):
        place = await connection.fetchrow(PLACE_SQL, found.id)
        if place is not None:
            shown = short_id(found.id, place["slot"], place["seq"])
            found = msgspec.structs.replace(found, id=shown)
    if found.cloud is not None:
        evidence = [
            msgspec.structs.replace(each, wamid=without_numbers(each.wamid))
            for each in found.cloud.evidence
        ]
        cloud = msgspec.structs.replace(found.cloud, evidence=evidence)
        found = msgspec.structs.replace(found, cloud=cloud)
    return found
