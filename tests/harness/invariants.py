"""The invariants of docs/architecture.md, each once: its number, its text, what breaks it.

Pure: a history in, what is wrong out. Test clusters, the chaos campaign and the simulation are all
judged by this table. An invariant without a function is judged where its evidence is: by a witness
(``History.broken``), by marks of the campaign, or by tests of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple

from tests.harness.history import ALL, History, Violation

RANK = {name: n for n, name in enumerate((*ALL, "failed"))}  # failed is final
TRUST_SLACK = 0.001  # seconds, for rounding

Found = Iterator[str | tuple[float, str]]  # how it was broken, with the time where it is known


def violations(history: History) -> list[Violation]:
    """What is wrong, in the order of time; none means that everything held.

    What one judge finds is one violation: the first of its kind, and how many more there are.
    """
    found = list(history.witnessed)
    for number, _, judges in INVARIANTS:
        for judge in judges:
            found += _condensed(number, judge(history))
    assert {violation.number for violation in found} <= NUMBERS
    return sorted(found, key=lambda violation: violation.at)


def _condensed(number: str, found: Iterable[str | tuple[float, str]]) -> list[Violation]:
    all_of_them = [one if isinstance(one, tuple) else (inf, one) for one in found]
    if not all_of_them:
        return []
    at, how = all_of_them[0]
    more = f" (and {len(all_of_them) - 1} more)" if len(all_of_them) > 1 else ""
    return [Violation(at, number, how + more)]


def _lost(history: History) -> Found:
    """Of what was acknowledged: it is stored, and it was sent, or ended for its ttl."""
    for at, message_id in history.early:
        yield at, f"acknowledged before it was on disk: {shown(message_id)}"
    arrived = {i for ids in history.arrived.values() for i in ids}
    ended = history.expired.keys() | history.held
    places = None if history.rows is None else {row.id: row.place for row in history.rows}
    for recipient, ids in history.acked.items():
        for message_id in ids:
            if places is not None and message_id not in places:
                yield f"acknowledged and not stored: {shown(message_id)} to {recipient}"
            elif message_id not in arrived and message_id not in ended:
                where = places[message_id] if places is not None else f"to {recipient}"
                yield f"acknowledged and never sent: {shown(message_id)} {where}"


def _kept_in_secret(history: History) -> Found:
    """What was refused as not accepted is nowhere."""
    stored = {row.id for row in history.rows or ()}
    for message_id in history.unaccepted:
        if message_id in stored:
            yield f"refused as not accepted, yet stored: {shown(message_id)}"


def _stale_sends(history: History) -> Found:
    """Per slot, all sends of a newer epoch come after all of the older one."""
    newest: dict[int, int] = {}
    for at, slot, message_id, epoch in history.sends:
        if epoch < newest.get(slot, epoch):
            yield at, f"slot {slot}: {shown(message_id)} under {epoch} after {newest[slot]}"
        newest[slot] = max(epoch, newest.get(slot, epoch))


def _epochs(history: History) -> Found:
    """Epochs of a slot only rise."""
    last: dict[int, int] = {}
    for change in history.changes:
        if change.epoch <= last.get(change.slot, -1):
            yield change.at, f"slot {change.slot}: epoch {change.epoch} after {last[change.slot]}"
        last[change.slot] = change.epoch


def _never_ended(history: History) -> Found:
    """Every stored message was sent, or ended for its ttl and not before."""
    if history.rows is None:
        return
    arrived = {i for ids in history.arrived.values() for i in ids}
    for row in history.rows:
        if row.waited is not None:
            if row.ttl is None or row.waited < row.ttl:
                yield f"{row.place}: ended after {row.waited:.3f} s of {row.ttl}"
        elif row.id not in arrived:
            yield f"{row.place}: was never sent"


def _twice(history: History) -> Found:
    """What a recipient sees is deduplicated by id, so an id stands there once, and is its own."""
    owner = {i: recipient for recipient, ids in history.acked.items() for i in ids}
    for recipient, ids in history.arrived.items():
        if len(ids) != len(set(ids)):
            yield f"{recipient} saw a message twice"
        for message_id in ids:
            if owner.get(message_id, recipient) != recipient:
                yield f"{recipient} saw {shown(message_id)}, which was for {owner[message_id]}"


def _unasked(history: History) -> Found:
    """What arrived was acknowledged, or may have been: its request had no clear answer."""
    if not history.complete:
        return
    known = {*history.number, *history.doubtful}
    strange = [i for ids in history.arrived.values() for i in ids if i not in known]
    if len(set(strange)) > len(history.unknown):
        yield f"{shown(strange[0])} arrived and nobody had asked for it"


def _order(history: History) -> Found:
    """Of two messages to a recipient, the one acked before the other was offered goes first.

    One that had ended for its ttl has no place: an upstream without a fence may still read what
    its former owner had written in time.
    """
    if history.inversions:
        yield f"the simulator saw {history.inversions} inversions"
    for recipient, ids in history.acked.items():
        place = _places(history.arrived.get(recipient, ()))
        sent = (i for i in ids if i in place and i not in history.expired and i not in history.held)
        numbers = [(history.number[i], place[i]) for i in sent]
        lane = sorted((history.began[n], taken) for n, taken in numbers)
        done = sorted((history.answered[n], taken) for n, taken in numbers)
        highest, i = -1, 0
        for offered, taken in lane:
            while i < len(done) and done[i][0] < offered:
                highest = max(highest, done[i][1])
                i += 1
            if taken < highest:
                yield f"{recipient}: a message overtook one that was acked before it was offered"


def _missing_statuses(history: History) -> Found:
    """Every acknowledged message is called back, with each of its statuses at least once."""
    wanted = set(history.wanted)
    for message_id in history.number:
        seen = history.statuses[message_id]
        excused = message_id in history.doomed or message_id in history.held
        if not excused and not wanted <= set(seen):
            yield f"{shown(message_id)} was called back only as {seen}"


def _backwards(history: History) -> Found:
    """Repeats are allowed; the first callbacks of a message's statuses come in their order."""
    for message_id, seen in history.statuses.items():
        ranks = [RANK[name] for name in dict.fromkeys(seen) if name in RANK]
        if message_id not in history.mixed and any(a > b for a, b in pairwise(ranks)):
            yield f"{shown(message_id)} went backwards: {seen}"


