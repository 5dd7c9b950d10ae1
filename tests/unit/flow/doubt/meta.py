"""Meta: takes requests or not, answers them, sends webhooks late, twice, or never."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.flow.doubt.owning import answered
from tests.unit.flow.doubt.promises import check_taken
from tests.unit.flow.doubt.world import Life, Request, Rules, Step, World


def of_meta(world: World, rules: Rules) -> Iterator[Step]:
    """Whatever Meta may do next."""
    for request in world.requests:
        yield from _of_request(world, rules, request)
    for m, attempt in world.coming:
        status = world._replace(inbox=world.inbox | {(m, attempt, "status")})
        gone = world.coming - {(m, attempt)}
        yield f"a status of {m}.{attempt} comes", status._replace(coming=gone)
        if world.budget.again:
            yield f"a status of {m}.{attempt} comes, and will again", status.spend("again")
        if world.budget.never:
            lost = world._replace(coming=gone)
            yield f"no status of {m}.{attempt} ever comes", lost.spend("never")


def _ended(world: World, request: Request, end: str, *, heard: bool = True) -> World:
    """The request is over so; what nobody reads is forgotten."""
    rest = [r for r in world.requests if r != request]
    if heard and request.process >= 0:
        rest.append(request._replace(end=end))
    return world._replace(requests=tuple(sorted(rest)))


def _taken(world: World, request: Request) -> World:
    reference = request.message, request.attempt
    world = _ended(world, request, "taken")
    return world._replace(taken=(*world.taken, reference), coming=world.coming | {reference})


def _of_request(world: World, rules: Rules, request: Request) -> Iterator[Step]:
    m, attempt, p, end, _ = request
    name = f"{m}.{attempt}"
    if not end:
        check_taken(world, request)
        yield f"Meta takes {name}", _taken(world, request)
        if p < 0:
            yield f"{name} can be taken no more", _ended(world, request, "lost")
            return
        for spent, as_ in (("refuse", "not taken"), ("final", "refused"), ("lose", "lost")):
            if getattr(world.budget, spent):
                yield f"{name}: {as_}", _ended(world, request, as_).spend(spent)
        if world.budget.cut and world.processes[p].life is Life.UP:
            cut = _ended(world, request, "", heard=False)
            cut = cut._replace(requests=(*cut.requests, request._replace(process=-1)))
            yield (
                f"the connection of {name} breaks",
                answered(cut, rules, request, "lost").spend("cut"),
            )
    elif p >= 0 and world.processes[p].life is Life.UP:
        rest = _ended(world, request, end, heard=False)
        yield f"{p} hears that {name} was {end}", answered(rest, rules, request, end)
        if end == "taken" and world.budget.lose:
            unheard = answered(rest, rules, request, "lost").spend("lose")
            yield f"the answer to {name} is lost", unheard
