"""The number that this cluster serves: its rate, shared by the owners, and its stop."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import msgspec

from warouter.flow.share import Demand
from warouter.store.bounded import Fetch

_SHARE = "select * from share_number($1, $2)"
_STOP = "select stop_number($1, $2, $3) as news"
_RESUME = "delete from cloud_pause where token_hash is distinct from $1 or $2 returning code"
_HELD = """
insert into cloud_held (template) values ($1) on conflict (template) do update set at = now()"""
_LEVEL = """
insert into cloud_number (level, facts) values ($1, $2)
on conflict (one) do update
   set level = excluded.level, facts = cloud_number.facts || excluded.facts,
       read_at = clock_timestamp()"""


class Stop(NamedTuple):
    """Why the number is stopped, by Meta's code; for the token of this hash."""

    code: int
    details: str
    token_hash: bytes


class Shared(NamedTuple):
    """``level`` in messages/s, None if nobody has read it; ``level_age`` in seconds.

    ``inbound`` in messages/s.
    """

    level: int | None
    level_age: float
    inbound: float
    demands: list[Demand]
    stop: Stop | None
    held: frozenset[str] = frozenset()  # templates of which Meta holds messages back


async def share(fetch: Fetch, incarnation: UUID, demand: float) -> Shared:
    """Say what this owner wants, and read what all of them want."""
    [row] = await fetch(_SHARE, incarnation, demand)
    demands = [
        Demand(*each) for each in zip(row["owners"], row["demands"], row["ages"], strict=True)
    ]
    stop, held = None, frozenset(row.get("held") or ())
    if row["stop_code"] is not None:
        stop = Stop(row["stop_code"], row["stop_details"], row["stop_token"])
    return Shared(row["level"], row["read_age"] or 0.0, row["inbound"], demands, stop, held)


async def stop(fetch: Fetch, why: Stop) -> bool:
    """Stop the number; whether this is news."""
    [row] = await fetch(_STOP, *why)
    return bool(row["news"])


async def resume(fetch: Fetch, token_hash: bytes, *, well: bool) -> bool:
    """Let the number send again if it was stopped for another token, or this one is ``well``."""
    return bool(await fetch(_RESUME, token_hash, well))


async def hold_back(fetch: Fetch, template: str) -> None:
    """Note that Meta holds back a message of this template."""
    await fetch(_HELD, template)


async def describe(fetch: Fetch, level: int, facts: dict[str, object]) -> None:
    """Keep the number's level, in messages/s, and what else the Cloud API says of it: ``facts``
    that are not among them stay as they are.
    """
    await fetch(_LEVEL, level, msgspec.json.encode(facts).decode())
