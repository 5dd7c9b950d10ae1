"""Messages of which Meta took more than one request: each that was delivered is charged.

They are found as long as the ids that Meta gave them are kept: 30 days, or the retention.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from warouter.message_id import text_of
from warouter.store.database import Source
from warouter.store.views.doubts import iso

MOST = 1_000
LIST_SQL = """
select t.id, coalesce(m.recipient, max(u.wa_id)) as recipient, count(*) as taken,
       count(*) filter (where u.failed) as failed, t.last
  from (select id, max(at) as last from upstream_id where twice is not null
         group by id order by max(at) desc limit $1) t
  join upstream_id u on u.id = t.id
  left join message m on m.id = t.id
 group by t.id, m.recipient, t.last order by t.last desc, t.id"""


class TakenTwice(msgspec.Struct, frozen=True, kw_only=True):
    """``taken`` requests of the message were taken, the last proof of that came ``at`` (UTC).

    ``charged`` of them were not said to have failed: Meta charges what it delivers, as its
    category has it. ``recipient`` is None once nobody knows it any more.
    """

    id: str
    recipient: str | None
    taken: int
    charged: int
    at: str


class TwiceListing(NamedTuple):
    """The newest of them, and how many they are; ``more`` than that if there were too many."""

    messages: list[TakenTwice]
    more: bool


async def read_twice(connection: Source, most: int = MOST) -> TwiceListing:
    """The newest first; at most so many."""
    rows = await connection.fetch(LIST_SQL, most + 1)
    found = [
        TakenTwice(
            id=text_of(row["id"]),
            recipient=row["recipient"],
            taken=row["taken"],
            charged=row["taken"] - row["failed"],
            at=iso(row["last"]),
        )
        for row in rows[:most]
    ]
    return TwiceListing(found, len(rows) > most)
