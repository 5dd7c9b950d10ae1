"""What must hold when everything has been well again for ten seconds."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.loop import EPOCH
from tests.campaigns.simulation.tables import Tables
from warouter._hash import SLOTS
from warouter.message_id import minted_at

SLOWEST = 0.97  # of the clocks of processes, against the one that all is judged by
HANDOVER = 2.0  # seconds, on top of a lease, after which a named successor owns its slot


def judge(world: Any) -> None:
    """Add what is broken to the history."""
    history: History = world.history
    tables: Tables = world.tables
    _nothing_lost(history, tables)
    _all_ended(history, tables)
    _in_order(history)
    _owned(history, tables, world)
    _events(history, tables, world)


def _nothing_lost(history: History, tables: Tables) -> None:
    """I1: what was acknowledged is on disk and with the upstream; what was refused is nowhere."""
    for recipient, message_id, _, _ in history.acked:
        if message_id not in tables.places:
            history.broken("I1", f"acked and not stored: {message_id[-6:].hex()} to {recipient}")
        elif message_id not in history.taken and message_id not in history.expired:
            place = tables.places[message_id]
            history.broken("I1", f"acked and never sent: {message_id[-6:].hex()} at {place}")
    for message_id in history.unaccepted:
        if message_id in tables.places:
            history.broken("I1", f"not accepted, yet stored: {message_id[-6:].hex()}")


def _all_ended(history: History, tables: Tables) -> None:
    """I5: every stored message was sent or refused, and is settled."""
    for slot, journal in enumerate(tables.messages):
        for seq, row in journal.rows.items():
            if row.id in history.expired:
                _expired(history, tables, slot, row)
            elif row.id not in history.taken:
                history.broken("I5", f"slot {slot}: seq {seq} was never sent")
            elif not journal.settled(seq):
                history.broken("I15", f"slot {slot}: seq {seq} is not settled")
        if journal.parked:
            history.broken("I15", f"slot {slot}: {len(journal.parked)} messages are parked")
    for message_id in history.refused:
        slot = message_id[1]
        if not any(e.key.endswith(":failed") for e in tables.events[slot][0].rows.values()):
            history.broken("I5", f"slot {slot}: refused by the upstream without a status")


def _expired(history: History, tables: Tables, slot: int, row: Any) -> None:
    """A message may end unsent when its ttl has passed, and is then settled with a status.

    Early only if two clocks agreed: the database's, put forward, and a node's that was set too.
    With the former alone it counts from when the id was made: a webapp may have held it.
    """
    agreed = history.stepped if history.hits["step_node_clock"] else 0.0
    began = tables.stored[row.id]
    if history.hits["step_database_clock"]:
        began = min(began, minted_at(row.id) - EPOCH)
    waited = history.expired[row.id] - began + agreed
    if row.ttl is None or waited < row.ttl * SLOWEST:
        history.broken("I5", f"slot {slot}: seq {row.seq} ended before its time")
    if not tables.messages[slot].settled(row.seq):
        history.broken("I15", f"slot {slot}: seq {row.seq} ended and is not settled")


def _in_order(history: History) -> None:
    """I7: of two messages to one recipient, the one acked before the other was offered goes first.

    Judged by when the upstream first took each. One that had ended by its ttl has no place: an
    upstream without a fence may still read what its former owner had written in time.
    """
    lanes: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for recipient, message_id, offered, acked in history.acked:
        if message_id in history.taken and message_id not in history.expired:
            lanes[recipient].append((offered, acked, history.taken[message_id][1]))
    for recipient, lane in lanes.items():
        lane.sort()
        done = sorted((acked, taken) for _, acked, taken in lane)
        highest, i = -1, 0
        for offered, _, taken in lane:
            while i < len(done) and done[i][0] < offered:
                highest = max(highest, done[i][1])
                i += 1
            if taken < highest:
                history.broken("I7", f"{recipient}: a message overtook one that was acked before")


def _owned(history: History, tables: Tables, world: Any) -> None:
    """I12, I15, I20: every slot has a living owner, nobody waits, and the log leads there."""
    living = {p.incarnation for p in world.processes.values() if p.alive and p.role == "coreapp"}
    lost = [s for s in range(SLOTS) if tables.owners[s] not in living]
    if lost:
        history.broken("I15", f"no living owner: slots {lost}")
    since = world.clock.now - world.timing.lease - HANDOVER
    moving = [s for s in range(SLOTS) if tables.successors[s] and tables.named[s] < since]
    if moving:
        history.broken("I12", f"still on the way to a successor: slots {moving}")
    last = {change.slot: (change.to, change.epoch) for change in tables.log}
    for slot in range(SLOTS):
        if last.get(slot, (None, 0)) != (tables.owners[slot], tables.epochs[slot]):
            history.broken("I20", f"slot {slot}: the log ends elsewhere")
    waiting = sum(webapp.view.links.pending for webapp in world.fronts)
    if waiting:
        history.broken("I15", f"{waiting} requests wait")
    if tables.request is not None and not any(tables.successors):
        history.broken("I15", "the shard count is still being changed")


def _events(history: History, tables: Tables, world: Any) -> None:
    """I8, I10: every event is stored, acked upstream, and was delivered at least once."""
    if world.upstream.unacked:
        history.broken("I15", f"{world.upstream.unacked} events are not acked upstream")
    if tables.asked:
        history.broken("I15", f"{len(tables.asked)} dead letters were asked for and left")
    for slot, journals in enumerate(tables.events):
        for kind, journal in enumerate(journals):
            for seq in journal.rows:
                if (slot, kind, seq) not in history.delivered:
                    history.broken("I10", f"slot {slot}: event {kind}/{seq} was never delivered")
                elif not journal.settled(seq):
                    history.broken("I15", f"slot {slot}: event {kind}/{seq} is not settled")
            if journal.parked:
                history.broken("I15", f"slot {slot}: {len(journal.parked)} events are parked")
