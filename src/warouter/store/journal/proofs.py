"""Reads proofs about the way of webhooks: of which messages they told, and who listened."""

from __future__ import annotations

from typing import NamedTuple

from warouter.flow.proof import Cohort, ListenerAges
from warouter.store.journal.sessions import JournalSessions

_MOST = 2_000  # messages of a cohort that are looked at
# Messages that were answered within $2 seconds after the doubt began, $1 seconds ago, and of how
# many nothing was heard.
_COHORT = f"""
select count(*) as answered, count(*) filter (where t.silent) as silent
  from (select not exists (select from event e
                            where e.key >= n.name || ':' and e.key < n.name || ':xx'
                              and starts_with(e.key, n.name || ':'))
               and not exists (select from cloud_inbox i where i.id = u.id and i.number = u.number
                                  and i.kind = 0) as silent
          from (select * from upstream_id u
                 where u.at >= clock_timestamp() - $1 * interval '1 second'
                   and not u.held and u.at < clock_timestamp() - ($1 - $2) * interval '1 second'
                 order by u.at limit {_MOST}) u,
               lateral (select rtrim(translate(encode(u.id, 'base64'), '+/', '-_'), '=') as name) n
       ) t"""
_LISTENERS = """
select extract(epoch from clock_timestamp())::float8 as now,
       extract(epoch from clock_timestamp() - since)::float8 as since,
       extract(epoch from clock_timestamp() - seen_at)::float8 as seen,
       extract(epoch from clock_timestamp() - left_at)::float8 as left_at,
       extract(epoch from clock_timestamp() - meta_at)::float8 as meta,
       extract(epoch from clock_timestamp() - vain_at)::float8 as vain
  from cloud_path where seen_at > clock_timestamp() - interval '1 day'"""


class CloudPath(NamedTuple):
    """``now`` is the database's clock in unix seconds."""

    cohort: Cohort
    listeners: list[ListenerAges]
    now: float


class Proofs(JournalSessions):
    """Unfenced looks at the whole number."""

    async def way(self, age: float, within: float) -> CloudPath:
        """The cohort of a doubt that began ``age`` seconds ago, and all listeners."""
        [row] = await self._cloud_read(_COHORT, age, within)
        rows = await self._cloud_read(_LISTENERS)
        listeners = [ListenerAges(*ages) for _now, *ages in rows]
        return CloudPath(Cohort(*row), listeners, rows[0]["now"] if rows else 0.0)
