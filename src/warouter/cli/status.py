"""``warouter status``: the state of the cluster as tables or JSON, once or every second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import uvloop
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from warouter._hash import SLOTS
from warouter.cli.database import (
    MOMENT,
    checked,
    cluster_option,
    connected,
    console,
    settings_of,
    table,
    told,
)
from warouter.cli.status_facts import cloud_facts, trust_fact
from warouter.cluster.moves import REASONS, moves_of, slots_text
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.store.database import Connection, close_politely
from warouter.store.transport.modes import described
from warouter.store.views.doubts import age
from warouter.store.views.owners import OwnerLogFilter
from warouter.store.views.status import NodeStatus, ShardStatus, Status, numbered, read_status

# Not "wa:...": those sessions are taken for a node's.
APPLICATION = "warouter status"
EVERY_SECONDS = 1.0
LATEST_CHANGES = 10
_STATES = {"alive": "green", "silent": "yellow", "dead": "red"}


class OwnerLogQuery(NamedTuple):
    """The part of the owner log that is asked for besides the present state."""

    history: int
    wanted: OwnerLogFilter
    at: datetime | None


@click.command()
@cluster_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; one per line with --watch."
)
@click.option("--watch", is_flag=True, help="Refresh every second until Ctrl-C.")
@click.option(
    "--history",
    type=click.IntRange(0, 10_000),
    is_flag=False,
    flag_value=LATEST_CHANGES,
    default=0,
    help=f"Also show the last N changes of owners ({LATEST_CHANGES} without a number). Slots that"
    " moved together share a line here, and are an entry each in --json.",
)
@click.option("--reason", type=click.Choice(list(REASONS)), help="Of --history: only this reason.")
@click.option("--node", help="Of --history: only what this node gave or got.")
@click.option("--since", type=MOMENT, help="Of --history: not before this time (UTC).")
@click.option("--until", type=MOMENT, help="Of --history: not after this time (UTC).")
@click.option("--at", type=MOMENT, help="Also show who owned each slot at this time (UTC).")
def status(data_dir: Path | None, as_json: bool, watch: bool, history: int, **asked: Any) -> None:
    """Show nodes, shards, backlog, callbacks and connections, from one snapshot of the database."""
    settings = settings_of(data_dir)
    at = asked.pop("at")
    question = OwnerLogQuery(history, OwnerLogFilter(**asked), at)
    uvloop.run(_watch(settings, as_json, question) if watch else _once(settings, as_json, question))


async def _once(settings: Settings, as_json: bool, asked: OwnerLogQuery) -> None:
    async with connected(settings, APPLICATION) as connection:
        found = await _read(settings, connection, asked, as_json)
    if as_json:
        _show_json(found)
    else:
        console().print(_page(found, asked.history))


async def _watch(settings: Settings, as_json: bool, asked: OwnerLogQuery) -> None:
    """Refresh until Ctrl-C. The first reading must succeed; later errors are shown, and retried."""
    connection = await checked(settings, APPLICATION)
    page: AbstractContextManager[Live | None] = (
        nullcontext()
        if as_json
        else Live(console=console(), auto_refresh=False, vertical_overflow="visible")
    )
    with page as live:
        while True:
            try:
                if connection.is_closed():
                    connection = await checked(settings, APPLICATION)
                found = await _read(settings, connection, asked, as_json)
            except CommandError as error:
                await close_politely(connection)
                _show_trouble(live, str(error))
            else:
                _show(live, found, asked.history)
            await asyncio.sleep(EVERY_SECONDS)


async def _read(
    settings: Settings, connection: Connection, asked: OwnerLogQuery, as_json: bool
) -> Status:
    # Each line of the page may stand for all slots.
    rows = asked.history if as_json else asked.history * SLOTS
    with told():
        found = await read_status(connection, rows, asked.wanted, asked.at)
    trust = msgspec.structs.replace(found.trust, database_tls=described(settings))
    return msgspec.structs.replace(found, trust=trust)


def _show(live: Live | None, found: Status, history: int) -> None:
    if live is None:
        _show_json(found)
    else:
        live.update(_page(found, history), refresh=True)


def _show_json(found: Status) -> None:
    click.echo(msgspec.json.encode(found))


def _show_trouble(live: Live | None, sentence: str) -> None:
    if live is None:
        click.echo(sentence, err=True)
    else:
        live.update(Text(sentence, style="red"), refresh=True)


# the page


def _page(found: Status, history: int) -> RenderableType:
    parts: list[RenderableType] = [_summary(found), _nodes(found), _shards(found)]
    if found.owners_at is not None:
        parts.append(_owners_at(found.owners_at))
    if found.history:
        parts.append(_history(found, history))
    return Group(*parts)


def _summary(found: Status) -> Table:
    listed = Table.grid(padding=(0, 2))
    database = found.database
    facts = {
        "term": f"{numbered(found.term)}, led by {found.leader or 'nobody'}"
        f" for {age(found.term_age_s)}",
        "shards": f"{found.shard_count} (map version {found.map_version})",
        "backlog": f"{found.backlog:,} messages, {found.parked:,} parked"
        + (f", the oldest for {age(found.oldest_message_s)}" if found.oldest_message_s else ""),
        "callbacks": f"{found.callback_queue['statuses']:,} statuses,"
        f" {found.callback_queue['inbound']:,} inbound waiting; {found.parked_events:,} parked,"
        f" {found.dead_letters:,} dead letters",
        "database": f"{database.connections} of {database.max_connections} connections ("
        + ", ".join(f"{name} {n}" for name, n in database.connections_by_node.items())
        + ")",
        "oldest transaction": _oldest(found),
        "trust": trust_fact(found.trust),
    }
    if found.cloud is not None:
        facts |= cloud_facts(found.cloud)
    if (request := found.shard_request) is not None:
        facts["shard request"] = (
            f"{request.shards} shards, {request.state} for {age(request.age_s)}"
        )
    for name, fact in facts.items():
        listed.add_row(Text(name, style="bold"), Text(fact))
    return listed


def _oldest(found: Status) -> str:
    database = found.database
    if not database.oldest_transaction_s:
        return "none open"
    by = database.oldest_transaction_by or "unnamed"
    return f"{database.oldest_transaction_s:.1f} s by {by}"


def _nodes(found: Status) -> Table:
    """The nodes without those that a later one of the same name replaced; --json has them all."""
    alive = {node.name for node in found.nodes if node.state != "dead"}
    columns = ("node", "address", "role", "state", ">pid", "version", ">up", "shards")
    listed = table(*columns, title="nodes")
    for node in found.nodes:
        if node.state == "dead" and node.name in alive:
            continue
        listed.add_row(
            Text(node.name),
            node.address,
            node.role,
            Text(_state(node), style=_STATES[node.state]),
            str(node.pid),
            node.version,
            age(node.age_s),
            ", ".join(map(str, node.shards)),
        )
    return listed


def _state(node: NodeStatus) -> str:
    more = [", leaving"] if node.leaving else []
    if node.state == "silent" and node.silent_s is not None:
        more.append(f" for {age(node.silent_s)}")
    if not node.upstream_ok:
        more.append(", no upstream")
    if not node.journal_ok:
        more.append(", cannot write")
    return node.state + "".join(more)


def _shards(found: Status) -> Table:
    counts = (">backlog", ">parked", ">statuses", ">inbound", ">events parked", ">dead")
    columns = ("shard", "owner", "successor", ">slots", "epochs")
    listed = table(*columns, *counts, title="shards")
    for shard in found.shards:
        numbers = (
            shard.backlog,
            shard.parked,
            shard.waiting_statuses,
            shard.waiting_inbound,
            shard.parked_events,
            shard.dead_letters,
        )
        listed.add_row(
            str(shard.shard),
            _owners(shard),
            Text(", ".join(shard.successors)),
            str(len(shard.slots)),
            _range(shard.epoch_from, shard.epoch_to),
            *(f"{n:,}" for n in numbers),
        )
    return listed


def _owners(shard: ShardStatus) -> Text:
    text = Text(", ".join(shard.owners))
    if shard.unowned_slots:
        text.append(f" nobody ({len(shard.unowned_slots)} slots)", style="red")
    return text


def _range(low: int, high: int) -> str:
    return numbered(low) if low == high else f"{numbered(low)} to {numbered(high)}"


def _owners_at(owners: Mapping[int, str | None]) -> Table:
    listed = table("slots", "owner", title="owners at that time")
    for owner in sorted({owner or "" for owner in owners.values()}):
        slots = [slot for slot, name in owners.items() if (name or "") == owner]
        listed.add_row(slots_text(slots), Text(owner or "nobody"))
    return listed


def _history(found: Status, lines: int) -> Table:
    columns = ("at", "slots", "from", "to", "epochs", "term", "reason", ">silent ms", ">pause ms")
    listed = table(*columns, title="changes of owners, the latest first")
    for move in moves_of(found.history)[:lines]:
        last = move.last
        listed.add_row(
            last.at,
            slots_text(move.slots),
            Text(last.from_node or ""),
            Text(last.to_node or ""),
            _range(*move.epochs),
            "" if last.term is None else numbered(last.term),
            Text(last.reason),
            _ms(move.silent_ms),
            _ms(move.pause_ms),
        )
    return listed


def _ms(milliseconds: int | None) -> str:
    return "" if milliseconds is None else str(milliseconds)
