"""Failovers: the owner log, the changes of one cause as one row, and how long slots paused."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from warouter.cluster.moves import FAILOVERS, REASONS, Move, moves_of, slots_text
from warouter.console.context import ConsoleContext
from warouter.console.form import moment
from warouter.console.page import Export, Page
from warouter.console.pages.cluster import PATH as CLUSTER
from warouter.console.visit import ConsoleRefusal, Download, ReadingKey
from warouter.store.views.owners import OwnerLogFilter, read_changes
from warouter.store.views.status import numbered

PATH = "/console/failovers"
MOST_CHANGES = 2_000  # most changes that one page reads
MOST_ROWS = 200
MOST_EXPORTED = 10_000
FILTERS = ("reason", "node", "since", "until")
_SECOND = timedelta(seconds=1) - timedelta(microseconds=1)


class FailoverRow(NamedTuple):
    """One move. ``at`` is when it began; ``planned``: nobody failed."""

    key: str
    at: str
    slots: str
    many: int
    source: str
    to: str
    epochs: str
    reason: str
    why: str
    planned: bool
    silent_ms: int | None
    pause_ms: int | None
    then: str  # the Cluster page at that time


class Bar(NamedTuple):
    """A bar of the chart: ``share`` of the longest one, in percent."""

    reason: str
    moves: int
    slots: int
    share: float


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    wanted = _wanted(asked.query)
    async with context.reading() as connection:
        changes = await read_changes(connection, MOST_CHANGES, wanted)
    status = await context.latest.status()
    moves = moves_of(changes)
    nodes = {n.name for n in status.nodes if n.role.endswith("coreapp")}
    nodes |= {name for c in status.history for name in (c.from_node, c.to_node) if name}
    query = {name: asked.query[name] for name in FILTERS if asked.query.get(name)}
    return {
        "rows": [_row(move) for move in moves[:MOST_ROWS]],
        "more": max(0, len(moves) - MOST_ROWS),
        "cut": len(changes) == MOST_CHANGES,
        "bars": bars_of(moves),
        "reasons": list(REASONS),
        "nodes": sorted(nodes | ({wanted.node} if wanted.node else set())),
        "query": {name: asked.query.get(name, "") for name in FILTERS},
        "filtered": bool(query),
        "export": f"{PATH}.json?{urlencode(query)}" if query else f"{PATH}.json",
        "command": _command(query),
    }


async def export(context: ConsoleContext, asked: ReadingKey) -> Download:
    """The changes as `warouter status --history --json` has them."""
    async with context.reading() as connection:
        changes = await read_changes(connection, MOST_EXPORTED, _wanted(asked.query))
    body = msgspec.json.format(msgspec.json.encode({"history": changes}), indent=1)
    return Download(body, "failovers.json")


def bars_of(moves: Sequence[Move]) -> list[Bar]:
    """How many moves, and of how many slots, each reason had; the most frequent first."""
    counts = Counter(move.last.reason for move in moves)
    slots: Counter[str] = Counter()
    for move in moves:
        slots[move.last.reason] += len(move.changes)
    most = max(counts.values(), default=1)
    return [
        Bar(reason, count, slots[reason], round(100 * count / most, 1))
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _wanted(query: Mapping[str, str]) -> OwnerLogFilter:
    reason, node = query.get("reason") or None, query.get("node") or None
    if reason is not None and reason not in REASONS:
        raise ConsoleRefusal("There is no such reason.")
    if node is not None and (len(node) > 300 or "\0" in node):
        raise ConsoleRefusal("There is no such node.")
    until = moment(query.get("until", ""))
    if until is not None and not until.microsecond:
        until += _SECOND  # all of that second
    return OwnerLogFilter(reason, node, moment(query.get("since", "")), until)


def _row(move: Move) -> FailoverRow:
    last, (low, high) = move.last, move.epochs
    return FailoverRow(
        key=f"{last.epoch}-{last.slot}",
        at=last.at,
        slots=slots_text(move.slots),
        many=len(move.changes),
        source=last.from_node or "nobody",
        to=last.to_node or "nobody",
        epochs=numbered(low) if low == high else f"{numbered(low)} to {numbered(high)}",
        reason=last.reason,
        why=REASONS.get(last.reason, last.reason),
        planned=last.reason not in FAILOVERS,
        silent_ms=move.silent_ms if last.from_node else None,
        pause_ms=move.pause_ms,
        then=f"{CLUSTER}?{urlencode({'at': last.at})}",
    )


def _command(query: Mapping[str, str]) -> str:
    options = "".join(f" --{name} {shlex.quote(value)}" for name, value in query.items())
    return f"warouter status --history 100{options}"


PAGES = (Page(PATH, "failovers", "Failovers", read, key="f"),)
EXPORTS = (Export(f"{PATH}.json", export),)
