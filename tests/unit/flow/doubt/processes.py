"""Two processes that may own the slot: they take it over, freeze, die, and work for it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.flow.doubt.owning import (
    find,
    heard,
    is_free,
    is_noted,
    loaded,
    may_go,
    recorded,
    said,
    tell,
    told_failed,
)
from tests.unit.flow.doubt.promises import check_begin, check_write
from tests.unit.flow.doubt.world import (
    EARLY,
    FENCE,
    FENCED,
    HELD,
    LATE,
    MESSAGES,
    SENT,
    Broken,
    Life,
    Memory,
    Place,
    Request,
    Row,
    Rules,
    S,
    Step,
    World,
    closed,
    fence_passed,
    put,
)
from warouter.flow.doubt import events as on
from warouter.flow.doubt.states import KEPT, TIMED, UNKNOWN, RowState


def opened(world: World, p: int) -> World:
    """A process takes the slot over: whatever was issued is in doubt."""
    rows = tuple(
        Row(row.attempt, row.doubts + 1, RowState.DOUBTED, fresh=True)
        if row is not None and row.state is RowState.ISSUED
        else row
        for row in world.rows
    )
    places = tuple(Place.LANE if stored else Place.GONE for stored in world.stored)
    memory = Memory(Life.UP, world.epoch + 1, lease=True, places=places, far=world.shut)
    world = world._replace(epoch=world.epoch + 1, owner=p, rows=rows)
    return world.with_memory(p, memory)


def of_process(world: World, rules: Rules, p: int) -> Iterator[Step]:
    memory = world.processes[p]
    if memory.life is Life.DOWN:
        if world.processes[1 - p].life is Life.DOWN:  # else the other one is as good
            yield f"{p} starts", closed(world, p)
        return
    if world.budget.crash and memory.epoch:
        yield f"{p} crashes", closed(world, p, Life.DOWN).spend("crash")
    former = 0 < memory.epoch < world.epoch
    if memory.life is Life.FROZEN:
        yield from _of_frozen(world, p)
        return
    if former and memory.lease and memory.hand < 0:
        yield f"the lease of {p} ends", closed(world, p)
    if world.budget.freeze and memory.epoch:
        frozen = world.with_memory(p, memory._replace(life=Life.FROZEN))
        yield f"{p} freezes", frozen.spend("freeze")
    if memory.hand >= 0:
        yield f"{p} writes {memory.hand}", _written(world, p)
        return
    yield from _takeovers(world, p)
    if memory.epoch:
        yield from _of_owner(world, rules, p)


def _of_frozen(world: World, p: int) -> Iterator[Step]:
    memory = world.processes[p]
    yield f"the watchdog ends {p}", closed(world, p, Life.DOWN)
    if 0 < memory.epoch < world.epoch and memory.lease:
        yield f"the lease of {p} ends", world.with_memory(p, memory._replace(lease=False))
    thawed = world.with_memory(p, memory._replace(life=Life.UP))
    if memory.lease:
        yield f"{p} thaws", thawed
    else:  # it writes before it looks at the clock
        yield f"{p} thaws late", closed(_written(thawed, p) if memory.hand >= 0 else thawed, p)


def _takeovers(world: World, p: int) -> Iterator[Step]:
    owner = world.processes[world.owner]
    if world.is_current(p):
        return
    lost = not world.is_current(world.owner) or owner.life is not Life.UP
    if not lost and not world.budget.take:
        return
    yield f"{p} takes over", opened(world if lost else world.spend("take"), p)


def _written(world: World, p: int) -> World:
    """The request is with Meta."""
    memory = world.processes[p]
    m = memory.hand
    check_write(world, m)
    issue = memory.issues[m]
    attempt = issue.attempt if issue is not None else 0
    requests = tuple(sorted((*world.requests, Request(m, attempt, p, passed=m in world.passed))))
    return world.with_memory(p, memory._replace(hand=-1))._replace(requests=requests)


def _of_owner(world: World, rules: Rules, p: int) -> Iterator[Step]:
    memory = world.processes[p]
    if world.is_current(p):
        yield from _readings(world, rules, p)
    if memory.notes or memory.leaving:
        yield f"{p} records", recorded(world, p)
    for which in memory.said:
        yield f"{p} stores that {which.message} failed", told_failed(world, p, which)
    for m in MESSAGES:
        if memory.lease:
            yield from _of_lane(world, rules, p, m)
        if memory.issues[m] is not None:
            yield from _in_time(world, rules, p, m)


def _readings(world: World, rules: Rules, p: int) -> Iterator[Step]:
    memory = world.processes[p]
    if world.inbox:
        yield f"{p} reads the inbox", _drained(world, rules, p)
    if not (memory.shut or memory.far) and (read := loaded(world, p)) != world:
        yield f"{p} reads the lane", read
    for m in MESSAGES:
        if world.rows[m] is not None and (known := find(world, p, m)) != world:
            yield f"{p} reads the row of {m}", known


def _drained(world: World, rules: Rules, p: int) -> World:
    """Everything in the inbox is read, and is evidence on disk; what cannot be taken in stays."""
    for word in sorted(world.inbox):
        m, _, what = word
        world = find(world, p, m)
        if what in ("status", "taken"):
            world = world._replace(known=world.known | {m})
        after = heard(world, rules, p, word)
        later = what == "not taken" and after == world and _waits_for_lane(world, p, m)
        world = after if later else after._replace(inbox=after.inbox - {word})
    return world


def _waits_for_lane(world: World, p: int, m: int) -> bool:
    issue = world.processes[p].issues[m]
    return issue is not None and issue.state is S.HELD and not is_free(world, p, m)


def _of_lane(world: World, rules: Rules, p: int, m: int) -> Iterator[Step]:
    memory = world.processes[p]
    issue = memory.issues[m]
    state = issue.state if issue is not None else S.QUEUED
    if may_go(world, p, m):
        placed = tell(world, p, m, on.PlaceGiven())
        yield f"{p} is about to issue {m}", tell(placed, p, m, on.RowAsked())
    here = memory.places[m] is Place.LANE and m in memory.loaded
    if here and m in rules.ttl and state in (S.QUEUED, S.ISSUED):
        yield f"{m} is too old", _expired(world, p, m)
    if issue is None:
        return
    if state is S.ISSUING:
        yield f"{p} issues {m}.{issue.next_attempt}", _issued(world, p, m)
    if state is S.ISSUED and memory.hand < 0:
        if world.is_current(p):  # a former owner cannot know
            check_begin(world, m)
        begun = tell(world, p, m, on.RequestBegun())
        begun = begun.with_memory(p, begun.processes[p]._replace(hand=m))
        yield f"{p} begins {m}", begun if rules.budget.freeze else _written(begun, p)
        if world.budget.back:
            yield f"{p} takes {m} back", tell(world, p, m, on.RowTakenBack()).spend("back")


def _expired(world: World, p: int, m: int) -> World:
    issue = world.processes[p].issues[m]
    if issue is not None:
        world = tell(world, p, m, on.TtlOver())
    memory = world.processes[p]
    memory = memory._replace(places=put(memory.places, m, Place.ENDING))
    sure = issue is None or not issue.doubts
    return world.with_memory(p, said(memory, m, sure=sure, lane=True))


def _issued(world: World, p: int, m: int) -> World:
    """The issue row is on disk. A message that ended meanwhile leaves it behind, for a moment."""
    if not world.is_current(p):
        return closed(world, p)
    issue = world.processes[p].issues[m]
    assert issue is not None
    if issue.rows > 1:  # else a record of before would change the row of another request
        world = recorded(world, p)
    row = Row(issue.next_attempt, issue.counted, RowState.ISSUED)
    return tell(world._replace(rows=put(world.rows, m, row)), p, m, on.RowStored())


def _in_time(world: World, rules: Rules, p: int, m: int) -> Iterator[Step]:
    """Looks at a message of which time decides, and an operator's words."""
    memory = world.processes[p]
    issue = memory.issues[m]
    assert issue is not None
    if rules.forgets and issue.state in TIMED - {S.TAKEN} and not is_noted(memory, m):
        forgotten = memory._replace(issues=put(memory.issues, m, None))
        yield f"{p} forgets {m}", world.with_memory(p, forgotten)
    if issue.state in TIMED:
        for now in (EARLY, FENCED, LATE) if fence_passed(world, m) else (EARLY,):
            after = _looked_at(world, rules, p, m, now)
            if after != world:
                yield f"{p} looks at {m} after {now:.0f} s", after
    if world.budget.ask and issue.state in KEPT:
        for word in ("resend", "fail"):
            asked = tell(world, p, m, on.OperatorAsked(word, is_free(world, p, m), FENCE))
            if asked != world:
                again = asked._replace(repeated=asked.repeated | {m})
                yield f"an operator has {m}: {word}", again.spend("ask")
    if world.budget.ask and issue.state in UNKNOWN:
        now = FENCED if fence_passed(world, m) else EARLY
        held = tell(world, p, m, on.OperatorAsked("hold", free=False, fence=FENCE), now)
        if held != world:
            yield f"an operator has {m}: hold", held.spend("ask")


def _looked_at(world: World, rules: Rules, p: int, m: int, now: float) -> World:
    read = world.is_read(m)
    event = on.TimePassed(
        rules.of(m),
        FENCE,
        HELD,
        SENT,
        proven_at=0.0,
        read_at=now if read else -1.0,
        free=is_free(world, p, m),
    )
    after = tell(world, p, m, event, now)
    before, then = world.processes[p].issues[m], after.processes[p].issues[m]
    assert before is not None
    decided = then is not None and then.state not in (before.state, S.ASIDE)
    if decided and not read and before.state in UNKNOWN | KEPT:
        raise Broken("it is decided of a message without reading what had come in of it")
    return after
