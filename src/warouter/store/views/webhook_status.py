"""The webhook as consoles show it: how the receiver does, what waits for it, what it refused.

Figures of the last hour and failures are what coreapps say of themselves (``flow.posts``): they are
gone with the process that has counted them, half a minute after its end at the latest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from warouter.flow.posts import Outlook, Sheet, together
from warouter.kinds import EVENT_KINDS, EVENT_NAMES, EVENT_TYPES
from warouter.store.bounded import Fetch
from warouter.store.database import Source
from warouter.store.reports import FRESH_SECONDS, WEBHOOK
from warouter.store.views.backlog import CALLBACKS_SQL, DEAD_SQL, MOST_COUNTED, PARKED_EVENTS_SQL
from warouter.store.views.messages.found import iso

MOST_FAILURES = 100
_HALF, _MOST = 0.5, 0.95

_SAID = """
select node, extract(epoch from clock_timestamp() - at)::float8 as age_s,
       (body -> 'facts' -> $1)::text as outlook, webhook::text as sheet
  from report where role = 'coreapp' order by node, at"""
_SHOWN = "select url, secrets, secrets_at, headers from webhook_shown($1)"
# The first of each slot that is not settled, and the first that is parked.
_OLDEST = """
select kind, to_char(min(at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
  from (select c.kind, e.recorded_at as at
          from event_cursor c,
               lateral (select recorded_at from event e
                         where e.slot = c.slot and e.kind = c.kind and e.seq > c.mark
                         order by seq limit 1) e
         union all
        select c.kind, p.first_at
          from event_cursor c,
               lateral (select first_at from parked_event p
                         where p.slot = c.slot and p.kind = c.kind order by seq limit 1) p) o
 group by kind"""
_ASKED = f"""
select kind, count(*) as asked
  from (select kind from dead_letter where asked_at is not null limit {MOST_COUNTED}) d
 group by kind"""


class FailedPost(msgspec.Struct, frozen=True, kw_only=True):
    """A POST that failed, see ``flow.posts.Failure``. ``message`` is the id of its first event's
    message, ``others`` how many more events it had.
    """

    at: str
    node: str
    kind: str
    message: str
    others: int
    result: str
    status: int | None
    took_ms: int
    answer: str


class CallbackTrial(msgspec.Struct, frozen=True, kw_only=True):
    """The last test callback of a coreapp."""

    name: str
    at: str
    node: str
    result: str
    status: int | None
    took_ms: int
    answer: str


class WebhookOutage(msgspec.Struct, frozen=True, kw_only=True):
    """A coreapp whose POSTs of a kind have failed again and again ``since``.

    ``probing``: only one event at a time is tried, the others wait.
    """

    node: str
    kind: str
    since: str
    probing: bool


class KindStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one kind, and the POSTs of the last hour that held them.

    ``half_ms`` and ``most_ms``: half of the POSTs, and 95 % of them, had ended within so long.
    ``asked``: letters whose replay was asked for and has not begun.
    """

    kind: str
    taken: int
    failed: int
    half_ms: int | None
    most_ms: int | None
    waiting: int
    parked: int
    oldest: str | None
    dead: int
    asked: int


class WebhookStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``secrets`` is how many there are, ``secrets_at`` since when these, if that is known.

    ``headers``: names of the fields of a registered webhook, None if no client has registered one.
    """

    url: str
    secrets: int
    secrets_at: str | None
    headers: list[str] | None = None
    coreapps: int
    kinds: list[KindStatus]
    outages: list[WebhookOutage]
    trials: list[CallbackTrial]
    failures: list[FailedPost]

    @property
    def waits(self) -> int:
        """How many events wait, parked or not."""
        return sum(one.waiting + one.parked for one in self.kinds)

    @property
    def why_no_retry(self) -> str:
        """Why nothing can be tried at once; "" if something can."""
        if not self.coreapps:
            return "No coreapp runs: only these send callbacks."
        if not self.url:
            return "No webhook is set: set its URL, and what waits is sent."
        return "" if self.waits else "Nothing waits for the webhook."


async def read_webhook(
    connection: Source, number: int, failures: int = MOST_FAILURES
) -> WebhookStatus:
    """Read all of it; ``failures`` of all coreapps, newest first."""
    shown = await connection.fetchrow(_SHOWN, number)
    assert shown is not None
    said = await connection.fetch(_SAID, WEBHOOK)
    outlooks = {
        row["node"]: _outlook_of(row["outlook"]) for row in said if row["age_s"] <= FRESH_SECONDS
    }
    sheets = [(row["node"], _sheet_of(row["sheet"])) for row in said]
    return WebhookStatus(
        url=shown["url"],
        secrets=shown["secrets"],
        secrets_at=shown["secrets_at"],
        headers=shown["headers"],
        coreapps=len(outlooks),
        kinds=_kinds(outlooks.values(), await _waiting(connection.fetch)),
        outages=_outages(outlooks),
        trials=_trials(sheets),
        failures=_failures(sheets)[:failures],
    )


async def _waiting(fetch: Fetch) -> dict[str, dict[int, Any]]:
    """Count the events that wait, by kind."""

    async def summed(sql: str) -> dict[int, int]:
        counts = dict.fromkeys(EVENT_KINDS, 0)
        for row in await fetch(sql):
            counts[row["kind"]] += row[-1]
        return counts

    return {
        "waiting": await summed(CALLBACKS_SQL),
        "parked": await summed(PARKED_EVENTS_SQL),
        "dead": await summed(DEAD_SQL),
        "asked": await summed(_ASKED),
        "oldest": {row["kind"]: row["at"] for row in await fetch(_OLDEST)},
    }


def _kinds(
    outlooks: Iterable[Mapping[str, Outlook]], waiting: Mapping[str, Mapping[int, Any]]
) -> list[KindStatus]:
    each = list(outlooks)
    found = []
    for kind in EVENT_KINDS:
        hour = together(one[EVENT_TYPES[kind]].hour for one in each if EVENT_TYPES[kind] in one)
        found.append(
            KindStatus(
                kind=EVENT_NAMES[kind],
                taken=hour.taken,
                failed=hour.failed,
                half_ms=hour.within_ms(_HALF),
                most_ms=hour.within_ms(_MOST),
                waiting=waiting["waiting"][kind],
                parked=waiting["parked"][kind],
                oldest=waiting["oldest"].get(kind),
                dead=waiting["dead"][kind],
                asked=waiting["asked"][kind],
            )
        )
    return found


def _outages(outlooks: Mapping[str, Mapping[str, Outlook]]) -> list[WebhookOutage]:
    return [
        WebhookOutage(node=node, kind=EVENT_NAMES[kind], since=iso(one.since_ms), probing=one.open)
        for node, by_type in outlooks.items()
        for kind in EVENT_KINDS
        if (one := by_type.get(EVENT_TYPES[kind])) is not None and one.failing
    ]


def _trials(sheets: Iterable[tuple[str, Sheet]]) -> list[CallbackTrial]:
    return [
        CallbackTrial(
            name=sheet.tried.name,
            at=iso(sheet.tried.at_ms),
            node=node,
            result=sheet.tried.result,
            status=sheet.tried.status or None,
            took_ms=sheet.tried.took_ms,
            answer=sheet.tried.answer,
        )
        for node, sheet in sheets
        if sheet.tried is not None
    ]


def _failures(sheets: Iterable[tuple[str, Sheet]]) -> list[FailedPost]:
    found = [(one.at_ms, node, one) for node, sheet in sheets for one in sheet.failures]
    return [
        FailedPost(
            at=iso(one.at_ms),
            node=node,
            kind=EVENT_NAMES[one.kind],
            message=one.event,
            others=one.events - 1,
            result=one.result,
            status=one.status or None,
            took_ms=one.took_ms,
            answer=one.answer,
        )
        for _, node, one in sorted(found, key=lambda each: each[0], reverse=True)
        if one.kind in EVENT_KINDS
    ]


def _outlook_of(text: str | None) -> dict[str, Outlook]:
    """Decode the outlook; nothing of a build that writes it otherwise."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Outlook])
    except msgspec.MsgspecError:
        return {}


def _sheet_of(text: str | None) -> Sheet:
    try:
        return msgspec.json.decode(text or "{}", type=Sheet)
    except msgspec.MsgspecError:
        return Sheet()