def _not_failed(history: History) -> Found:
    """What cannot be sent is called back as failed, and as nothing else."""
    for message_id in history.doomed:
        if set(history.statuses[message_id]) != {"failed"}:
            yield f"{shown(message_id)} has a dead link and ended as {history.statuses[message_id]}"


def _missing_inbound(history: History) -> Found:
    """Every inbound message is called back, as its sender's."""
    for sender, message_id in history.injected:
        if (sender, message_id) not in history.inbound:
            yield f"{message_id} of {sender} was never called back"


def _inbound_order(history: History) -> Found:
    """First callbacks of a sender's messages come in the order in which they were sent."""
    place = _places(history.inbound)
    last: dict[str, int] = {}
    for sender, message_id in dict.fromkeys(history.injected):
        at = place.get((sender, message_id))
        if at is not None:
            if at < last.get(sender, at):
                yield f"{message_id} of {sender} was called back before one that came before it"
            last[sender] = max(at, last.get(sender, at))


def _shared(history: History) -> Found:
    for message_id in history.shared:
        yield f"two requests were answered with {shown(message_id)}"


def _foreign(history: History) -> Found:
    """Only its owner sends what is of a slot."""
    for lease in history.leases:
        if lease.owner != lease.by:
            yield lease.at, f"slot {lease.slot}: sent by {shown(lease.by)}, who does not own it"


def _late(history: History) -> Found:
    """An owner stops by itself when its last beat is too old."""
    for lease in history.leases:
        if lease.since_beat > history.trust + TRUST_SLACK:
            since = f"{lease.since_beat:.3f} s after its last beat"
            yield lease.at, f"slot {lease.slot}: sent {since}"


def _unsettled(history: History) -> Found:
    """After a while without faults everything stored is settled."""
    for row in history.rows or ():
        if not row.settled:
            yield f"{row.place}: is not settled"


def _chain(history: History) -> Found:
    """Ownership of a slot is one chain: each change starts where the last one ended."""
    last: dict[int, tuple[Any, int]] = {}
    for change in history.changes:
        was = last.get(change.slot, (None, 0))[0]
        if change.was != was:
            yield (
                change.at,
                f"slot {change.slot}: from {shown(change.was)}, but it was {shown(was)}",
            )
        last[change.slot] = (change.to, change.epoch)
    for slot, owned in (history.owners or {}).items():
        if last.get(slot, (None, 0)) != owned:
            yield f"slot {slot}: the log ends elsewhere"


def _places(ids: Iterable[Any]) -> dict[Any, int]:
    place: dict[Any, int] = {}
    for n, message_id in enumerate(ids):
        place.setdefault(message_id, n)
    return place


def shown(name: Any) -> str:
    """An id or an incarnation as a sentence shows it."""
    if isinstance(name, bytes):
        return name[-6:].hex()
    return "nobody" if name is None else str(getattr(name, "hex", name))[:40]


Judges = Sequence[Callable[[History], Found]]


class Invariant(NamedTuple):
    """``text`` is that of docs/architecture.md."""

    number: str
    text: str
    judges: Judges


INVARIANTS = (
    Invariant("I1", "what was acknowledged is never lost", (_lost, _kept_in_secret)),
    Invariant("I2", "no state change of an older epoch commits after a newer one", ()),
    Invariant("I3", "no send after the lease could be taken", (_stale_sends,)),
    Invariant("I4", "a number is never handed out twice", (_epochs,)),
    Invariant("I5", "every accepted message ends in a status", (_never_ended,)),
    Invariant("I6", "a recipient sees a message once", (_twice, _unasked)),
    Invariant("I7", "order per recipient", (_order,)),
    Invariant("I8", "no status is lost", (_missing_statuses, _backwards, _not_failed)),
    Invariant(
        "I9",
        "inbound messages are stored once, in order per sender",
        (_missing_inbound, _inbound_order),
    ),
    Invariant("I10", "a callback is tried until 2xx, then dead-lettered, never dropped", ()),
    Invariant("I11", "requests with one Idempotency-Key are one message", (_shared,)),
    Invariant(
        "I12",
        "a change of shards leaves no message behind and does not affect slots that do not move",
        (_foreign,),
    ),
    Invariant("I13", "one leader acts", ()),
    Invariant("I14", "leader and owner give up by themselves", (_late,)),
    Invariant("I15", "recovery needs nobody", (_unsettled,)),
    Invariant("I16", "bounded under overload", ()),
    Invariant("I17", "bad input changes nothing", ()),
    Invariant("I18", "connections to the database keep to a budget", ()),
    Invariant("I19", "a clean stop fails no request", ()),
    Invariant("I20", "every change of owner is a row that explains itself", (_chain,)),
    Invariant("I21", "a message told failed is never sent after", ()),
    Invariant("I22", "nothing is pruned that something still points to", ()),
    Invariant("I24", "no word of a customer is dropped in silence", ()),
    Invariant("I25", "a change of timeline makes each slot unsure, whoever changes its owner", ()),
    Invariant("I26", "what Meta was answered 200 for is on disk, with what it proves", ()),
)
NUMBERS = frozenset(invariant.number for invariant in INVARIANTS)
