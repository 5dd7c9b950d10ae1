"""Every way in which a slot's owners, its database and Meta can go on from where they are.

The search visits each state once. It ends where nothing can happen any more: then every message has
an end. A promise that breaks before is told with the shortest way to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from tests.unit.flow.doubt.meta import of_meta
from tests.unit.flow.doubt.owning import loaded
from tests.unit.flow.doubt.processes import of_process, opened
from tests.unit.flow.doubt.promises import check, check_end
from tests.unit.flow.doubt.world import Broken, Rules, Step, World


class Found(NamedTuple):
    """States that were visited, those where nothing could happen any more, and the shortest way to
    a promise that breaks, if there is one.
    """

    states: int
    ends: int
    broken: tuple[str, ...] = ()


def explore(rules: Rules, most: int = 10_000_000) -> Found:
    """Visit every state, the nearest first."""
    first = loaded(opened(World(rules.budget, rules.ttl), 0), 0)
    seen = {hash(first)}
    waiting: deque[tuple[World, tuple[str, object] | None]] = deque([(first, None)])
    ends = 0
    while waiting and len(seen) < most:
        world, way = waiting.popleft()
        try:
            last = True
            for label, after in steps(world, rules):
                last = last and after == world
                if (key := hash(after)) not in seen:
                    seen.add(key)
                    check(after)
                    waiting.append((after, (label, way)))
            if last:
                ends += 1
                check_end(world)
        except Broken as broken:
            return Found(len(seen), ends, (*_told(way), str(broken)))
    return Found(len(seen), ends)


def steps(world: World, rules: Rules) -> Iterator[Step]:
    """Whatever may happen next."""
    yield from of_meta(world, rules)
    for p in (0, 1):
        yield from of_process(world, rules, p)


def _told(way: object) -> tuple[str, ...]:
    labels: list[str] = []
    while isinstance(way, tuple):
        labels.insert(0, way[0])
        way = way[1]
    return tuple(labels)
