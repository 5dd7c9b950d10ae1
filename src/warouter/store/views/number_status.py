"""A number of the Cloud API: what Meta says of it, and how it fares.

What Meta says was asked by one owner, at most a minute ago while a cluster runs. What only coreapps
know, their rates and counts, is summed over their last reports.
"""

from __future__ import annotations

from typing import Any

import msgspec

from warouter.cloud_settings import version_end
from warouter.store.database import Source
from warouter.store.journal.issues import ISSUED
from warouter.store.journal.names import USERS_SQL
from warouter.store.reports import FRESH_SECONDS
from warouter.store.views.backlog import MOST_COUNTED
from warouter.upstream.cloud.graph import health
from warouter.upstream.cloud.graph.health import Entity

UPSTREAM = "cloud:"  # and the id of the phone number
_FACTS = """
select f.upstream, n.facts::text as facts, coalesce(n.level, 0) as level,
       case when isfinite(n.read_at)
            then to_char(n.read_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') end as read_at,
       case when isfinite(n.read_at)
            then extract(epoch from clock_timestamp() - n.read_at)::float8 end as read_age_s
  from format f left join cloud_number n on n.number = $1 where f.upstream <> 'simulator'"""
_COUNTS = f"""
select (select count(*) from (select from send_issue where state = {ISSUED}
                               limit {MOST_COUNTED}) i) as out,
       p.webhook_age_s, p.webhook_at
  from (select extract(epoch from clock_timestamp() - max(meta_at))::float8 as webhook_age_s,
               to_char(max(meta_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as webhook_at
          from cloud_path) p"""
_SUMS = """
select s ->> 0 as name, sum((s ->> 1)::float8) as total, max((s ->> 1)::float8) as most,
       count(*) as coreapps
  from (select distinct on (node) body from report
         where role = 'coreapp' and at > clock_timestamp() - make_interval(secs => $1)
         order by node, at desc) r
 cross join lateral jsonb_array_elements(r.body -> 'samples') s
 where s ->> 0 = any ($2) group by 1"""
_PREFIX = "warouter_cloud_"
_SUMMED = ("budget", "rate", "throttled_total", "pair_waits_total")


class NumberFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The number as Meta describes it; "" for what it left out.

    ``name`` is what customers see. ``level`` in messages a second, ``throughput`` is its name.
    ``storage`` is the status of its storage configuration. ``can_send``: AVAILABLE, LIMITED or
    BLOCKED. ``token_expires_at`` in unix s, 0 for never, None if nobody knows. ``version`` is the
    Graph API's. ``read_at`` in UTC, None if it is to be read again.
    """

    status: str = ""
    level: float = 0.0
    throughput: str = ""
    quality: str = ""
    name: str = ""
    name_status: str = ""
    storage: str = ""
    can_send: str = ""
    entities: tuple[Entity, ...] = ()
    token_expires_at: int | None = None
    token_valid: bool | None = None
    version: str = ""
    read_at: str | None = None
    read_age_s: float | None = None

    def warnings(self) -> list[str]:
        """A sentence for each thing that keeps it from sending, or soon may."""
        found = health.warnings(self.entities, self.can_send, self.quality, self.name_status)
        return list(found)


class NumberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The number as operators see it. Rates in messages a second.

    ``budget`` is what may be sent now of the level, ``rate`` what ``coreapps`` allow themselves of
    it together; both, and their counts, None while none reports. ``out`` has requests that have
    begun and not ended. ``webhook_age_s`` is the age of the newest event that a webhook brought,
    and ``webhook_at`` its time in UTC. ``version_ends`` is a day, None if nobody knows. Counts are
    bounded.
    """

    phone_number_id: str
    facts: NumberFacts | None
    version_ends: str | None
    coreapps: int
    budget: float | None
    rate: float | None
    throttled: int | None
    pair_waits: int | None
    out: int
    webhook_age_s: float | None
    webhook_at: str | None
    identities: int
    aliases: int


async def read_number(source: Source, number: int) -> NumberFacts | None:
    """Read Meta's facts of a number; None if it was never asked, or with the simulator."""
    row = await source.fetchrow(_FACTS, number)
    return None if row is None else _facts(row)


async def read_number_status(source: Source, number: int) -> NumberStatus | None:
    """Read how a number fares; None if the upstream is the simulator.

    What is counted, and when a webhook came last, is of all numbers.
    """
    row = await source.fetchrow(_FACTS, number)
    if row is None:
        return None
    facts = _facts(row)
    counts, users = await source.fetchrow(_COUNTS), await source.fetchrow(USERS_SQL)
    assert counts is not None
    assert users is not None
    rows = await source.fetch(_SUMS, FRESH_SECONDS, [_PREFIX + name for name in _SUMMED])
    sums = {each["name"].removeprefix(_PREFIX): each for each in rows}
    end = version_end(facts.version) if facts is not None else None
    return NumberStatus(
        phone_number_id=row["upstream"].removeprefix(UPSTREAM),
        facts=facts,
        version_ends=None if end is None else end.isoformat(),
        coreapps=max((each["coreapps"] for each in rows), default=0),
        budget=sums["budget"]["most"] if "budget" in sums else None,
        rate=sums["rate"]["total"] if "rate" in sums else None,
        throttled=_count(sums, "throttled_total"),
        pair_waits=_count(sums, "pair_waits_total"),
        out=counts["out"],
        webhook_age_s=_age(counts["webhook_age_s"]),
        webhook_at=counts["webhook_at"],
        identities=users["identities"],
        aliases=users["aliases"],
    )


def _facts(row: Any) -> NumberFacts | None:
    """The stored facts; an older build stored less, a newer one may have stored it otherwise."""
    if row["facts"] is None:
        return None
    try:
        found = msgspec.json.decode(row["facts"], type=NumberFacts)
    except msgspec.DecodeError:
        found = NumberFacts()
    return msgspec.structs.replace(
        found, level=float(row["level"]), read_at=row["read_at"], read_age_s=row["read_age_s"]
    )


def _count(sums: dict[str, Any], name: str) -> int | None:
    return int(sums[name]["total"]) if name in sums else None


def _age(seconds: float | None) -> float | None:
    """Meta's clock may be ahead of ours."""
    return None if seconds is None else max(0.0, seconds)
