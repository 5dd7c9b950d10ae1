"""A number of the installation: its rate, shared by the owners, and its stops."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import msgspec

from warouter.cloud_number import NumberCloud
from warouter.flow.share import Demand
from warouter.store.bounded import Fetch

_SHARE = """
select s.level, s.inbound, s.owners, s.demands, s.ages, s.held,
       h.code as stop_code, h.details as stop_details
  from share_number($1, $2, $3, $4) s left join hold_token($1, $2, $5) h on true"""
_STOP = "select stop_number($1, $2, $3, $4) as news"
_RESUME = "delete from cloud_pause where number = $1 and token_hash = $2 returning code"
_HELD = """
insert into cloud_held (account, template) values ($1, $2)
on conflict (account, template) do update set at = now()"""
_LEVEL = """
insert into cloud_number (number, level, facts) values ($1, $2, $3)
on conflict (number) do update
   set level = excluded.level, facts = cloud_number.facts || excluded.facts,
       read_at = clock_timestamp()"""


class Stop(NamedTuple):
    """Why the number is stopped, by Meta's code; for the token of this hash."""

    code: int
    details: str
    token_hash: bytes


class Shared(NamedTuple):
    """``level`` and ``inbound`` in messages/s; ``level`` is None if nobody has read it."""

    level: int | None
    inbound: float
    demands: list[Demand]
    stop: Stop | None
    held: frozenset[str] = frozenset()  # templates of which Meta holds messages back


async def share(
    fetch: Fetch, incarnation: UUID, of: NumberCloud, demand: float, token_hash: bytes
) -> Shared:
    """Say what this owner wants for a number and which token it has; read what all of them want,
    and why the number is stopped for that token.
    """
    [row] = await fetch(_SHARE, incarnation, of.id, of.waba_id, demand, token_hash)
    demands = [
        Demand(*each) for each in zip(row["owners"], row["demands"], row["ages"], strict=True)
    ]
    stop, held = None, frozenset(row["held"])
    if row["stop_code"] is not None:
        stop = Stop(row["stop_code"], row["stop_details"], token_hash)
    return Shared(row["level"], row["inbound"], demands, stop, held)


async def stop(fetch: Fetch, number: int, why: Stop) -> bool:
    """Stop the number for that token; whether this is news."""
    [row] = await fetch(_STOP, number, *why)
    return bool(row["news"])


async def resume(fetch: Fetch, number: int, token_hash: bytes) -> None:
    """Let those send again for the number who have this token: with it all is well."""
    await fetch(_RESUME, number, token_hash)


async def hold_back(fetch: Fetch, account: str, template: str) -> None:
    """Note that Meta holds back a message of this template; ``account`` is the id of its WABA."""
    await fetch(_HELD, account, template)


async def describe(fetch: Fetch, number: int, level: int, facts: dict[str, object]) -> None:
    """Keep the number's level, in messages/s, and what else the Cloud API says of it: ``facts``
    that are not among them stay as they are.
    """
    await fetch(_LEVEL, number, level, msgspec.json.encode(facts).decode())
