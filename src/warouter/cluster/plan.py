"""The decision of the leader: from a view of the cluster to the next shard map.

``plan`` is a fixed point: when nothing is to do it returns None, and an interrupted run is simply
planned again. ``changes`` and ``marks`` say which writes lead from one map to the next.
``plan_request`` is for who asks for another number of shards, ``onto_timeline`` for before any
plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from uuid import UUID

import msgspec

from warouter.cluster.membership import Liveness, Member
from warouter.cluster.quiesce import not_quiet, quiet_first, to_be_quiet, until_begun
from warouter.cluster.shardmap import SIMULATOR, TIMELINE_BITS, ShardMap, SlotOwner, assign

HANDOVER_LEASES = 3


class View(msgspec.Struct, frozen=True):
    """The state of the cluster after a poll.

    ``members`` are the coreapps only; ``successor_age`` is, per slot with a successor, for how
    many seconds the leader has seen it so. ``asked``: somebody sets shards now, so coreapps that
    were started for it count at once. ``moved``: slots that left an owner in trouble within the
    last minute; unless they must, they do not move again. ``marked_age`` is, per slot that is
    marked as moving, for how many seconds the leader has seen it so.
    """

    map: ShardMap
    members: Mapping[UUID, Member]
    successor_age: Mapping[int, float] = {}
    asked: bool = False
    moved: Set[int] = frozenset()
    marked_age: Mapping[int, float] = {}


class Takeover(msgspec.Struct, frozen=True):
    """The leader gives the slot to ``to`` because its owner is dead, missing or overdue; or a new
    epoch to its owner, because the database's timeline is another one.
    """

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


class MovingMark(msgspec.Struct, frozen=True):
    """The owner shall begin no request any more (``moving`` 1), or may again (0)."""

    slot: int
    seen_epoch: int
    moving: int


def plan(view: View, lease: float) -> ShardMap | None:
    """The next shard map, or None if the present one needs no change.

    ``lease`` is T in seconds: a successor takes over by force only when it has been named for so
    long, since then the owner's last lease for the slot has surely ended. One that lives and is
    in no trouble has HANDOVER_LEASES of them: it records first, and the disk may be slow.
    """
    alive = {inc for inc, m in view.members.items() if m.verdict is not Liveness.DEAD}
    desired = assign(view.map.shards, _candidates(view, alive), _kept(view, alive))
    if not desired:
        return None
    resting = frozenset[int]() if view.asked else view.moved

    def planned(s: SlotOwner) -> SlotOwner:
        if s.slot in resting and _rests(s, view.members):
            return s
        to = desired[view.map.shard_of(s.slot)]
        overdue = view.successor_age.get(s.slot, 0.0) >= _patience(s, view.members, lease)
        return _next_owner(s, to, alive, overdue=overdue)

    slots = tuple(quiet_first(s, planned(s), waits=_waits(s, view)) for s in view.map.slots)
    return None if slots == view.map.slots else _next_map(view.map, slots)


def plan_request(view: View, shards: int, lease: float) -> tuple[ShardMap, bool]:
    """The next map while somebody asks for ``shards``, and True if it begins the change.

    It begins when no slot that is to move has to be quiet first: all at once. Until then those are
    marked under the present count, and only that happens which may not wait: slots of dead owners
    are taken over, those of owners in trouble move, and moves that were begun come to their end.
    """
    target = msgspec.structs.replace(view.map, shards=shards)
    asked = msgspec.structs.replace(view, map=target, asked=True)
    wanted = plan(asked, lease) or target
    if not any(map(to_be_quiet, wanted.slots)):
        return wanted, True
    present = plan(view, lease) or view.map
    slots = tuple(
        here if _pressing(was, here, view.members) else until_begun(was, then)
        for was, here, then in zip(view.map.slots, present.slots, wanted.slots, strict=True)
    )
    return (view.map if slots == view.map.slots else _next_map(view.map, slots)), False


def _pressing(was: SlotOwner, planned: SlotOwner, members: Mapping[UUID, Member]) -> bool:
    """True if what is planned for the slot waits for nobody's wish."""
    named = planned.successor is not None
    return planned.epoch != was.epoch or (named and _in_trouble(was, members))


def _in_trouble(slot: SlotOwner, members: Mapping[UUID, Member]) -> bool:
    owner = members.get(slot.owner) if slot.owner is not None else None
    return owner is not None and owner.trouble != ""


