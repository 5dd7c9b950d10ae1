"""The offline judge: history, simulator, database and owner log against the invariants."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.campaigns.chaos.lab import PROMISED_SECONDS, Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.schedule import COUNTS
from tests.harness.facts import OPEN_CURSORS
from tests.harness.history import History
from tests.harness.invariants import violations
from warouter.message_id import parse, text_of

_UNSETTLED = f"""
select ({OPEN_CURSORS}) + (select count(*) from parked_message)
     + (select count(*) from parked_event) + (select count(*) from dead_letter)
     + (select count(*) from send_issue where state <> 3 and not id = any($1::bytea[]))
     + (select count(*) from cloud_inbox)
    as n"""
WHOLE_SECONDS = 120.0  # for a table of a million rows, beside other load
_OWNER_LOG = "select *, extract(epoch from at)::float8 as wall from owner_log order by id"
_MESSAGES = "select id, convert_from(body, 'UTF8') as body from message where kind = 0"
# Takeovers that a fault without a dead or silent coreapp must not cause.
NEEDLESS = frozenset({"dead", "overdue", "unowned"})
HARMLESS = frozenset(name for name, times in COUNTS.items() if times.harmless)
# An owner's sessions all end while it lives. One that has none at two looks of the leader, 40 ms
# apart, counts as dead: on a busy machine that is bad luck once, and a fault of the product twice.
SESSIONLESS = frozenset({"end-sessions-of-owner", "stall-postgres", "silent-names"})
_WEBAPP_KILLS = ("kill-webapp", "kill-webapps")


async def judged(lab: Lab, marks: Sequence[Mark]) -> list[str]:
    """Sentences; none means that everything held."""
    history = lab.history
    await lab.door.has_told(lab)
    history.held = await lab.door.waiting(lab)
    await _settled(lab)
    await lab.arrivals.fetch()
    log = await lab.database.sql(_OWNER_LOG, seconds=WHOLE_SECONDS)
    history.on_owner_log(log)
    of_its_door = await lab.door.judged(lab, marks, log)
    for stale_write in await lab.database.stale_writes():
        history.broken("I2", stale_write)
    return [
        *map(str, violations(history)),
        *of_its_door,
        *api_errors(history),
        *unanswered(history, marks),
        *needless(marks, log),
        *await accounted(lab, history),
    ]


def api_errors(history: History) -> list[str]:
    """No request may fail; what a killed webapp left open is unknown, not failed."""
    if not history.errors:
        return []
    kinds = Counter((status, body[:120]) for _, status, body in history.errors)
    return [f"API: {n} requests were answered {what}" for what, n in kinds.most_common(5)]


def unanswered(history: History, marks: Sequence[Mark]) -> list[str]:
    """A request may end without an answer only when its webapp was killed."""
    found = [(_during(at, marks), why) for at, _, why in history.unknown]
    kinds = Counter((kind, why[:80]) for kind, why in found if kind not in _WEBAPP_KILLS)
    return [
        f"API: {n} requests had no answer at {kind or 'no fault'}: {why}"
        for (kind, why), n in kinds.most_common(5)
    ]


def _during(at: float, marks: Sequence[Mark]) -> str:
    """The fault of that moment."""
    return next((m.kind for m in marks if m.at <= at <= (m.recovered or m.healed)), "")


def needless(marks: Sequence[Mark], log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Takeovers during faults that harm no coreapp for longer than a lease."""
    found: dict[str, list[str]] = {}
    for mark in marks:
        end = mark.wall + ((mark.recovered or mark.healed) - mark.at)
        rows = [r for r in log if mark.wall <= r["wall"] <= end and r["reason"] in NEEDLESS]
        if rows and mark.kind in HARMLESS:
            reasons = Counter(r["reason"] for r in rows)
            said = f"needless takeovers at {mark.kind}: {dict(reasons)}"
            found.setdefault(mark.kind, []).append(said)
    return [s for kind, said in found.items() if _often(kind, said, marks) for s in said]


def _often(kind: str, said: Sequence[str], marks: Sequence[Mark]) -> bool:
    """Once is too often, but for ``SESSIONLESS``: there twice, and in half of the faults."""
    if kind not in SESSIONLESS:
        return True
    return len(said) >= 2 and 2 * len(said) >= sum(m.kind == kind for m in marks)


async def accounted(lab: Lab, history: History) -> list[str]:
    """A row without a 201 belongs to a request without an answer, and was sent like all others."""
    rows = await lab.database.sql(_MESSAGES, seconds=WHOLE_SECONDS)
    known = history.number.keys() | history.doomed | history.cautious
    unknown = {token for _, token, _ in history.unknown} | history.refused
    stray = [
        r["body"]
        for r in rows
        if text_of(r["id"]) not in known
        and r["body"].partition('"body":"')[2].partition('"')[0] not in unknown
    ]
    return [f"{len(stray)} rows that no request accounts for, as {stray[0]}"] if stray else []


async def _settled(lab: Lab) -> None:
    """Cursors reach the ends of their journals soon; nothing is parked or given up.

    What waits on rightly is left out.
    """
    waiting = [parse(i) for i in lab.history.held]
    give_up = time.monotonic() + PROMISED_SECONDS
    while True:
        (row,) = await lab.database.sql(_UNSETTLED, waiting)
        if not row["n"] or time.monotonic() > give_up:
            break
        await asyncio.sleep(0.1)
    if row["n"]:
        lab.history.broken("I15", f"{row['n']} cursors or parked rows are not settled")
