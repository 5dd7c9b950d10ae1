"""The first page: is all well, who owns what, and another number of shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from warouter._hash import SHARD_COUNTS
from warouter.cloud_number import FIRST
from warouter.cluster.membership import Node
from warouter.cluster.moves import slots_text
from warouter.cluster.preview import Preview, SeenCoreapp, preview
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.console.context import ConsoleContext
from warouter.console.form import Form, moment
from warouter.console.page import Act, Page
from warouter.console.pages.strip import labels_of, parts_of, strip_of
from warouter.console.visit import ConsoleRefusal, Done, ReadingKey, Visitor
from warouter.metrics import Sample
from warouter.store.reports import Report
from warouter.store.views.owners import read_owners
from warouter.store.views.status import NodeStatus, Status, numbered

PATH = "/console/"
LONG_SECONDS = 1.0  # transactions that are over sooner are nothing to show
_LEVELS = {"alive": "good", "silent": "warn", "dead": "bad"}


class NodeRow(NamedTuple):
    """A line of the table of nodes; ``slots`` is the text of what it owns."""

    node: NodeStatus
    state: str
    level: str
    letter: str
    tone: int
    slots: str
    upstream: str
    links: int | None


class Moving(NamedTuple):
    """A line of the preview."""

    slots: str
    many: int
    owner: str
    to: str


class Planned(NamedTuple):
    """The preview of the form, before it acts."""

    shards: int
    version: int
    moves: list[Moving]
    moving: int
    spares: list[str]
    several: bool  # some coreapps would own several shards
    number: tuple[str, str] | None


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    status, reports = await context.latest.status(), await context.latest.reports()
    at = moment(asked.query.get("at", ""))
    if at is None:
        owners = {s.slot: s.owner for s in status.slots}
        successors = {s.slot: s.successor for s in status.slots}
    else:
        async with context.reading() as connection:
            owners, successors = dict(await read_owners(connection, at)), {}
    verdict = await context.alerts.verdict()
    labels = labels_of(_coreapps(status, owners))
    living = {n.name for n in status.nodes if n.state == "alive"} if at is None else set(labels)
    cells = strip_of(owners, successors, labels, living)
    return {
        "verdict": verdict,
        "alerts": [(alert, _moment(alert.since)) for alert in verdict.alerts],
        "began": _moment(context.alerts.began),
        "status": status,
        "term": numbered(status.term),
        "at": at,
        "cells": cells,
        "parts": [
            (part.owner, len(part.slots), slots_text(part.slots)) for part in parts_of(cells)
        ],
        "nodes": [_row(node, status, labels, reports) for node in status.nodes],
        "oldest": _oldest(status),
        "counts": SHARD_COUNTS,
        "fresh": _fresh(status, reports),
        "trying": context.settings.console_simulator != "",
        "planned": await _planned(context, status, asked.query.get("shards", "")),
    }


async def set_shards(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """Has the API set the shards, if the map is still the one of the preview."""
    shards = _count(form.text("shards", 3))
    form.subject = f"{shards} shards"
    form.kept = {"shards": str(shards)}
    context.latest.forget()
    before = await context.latest.status()
    if form.number("version", 0, 1 << 62) != before.map_version:
        raise ConsoleRefusal("Slots have moved since the preview was made: look at it again.", 409)
    number = await context.accounts.phone_number(FIRST)
    if number is None:
        raise ConsoleRefusal("No number is registered yet: register it first.", 404)
    body = {"cc": number[0], "phone_number": number[1], "shards": shards}
    body |= {name: value for name in ("pin", "cert") if (value := form.secret(name, 20_000))}
    await context.api.call(visitor, "POST", "/v1/account/shards", body)
    context.latest.forget()
    after = await context.latest.status()
    owned = {s.slot: s.owner_incarnation for s in before.slots}
    moved = sum(1 for s in after.slots if s.owner_incarnation != owned[s.slot])
    return Done(f"{before.shard_count} to {shards} shards: {moved} slots moved")


def planned_of(status: Status, shards: int) -> Preview:
    """Preview what so many shards would move, by the database's word on the coreapps."""
    coreapps = [n for n in status.nodes if n.role.endswith("coreapp")]
    upstreams = {n.upstream for n in coreapps if n.shards} or {n.upstream for n in coreapps}
    slots = tuple(
        SlotOwner(s.slot, s.epoch, s.owner_incarnation, s.successor_incarnation, s.moving)
        for s in status.slots
    )
    current = ShardMap(status.map_version, status.shard_count, slots, *sorted(upstreams)[:1])
    return preview(current, [SeenCoreapp(_node(n), n.state == "alive") for n in coreapps], shards)


