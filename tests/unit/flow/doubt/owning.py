"""An owner of the slot: it carries out what ``step`` and ``found`` say, as ``owner.cloud`` does."""

from __future__ import annotations

import math

from msgspec.structs import replace

from tests.unit.flow.doubt.world import (
    EARLY,
    FENCE,
    FENCED,
    IDS,
    IN_FLIGHT,
    ISSUED,
    MESSAGES,
    TO,
    TTL,
    Broken,
    Memory,
    Place,
    Request,
    Row,
    Rules,
    S,
    Said,
    World,
    closed,
    fence_passed,
    put,
)
from warouter.flow.doubt import effects as do
from warouter.flow.doubt import events as on
from warouter.flow.doubt import found, machine
from warouter.flow.doubt.effects import Effect
from warouter.flow.doubt.events import DoubtEvent, FailureReason
from warouter.flow.doubt.found import FoundRow
from warouter.flow.doubt.machine import ImpossibleEvent
from warouter.flow.doubt.states import KEPT, REQUESTED, SHUT, Issue, RowState, Treatment
from warouter.flow.progress import Park, Stated, Took, Unissued

REFUSAL = FailureReason(470, "Failed", "no")


def is_free(world: World, p: int, m: int) -> bool:
    """True if a message that has left its lane may return."""
    memory = world.processes[p]
    return not (memory.shut or memory.far or is_noted(memory, m) or _is_busy(memory, m))


def is_noted(memory: Memory, m: int) -> bool:
    """True if something of the message waits for the next record."""
    return m in memory.leaving or any(getattr(note, "seq", 0) == m + 1 for note in memory.notes)


def may_go(world: World, p: int, m: int) -> bool:
    """True if the message may leave its lane now."""
    memory = world.processes[p]
    issue = memory.issues[m]
    here = memory.places[m] is Place.LANE and m in memory.loaded
    if memory.shut or not here or _is_busy(memory, m):
        return False
    if issue is not None and issue.state in IN_FLIGHT:
        return False
    before = any(memory.places[k] is Place.LANE for k in range(m))
    return not before and not any(world.stored[k] for k in memory.leaving)


def _is_busy(memory: Memory, m: int) -> bool:
    """True if another message is on its way, or is ending."""
    others = [k for k in MESSAGES if k != m]
    flying = [issue for k in others if (issue := memory.issues[k]) and issue.state in IN_FLIGHT]
    return bool(flying) or any(memory.places[k] is Place.ENDING for k in others)


def find(world: World, p: int, m: int) -> World:
    """The row of a message is read, unless memory knows better."""
    memory, row = world.processes[p], world.rows[m]
    if memory.issues[m] is not None or m in memory.over or row is None or row.state is ISSUED:
        return world
    ends = TTL if m in world.timed else math.inf
    facts = FoundRow(m + 1, IDS[m], TO, *row[:3], 0.0, "takeover", ends, fresh=row.fresh)
    after, effects = found.found(facts, Treatment(), 0.0)
    before = Issue(m + 1, IDS[m], TO) if row.fresh else after
    world = carry_out(world, p, before, after, effects)
    return tell(world, p, m, on.EvidenceStored()) if m in world.known else world


def loaded(world: World, p: int) -> World:
    """All messages of the lane are read into it; one that is in doubt shuts it."""
    for m in MESSAGES:
        memory = world.processes[p]
        returns = any(note == Park(m + 1, 0, 0, "sent again") for note in memory.notes)
        if memory.places[m] is not Place.LANE or m in memory.loaded or returns:
            continue
        world = find(world, p, m)
        memory = world.processes[p]
        if memory.places[m] is not Place.LANE:
            continue
        issue = memory.issues[m]
        if issue is not None and issue.state in SHUT:
            if _is_busy(memory, m):
                raise Broken("a message that is on its way is parked with one that is in doubt")
            return world.with_memory(p, _shut(memory))
        world = world.with_memory(p, memory._replace(loaded=memory.loaded | {m}))
    return world


def tell(world: World, p: int, m: int, event: DoubtEvent, now: float = 0.0) -> World:
    """What happens to a message, to which nothing has happened that is not told."""
    memory = world.processes[p]
    issue = memory.issues[m] or Issue(m + 1, IDS[m], TO)
    try:
        after, effects = machine.step(issue, event, now)
    except ImpossibleEvent as error:
        raise Broken(str(error)) from error
    return carry_out(world, p, issue, after, effects)


def carry_out(
    world: World, p: int, before: Issue, after: Issue, effects: tuple[Effect, ...]
) -> World:
    """Keep the message in its new state, and do what there is to do."""
    memory, m = world.processes[p], before.seq - 1
    memory = memory._replace(issues=put(memory.issues, m, _timeless(after)))
    if after.state is S.ENDED:
        memory = memory._replace(issues=put(memory.issues, m, None), over=memory.over | {m})
    if after.state in KEPT | {S.ASIDE}:
        world = world._replace(passed=world.passed | {m})
    for effect in effects:
        if isinstance(effect, do.ReturnToLane) and not is_free(world, p, m):
            raise Broken("a message returns to a lane from which another one has just gone")
        memory = _done(memory, m, effect)
        if isinstance(effect, do.Resent):
            world = world._replace(repeated=world.repeated | {m})
    return world.with_memory(p, memory)


def _timeless(issue: Issue) -> Issue:
    """Without the times that a look gives it, and without what is counted for a log alone."""
    return replace(
        issue, since=min(issue.since, 0.0), rows=min(issue.rows, 2), treatment=Treatment()
    )


