"""What must hold when everything has been well again for ten seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.journals import Journal
from tests.campaigns.simulation.loop import EPOCH
from tests.campaigns.simulation.tables import Tables
from tests.harness.history import Row
from warouter._hash import SLOTS
from warouter.cluster.plan import HANDOVER_LEASES
from warouter.message_id import minted_at

SLOWEST = 0.97  # of the clocks of processes, against the one that all is judged by
HANDOVER = 2.0  # seconds, on top of its leases, after which a named successor owns its slot


def left(world: Any) -> tuple[int, int]:
    """Messages that are not settled on disk or lie parked, and what else comes to rest after them.

    I15 promises that the backlog falls, not that its last row ended in time: a record that was due
    a moment after the end is no defect.
    """
    tables: Tables = world.tables
    events = (journal for journals in tables.events for journal in journals)
    messages = _left(tables.messages) + sum(_aside(tables, slot) for slot in range(SLOTS))
    return messages, _left(events) + world.upstream.unacked


def _left(journals: Iterable[Journal]) -> int:
    return sum(
        len(journal.parked) + sum(not journal.settled(seq) for seq in journal.rows)
        for journal in journals
    )


def _aside(tables: Tables, slot: int) -> int:
    """Messages that the slot's cursor passed over, and that are not settled for their sender."""
    rows = tables.messages[slot].rows.items()
    return sum(tables.is_aside(slot, 0, row.number, seq) for seq, row in rows)


def judge(world: Any) -> None:
    """Tell the history what the database and the processes look like now."""
    history: History = world.history
    tables: Tables = world.tables
    _messages(history, tables)
    owned(history, tables, world)
    events(history, tables, world)


def _messages(history: History, tables: Tables) -> None:
    history.rows = []
    for slot, journal in enumerate(tables.messages):
        for seq, row in journal.rows.items():
            aside = tables.is_aside(slot, 0, row.number, seq)
            place, settled = f"slot {slot}: seq {seq}", journal.settled(seq) and not aside
            if row.id in history.expired:
                ttl = None if row.ttl is None else row.ttl * SLOWEST
                waited = _waited(history, tables, row)
                history.rows.append(Row(row.id, place, settled, ttl, waited))
            else:
                history.rows.append(Row(row.id, place, settled))
        if journal.parked:
            history.broken("I15", f"slot {slot}: {len(journal.parked)} messages are parked")
    if tables.aside:
        history.broken("I15", f"still aside: {sorted(tables.aside)}")
    for message_id in history.refused:
        slot = message_id[1]
        if not any(e.key.endswith(":failed") for e in tables.events[slot][0].rows.values()):
            history.broken("I5", f"slot {slot}: refused by the upstream without a status")


def _waited(history: History, tables: Tables, row: Any) -> float:
    """How long a message waited that was ended for its ttl.

    Too short only if two clocks agreed: the database's, put forward, and a node's that was set
    too. With the former alone it counts from when the id was made: a webapp may have held it.
    """
    agreed = history.stepped if history.hits["step_node_clock"] else 0.0
    began = tables.stored[row.id]
    if history.hits["step_database_clock"]:
        began = min(began, minted_at(row.id) - EPOCH)
    return history.expired[row.id] - began + agreed


def owned(history: History, tables: Tables, world: Any) -> None:
    """I12, I15: every slot has a living owner, and nobody waits."""
    living = {p.incarnation for p in world.processes.values() if p.alive and p.role == "coreapp"}
    lost = [s for s in range(SLOTS) if tables.owners[s] not in living]
    if lost:
        history.broken("I15", f"no living owner: slots {lost}")
    since = world.clock.now - world.timing.lease * HANDOVER_LEASES - HANDOVER
    moving = [s for s in range(SLOTS) if tables.successors[s] and tables.named[s] < since]
    if moving:
        history.broken("I12", f"still on the way to a successor: slots {moving}")
    history.owners = {s: (tables.owners[s], tables.epochs[s]) for s in range(SLOTS)}
    waiting = sum(webapp.view.links.pending for webapp in world.fronts)
    if waiting:
        history.broken("I15", f"{waiting} requests wait")
    if tables.request is not None and not any(tables.successors):
        history.broken("I15", "the shard count is still being changed")


def events(history: History, tables: Tables, world: Any) -> None:
    """I8, I10: every event is stored once, acked upstream, and was delivered at least once."""
    if world.upstream.unacked:
        history.broken("I15", f"{world.upstream.unacked} events are not acked upstream")
    if tables.asked:
        history.broken("I15", f"{len(tables.asked)} dead letters were asked for and left")
    strange = set(history.delivered)
    for slot, journals in enumerate(tables.events):
        for kind, journal in enumerate(journals):
            strange -= {(slot, kind, seq) for seq in journal.rows}
            for seq in journal.rows:
                if (slot, kind, seq) not in history.delivered:
                    history.broken("I10", f"slot {slot}: event {kind}/{seq} was never delivered")
                elif not journal.settled(seq):
                    history.broken("I15", f"slot {slot}: event {kind}/{seq} is not settled")
            if journal.parked:
                history.broken("I15", f"slot {slot}: {len(journal.parked)} events are parked")
    for slot, kind, seq in sorted(strange):  # what came again has no row of its own
        history.broken("I8", f"slot {slot}: event {kind}/{seq} was delivered and has no row")