async def _planned(context: ConsoleContext, status: Status, asked: str) -> Planned | None:
    if not asked:
        return None
    found = planned_of(status, _count(asked))
    names = {n.incarnation: n.name for n in status.nodes}

    def name(incarnation: UUID | None) -> str:
        return names.get(incarnation, "a forgotten one") if incarnation else "nobody"

    return Planned(
        shards=found.shards,
        version=status.map_version,
        moves=[
            Moving(slots_text(slots), len(slots), name(was), name(to))
            for was, to, slots in found.moves
        ],
        moving=found.moving,
        spares=[name(spare) for spare in found.spares],
        several=len(found.owners) < found.shards,
        number=await context.accounts.phone_number(FIRST),
    )


def _count(text: str) -> int:
    if text not in map(str, SHARD_COUNTS):
        raise ConsoleRefusal(f"shards must be one of {', '.join(map(str, SHARD_COUNTS))}.")
    return int(text)


def _node(n: NodeStatus) -> Node:
    return Node(
        n.incarnation,
        n.name,
        "coreapp",
        None,
        n.leaving,
        n.upstream_ok,
        frozenset(),
        n.journal_ok,
        n.upstream,
    )


def _coreapps(status: Status, owners: Mapping[int, str | None]) -> set[str]:
    """The names of all coreapps that anything on the page speaks of, or spoke of lately."""
    names = {n.name for n in status.nodes if n.role.endswith("coreapp")}
    names |= {name for c in status.history for name in (c.from_node, c.to_node) if name}
    names |= {name for s in status.slots for name in (s.owner, s.successor) if name}
    return names | {name for name in owners.values() if name}


def _row(
    node: NodeStatus, status: Status, labels: Mapping[str, Any], reports: Sequence[Report]
) -> NodeRow:
    label = labels.get(node.name) if node.role.endswith("coreapp") else None
    owned = [s.slot for s in status.slots if s.owner_incarnation == node.incarnation]
    dead = node.state == "dead"
    said = {r.incarnation: r.body.samples for r in reports}.get(node.incarnation, [])
    return NodeRow(
        node=node,
        state=node.state + (", leaving" if node.leaving else ""),
        level="warn" if node.leaving and node.state == "alive" else _LEVELS[node.state],
        letter=label.letter if label else "",
        tone=label.tone if label else 0,
        slots=slots_text(owned),
        upstream=_upstream(node) if label and not dead else "",
        links=None if dead else _figure(said, "warouter_link_connected", "warouter_link_webapps"),
    )


def _upstream(node: NodeStatus) -> str:
    if not node.journal_ok:
        return "cannot write"
    return "connected" if node.upstream_ok else "lost"


def _figure(samples: Sequence[Sample], *names: str) -> int | None:
    return next((int(s.value) for s in samples if s.name in names), None)


def _oldest(status: Status) -> tuple[float, str] | None:
    """How old the oldest transaction is, and whose; None if none is open for long."""
    database = status.database
    if database.oldest_transaction_s < LONG_SECONDS:
        return None
    return database.oldest_transaction_s, database.oldest_transaction_by or "unnamed"


def _fresh(status: Status, reports: Sequence[Report]) -> bool:
    """True if no message has ever been accepted, as far as the owners say."""
    journals = [
        s.value
        for report in reports
        for s in report.body.samples
        if s.name == "warouter_slot_journal_seq"
    ]
    return bool(journals) and not any(journals) and not status.backlog


def _moment(unix: float | None) -> datetime | None:
    return None if unix is None else datetime.fromtimestamp(int(unix), UTC)


PAGES = (Page(PATH, "cluster", "Cluster", read, key="c"),)
ACTS = (Act("/console/shards", "set shards", set_shards, PATH),)