def _done(memory: Memory, m: int, effect: Effect) -> Memory:
    match effect:
        case do.NoteChange(change):
            return memory._replace(notes=(*memory.notes, change))
        case do.ShutLane():
            return _shut(memory)
        case do.ReopenLane():
            return _reopened(memory)
        case do.ReturnToLane():
            places = put(memory.places, m, Place.LANE)  # to be read from there
            return memory._replace(places=places, loaded=memory.loaded - {m})
        case do.Settle(reopen):
            return _reopened(left(memory, m)) if reopen else left(memory, m)
        case do.EndMessage(reopen):
            return _reopened(left(memory, m)) if reopen else left(memory, m)
        case do.Refuse(failure):
            ending = memory._replace(places=put(memory.places, m, Place.ENDING))
            return said(ending, m, sure="unknown" not in failure.details, lane=True)
        case do.SayFailed(failure):
            return said(memory, m, sure="unknown" not in failure.details, lane=False)
        case _:
            return memory


def said(memory: Memory, m: int, *, sure: bool, lane: bool) -> Memory:
    """Its ``failed`` is being written."""
    return memory._replace(said=(*memory.said, Said(m, sure, lane)))


def left(memory: Memory, m: int) -> Memory:
    """Out of its lane, with the next record."""
    places = put(memory.places, m, Place.GONE)
    return memory._replace(places=places, leaving=memory.leaving | {m})


def _shut(memory: Memory) -> Memory:
    """The lane is parked, to be read anew once it is opened."""
    return memory._replace(shut=True, loaded=frozenset())


def _reopened(memory: Memory) -> Memory:
    return memory._replace(shut=False, far=False)


# of a request that was written


def answered(world: World, rules: Rules, request: Request, end: str) -> World:
    """A process has the answer to a request, or nobody has."""
    m, attempt, p, *_ = request
    memory = world.processes[p]
    if not memory.epoch:  # a word for the owner
        word = frozenset() if end == "lost" else {(m, attempt, end)}
        return world._replace(inbox=world.inbox | word)
    issue = memory.issues[m]
    if issue is None:
        return world
    waits = issue.state in REQUESTED
    if end == "taken":
        took = Took(0, IDS[m].hex(), attempt, f"wamid.{m}.{attempt}")
        evidence = on.EvidenceSeen(took, "answer")
        return tell(world, p, m, on.AnsweredTaken(took) if waits and rules.until_sent else evidence)
    if issue.attempt != attempt:
        return world
    if not waits:
        return heard(world, rules, p, (m, attempt, end)) if end != "lost" else world
    if end == "lost":
        ends = TTL if m in rules.ttl else float("inf")
        return tell(world, p, m, on.AnsweredUnclear("lost", Treatment(), ends))
    refused = end == "refused"
    return tell(world, p, m, on.AnsweredRefused(REFUSAL) if refused else on.AnsweredNotTaken())


def heard(world: World, rules: Rules, p: int, word: tuple[int, int, str]) -> World:
    """A word about an attempt of which the request is not out any more."""
    m, attempt, what = word
    issue = world.processes[p].issues[m]
    if issue is None:
        return world
    if what in ("status", "taken"):
        took = Took(0, IDS[m].hex(), attempt, f"wamid.{m}.{attempt}")
        return tell(world, p, m, on.EvidenceSeen(took, what))
    if issue.attempt != attempt:
        return world
    if what == "refused":
        return tell(world, p, m, on.ToldRefused(REFUSAL))
    return tell(world, p, m, on.ToldNotTaken(rules.of(m), is_free(world, p, m)))


# on disk, by an owner under the present epoch; any other one learns that it is none


def recorded(world: World, p: int) -> World:
    """All that is noted, in one commit."""
    if not world.is_current(p):
        return closed(world, p)
    memory = world.processes[p]
    rows, stored = world.rows, world.stored
    known, back = world.known, frozenset[int]()
    for change in memory.notes:
        match change:
            case Took(seq, message_id):
                known |= {IDS.index(bytes.fromhex(message_id))}
                rows = put(rows, seq - 1, None) if seq else rows
            case Stated(seq, attempt, state, doubts):
                if (row := rows[seq - 1]) is not None and row.attempt == attempt:
                    rows = put(rows, seq - 1, Row(attempt, doubts, RowState(state)))
            case Unissued(seq, attempt):
                if (row := rows[seq - 1]) is not None and attempt in (None, row.attempt):
                    rows = put(rows, seq - 1, None)
            case Park(seq):
                back |= {seq - 1}
    for m in back | memory.leaving:  # in one record the end counts
        stored = put(stored, m, m not in memory.leaving)
    shut = memory.shut or memory.far
    world = world._replace(rows=rows, stored=stored, known=known, shut=shut)
    return world.with_memory(p, memory._replace(notes=(), leaving=frozenset()))


def told_failed(world: World, p: int, which: Said) -> World:
    """The status is on disk, and in the same commit what it means for its message."""
    if not world.is_current(p):
        return closed(world, p)
    memory, m = world.processes[p], which.message
    world = world._replace(told=put(world.told, m, "not sent" if which.sure else "unknown"))
    memory = memory._replace(said=tuple(one for one in memory.said if one != which))
    world = world.with_memory(p, memory)
    if which.lane:
        if memory.issues[m] is not None:
            world = tell(world, p, m, on.MessageSettled())
        world = world.with_memory(p, left(world.processes[p], m))
    elif memory.issues[m] is not None:
        now = FENCED if fence_passed(world, m) else EARLY
        world = tell(world, p, m, on.FailureStored(FENCE), now)
    return recorded(world, p)