def _next_map(present: ShardMap, slots: tuple[SlotOwner, ...]) -> ShardMap:
    return msgspec.structs.replace(present, version=present.version + 1, slots=slots)


def _waits(slot: SlotOwner, view: View) -> bool:
    """True if the slot's owner is to be waited for, before a successor is named."""
    if view.map.upstream == SIMULATOR:
        return False
    marked_for = view.marked_age.get(slot.slot, 0.0)
    return not_quiet(slot, marked_for, troubled=_in_trouble(slot, view.members))


class Planner:
    """Plans poll after poll. It remembers for what there was nothing to do, as most polls find the
    same again: to plan for that costs more than to have looked.
    """

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._nothing: object = None

    def plan(self, view: View) -> ShardMap | None:
        """Plan if the view has changed; for one without a wish for shards or a resting slot."""
        seen = view.map, [_decisive(member) for member in view.members.values()]
        moving = view.successor_age or view.marked_age
        if not moving and seen == self._nothing:
            return None
        planned = plan(view, self._lease)
        self._nothing = seen if planned is None else None
        return planned


def _decisive(m: Member) -> tuple[object, ...]:
    """All of a member that a plan depends on, while nobody asks for shards."""
    dead, node = m.verdict is Liveness.DEAD, m.node
    told = node.incarnation, node.name, node.leaving, node.upstream
    return *told, dead, m.joined, m.trouble, m.ailing


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


def onto_timeline(current: ShardMap, timeline: int) -> list[Takeover]:
    """New epochs for the owners of slots whose epoch is of an earlier timeline of the database.

    Commits may be lost with the former one: none is given out twice, and owners ask what is left.
    """
    return [
        Takeover(s.slot, s.epoch, s.owner, s.owner, "timeline")
        for s in current.slots
        if s.owner is not None and s.epoch >> TIMELINE_BITS < timeline
    ]


def marks(old: ShardMap, new: ShardMap) -> list[MovingMark]:
    """The marks that are set, or taken back, from ``old`` to ``new``, in slot order."""
    return [
        MovingMark(was.slot, was.epoch, then.moving)
        for was, then in zip(old.slots, new.slots, strict=True)
        if then.epoch == was.epoch and then.moving != was.moving
    ]


def _candidates(view: View, alive: set[UUID]) -> Sequence[UUID]:
    """Possible owners in order of preference: present owners first, then the longest members.

    Somebody who has not proved itself yet, or may be in trouble, is taken only when there is nobody
    else; one that is leaving or in trouble only when nobody else is left at all. One that is set to
    another upstream is never taken: what it sends would go to the wrong place, and count as sent.
    """
    owners = {s.owner for s in view.map.slots} | {s.successor for s in view.map.slots}
    upstream = view.map.upstream
    members = [m for m in view.members.values() if m.node.upstream == upstream]
    living = [m for m in members if m.node.incarnation in alive]
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
    here = owner is not None and owner.verdict is not Liveness.DEAD and not owner.node.leaving
    return here and slot.successor is None


def _kept(view: View, alive: set[UUID]) -> dict[int, UUID | None]:
    """The live owner, or successor, of each slot, to which assignment should stick."""
    return {
        s.slot: s.successor if s.successor in alive else s.owner if s.owner in alive else None
        for s in view.map.slots
    }


def _patience(slot: SlotOwner, members: Mapping[UUID, Member], lease: float) -> float:
    """Seconds for which the slot's successor waits until it takes over by force."""
    return lease if _in_trouble(slot, members) else lease * HANDOVER_LEASES


def _next_owner(slot: SlotOwner, desired: UUID, alive: set[UUID], *, overdue: bool) -> SlotOwner:
    raised = SlotOwner(slot.slot, slot.epoch + 1, desired)
    if slot.owner is None or slot.owner not in alive:
        return raised
    if slot.successor is not None and slot.successor not in alive and desired == slot.owner:
        return raised  # the lease was let go already: the slot starts again under a new epoch
    if slot.successor is not None and overdue:
        return raised
    if desired == slot.owner and slot.successor is None:
        return slot
    if slot.successor is not None and slot.successor in alive:
        return slot  # one move at a time; it ends in a handover or is overdue
    return msgspec.structs.replace(slot, successor=desired)


def _reason(was: SlotOwner, then: SlotOwner) -> str:
    if was.owner is None:
        return "unowned"
    if was.successor is not None:
        return "overdue" if then.owner != was.owner else "successor-died"
    return "dead"
