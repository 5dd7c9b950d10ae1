"""The decision of the leader: from a view of the cluster to the next shard map.

``plan`` is a fixed point: when nothing is to do it returns None, and an interrupted run is simply
planned again. ``changes`` says which writes lead from one map to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from uuid import UUID

import msgspec

from warouter.cluster.membership import Member, Verdict
from warouter.cluster.shardmap import ShardMap, SlotOwner, assign


class View(msgspec.Struct, frozen=True):
    """The state of the cluster after a poll.

    ``members`` are the coreapps only; ``successor_age`` is, per slot with a successor, for how
    many seconds the leader has seen it so. ``asked``: somebody sets shards now, so coreapps that
    were started for it count at once. ``moved``: slots that left an owner in trouble within the
    last minute; unless they must, they do not move again.
    """

    map: ShardMap
    members: Mapping[UUID, Member]
    successor_age: Mapping[int, float] = {}
    asked: bool = False
    moved: Set[int] = frozenset()


class Takeover(msgspec.Struct, frozen=True):
    """The leader gives the slot to ``to`` because its owner is dead, missing or overdue."""

    slot: int
    seen_epoch: int
    to: UUID
    old: UUID | None
    reason: str


class Succession(msgspec.Struct, frozen=True):
    """The owner shall hand the slot over to ``to``."""

    slot: int
    seen_epoch: int
    to: UUID
    reason: str = "handover"


def plan(view: View, lease: float) -> ShardMap | None:
    """The next shard map, or None if the present one needs no change.

    ``lease`` is T in seconds: a successor takes over by force only when it has been named for so
    long, since then the owner's last lease for the slot has surely ended.
    """
    alive = {inc for inc, m in view.members.items() if m.verdict is not Verdict.DEAD}
    desired = assign(view.map.shards, _candidates(view, alive), _kept(view, alive))
    if not desired:
        return None
    resting = frozenset[int]() if view.asked else view.moved
    slots = tuple(
        s
        if s.slot in resting and _rests(s, view.members)
        else _next_owner(s, desired[view.map.shard_of(s.slot)], alive, view.successor_age, lease)
        for s in view.map.slots
    )
    if slots == view.map.slots:
        return None
    return ShardMap(view.map.version + 1, view.map.shards, slots)


class Planner:
    """Plans poll after poll. It remembers for what there was nothing to do, as most polls find the
    same again: to plan for that costs more than to have looked.
    """

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._nothing: object = None

    def plan(self, view: View) -> ShardMap | None:
        """As ``plan``, for a view in which nobody asked for shards and no slot rests."""
        seen = view.map, [_decisive(member) for member in view.members.values()]
        if not view.successor_age and seen == self._nothing:
            return None
        planned = plan(view, self._lease)
        self._nothing = seen if planned is None else None
        return planned


def _decisive(m: Member) -> tuple[object, ...]:
    """All of a member that a plan depends on, while nobody asks for shards."""
    dead = m.verdict is Verdict.DEAD
    return m.node.incarnation, m.node.name, dead, m.node.leaving, m.joined, m.trouble, m.ailing


def changes(
    old: ShardMap, new: ShardMap, members: Mapping[UUID, Member] | None = None
) -> tuple[list[Takeover], list[Succession]]:
    """The writes that turn ``old`` into ``new``, in slot order.

    A planned move has the trouble of its owner, as ``members`` say, as its reason.
    """
    takeovers: list[Takeover] = []
    successions: list[Succession] = []
    for was, then in zip(old.slots, new.slots, strict=True):
        if then.epoch != was.epoch:
            assert then.owner is not None
            reason = _reason(was, then)
            takeovers.append(Takeover(was.slot, was.epoch, then.owner, was.owner, reason))
        elif then.successor is not None and then.successor != was.successor:
            owner = (members or {}).get(was.owner) if was.owner else None
            trouble = owner.trouble if owner is not None else ""
            successions.append(
                Succession(was.slot, was.epoch, then.successor, trouble or "handover")
            )
    return takeovers, successions


def _candidates(view: View, alive: set[UUID]) -> Sequence[UUID]:
    """Possible owners in order of preference: present owners first, then the longest members.

    Somebody who has not proved itself yet, or may be in trouble, is taken only when there is nobody
    else; one that is leaving or in trouble only when nobody else is left at all.
    """
    owners = {s.owner for s in view.map.slots} | {s.successor for s in view.map.slots}
    living = [m for inc, m in view.members.items() if inc in alive]
    fit = [m for m in living if not m.node.leaving and not m.trouble]
    proved = [
        m
        for m in fit
        if m.node.incarnation in owners
        or (not m.ailing and (m.joined or (view.asked and m.trusted)))
    ]
    chosen = proved or fit or [m for m in living if not m.node.leaving]
    chosen.sort(key=lambda m: (m.node.incarnation not in owners, m.node.name, m.node.incarnation))
    return [m.node.incarnation for m in chosen]


def _rests(slot: SlotOwner, members: Mapping[UUID, Member]) -> bool:
    """True if the slot stays with a live owner that is not leaving."""
    owner = members.get(slot.owner) if slot.owner is not None else None
    here = owner is not None and owner.verdict is not Verdict.DEAD and not owner.node.leaving
    return here and slot.successor is None


def _kept(view: View, alive: set[UUID]) -> dict[int, UUID | None]:
    """The live owner, or successor, of each slot, to which assignment should stick."""
    return {
        s.slot: s.successor if s.successor in alive else s.owner if s.owner in alive else None
        for s in view.map.slots
    }


def _next_owner(
    slot: SlotOwner, desired: UUID, alive: set[UUID], ages: Mapping[int, float], lease: float
) -> SlotOwner:
    raised = SlotOwner(slot.slot, slot.epoch + 1, desired)
    if slot.owner is None or slot.owner not in alive:
        return raised
    if slot.successor is not None and slot.successor not in alive and desired == slot.owner:
        return raised  # its lease was let go already: it starts again under a new epoch
    if slot.successor is not None and ages.get(slot.slot, 0.0) >= lease:
        return raised
    if desired == slot.owner and slot.successor is None:
        return slot
    if slot.successor is not None and slot.successor in alive:
        return slot  # one move at a time; it ends in a handover or is overdue
    return SlotOwner(slot.slot, slot.epoch, slot.owner, desired)


def _reason(was: SlotOwner, then: SlotOwner) -> str:
    if was.owner is None:
        return "unowned"
    if was.successor is not None:
        return "overdue" if then.owner != was.owner else "successor-died"
    return "dead"
