"""Faults that only the mutants need: each hits the rule that one of them lacks, and little else."""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import Any

from tests.campaigns.simulation.cloud.faults import DRAINING, ISSUING, promote_unseen
from tests.campaigns.simulation.faults import Faults
from tests.campaigns.simulation.server import Failing
from warouter.lab.simulator.cloud.graph.errors import RATE

TO_TAKE_OVER = 2.0  # before the end, when every slot is to have an owner that lives


def hold_all(faults: Faults, random: Random) -> bool:
    """All webhooks wait for longer than a window; some answers are lost just before."""
    world: Any = faults.world
    meta = world.upstream
    meta.switch(drop_after=0.5)
    faults.ends(2.0, meta.reset, "drop_after")
    meta.switch(hold_webhooks_s=2.5 * world.spans.base)
    return True


def take_nothing_long(faults: Faults, random: Random) -> bool:
    """Nothing is taken for five windows, which is longer than three attempts last."""
    world: Any = faults.world
    world.upstream.take_nothing(5.0 * world.spans.base)
    return True


def repeat_all(faults: Faults, random: Random) -> bool:
    """Meta tells everything twice, the second time at nearly the same moment."""
    world: Any = faults.world
    world.upstream.switch(second_app=1.0, repeat=1.0, repeat_ms=20)
    return True


def stand_still_long(faults: Faults, random: Random) -> bool:
    """Longer than a window: whoever wakes then sends what was sent again meanwhile."""
    world: Any = faults.world
    world.upstream.freezing = 1.5 * world.spans.base
    return True


def drop_and_linger(faults: Faults, random: Random) -> bool:
    """Answers are lost, and requests are taken at the end of their time."""
    world: Any = faults.world
    meta = world.upstream
    meta.linger(1.0)
    faults.ends(4.0, meta.linger, 0.0)
    clock = world.clock
    for n in range(8):
        clock.at(clock.now + 0.5 * n, meta.disconnect, 1.0)
    return True


def leave_in_peace(faults: Faults, random: Random) -> bool:
    """A coreapp is told to stop, and has the time that it needs."""
    world: Any = faults.world
    name = random.choice(world.coreapps)
    world.tell_to_stop(name)
    world.clock.at(world.clock.now + 12.0, world.start, name)
    return True


def refuse_everybody(faults: Faults, random: Random) -> bool:
    """From now on nobody who has been written to so far can be reached."""
    world: Any = faults.world
    journals = world.tables.messages
    world.upstream.disown(m.recipient for j in journals for m in j.rows.values())
    return True


def tell_at_the_window(faults: Faults, random: Random) -> bool:
    """The statuses of messages without an answer come just as their windows end."""
    world: Any = faults.world
    meta = world.upstream
    meta.switch(hold_dropped_s=random.uniform(0.9, 1.1) * world.spans.base, drop_after=0.7)
    faults.ends(5.0, meta.reset, "hold_dropped_s", "drop_after")
    return True


def tell_behind_a_throttle(faults: Faults, random: Random) -> bool:
    """They come while what is to be sent again has to wait for the rate."""
    world: Any = faults.world
    meta, clock = world.upstream, world.clock
    tell_at_the_window(faults, random)
    meta.switch(hold_dropped_s=1.3 * world.spans.base)
    clock.at(clock.now + 0.9 * world.spans.base, setattr, meta, "throttle", 0.9)
    clock.at(clock.now + 2.0 * world.spans.base, setattr, meta, "throttle", 0.0)
    return True


def tell_of_both(faults: Faults, random: Random) -> bool:
    """Nothing is heard of two attempts, until the statuses of both come at once."""
    world: Any = faults.world
    meta, clock, base = world.upstream, world.clock, world.spans.base
    meta.switch(drop_after=1.0)
    meta.switch(hold_webhooks_s=4.0 * base)
    clock.at(clock.now + 3.3 * base, meta.reset, "drop_after")
    return True


def nobody_listens(faults: Faults, random: Random) -> bool:
    """From an owner's death on, for longer than a window; Meta repeats what it could not tell."""
    world: Any = faults.world
    meta, clock, base = world.upstream, world.clock, world.spans.base
    meta.switch(drop_after=0.5)
    faults.ends(2.0, meta.reset, "drop_after")
    for name in world.doors:
        world.kill(name)
        clock.at(clock.now + 1.5 * base, world.start_door, name)
    return faults.kill_coreapp(random)


def take_over_again(faults: Faults, random: Random) -> bool:
    """Requests are lost, and then owner after owner dies, each within a window of the last and
    while requests are out.
    """
    world: Any = faults.world
    meta, clock, base = world.upstream, world.clock, world.spans.base
    meta.slowness = 1.0
    meta.switch(drop_before=1.0)
    faults.ends(2.0, meta.reset, "drop_before")
    for n in range(1, 10):
        clock.at(clock.now + 0.6 * n * base, _next_owner, faults, random)
    return True


def lose_answers_and_owners(faults: Faults, random: Random) -> bool:
    """Answers are lost, so that a status is the first to say what was taken; owners die often."""
    world: Any = faults.world
    meta, clock = world.upstream, world.clock
    meta.switch(drop_after=1.0)
    faults.ends(4.0, meta.reset, "drop_after")
    for n in range(1, 8):
        clock.at(clock.now + 0.5 * n, _next_owner, faults, random)
    return True


def promote_behind_a_throttle(faults: Faults, random: Random) -> bool:
    """Requests are tried again and taken, their answers are lost, and the newest issue rows too."""
    world: Any = faults.world
    meta, clock = world.upstream, world.clock
    meta.switch(throttle=0.7, throttle_as=(RATE,), drop_after=0.5)
    faults.ends(4.0, meta.reset, "throttle", "drop_after")
    clock.at(clock.now + random.uniform(1.0, 4.0), promote_unseen, faults, random)
    return True


def no_disk_for_issues_for_good(faults: Faults, random: Random) -> bool:
    """An owner cannot write issue rows from now on; the others can."""
    return _closed_for_good(faults, random, ISSUING)


def no_inbox_for_good(faults: Faults, random: Random) -> bool:
    """An owner cannot read the inbox from now on; the others can."""
    return _closed_for_good(faults, random, DRAINING)


def _closed_for_good(faults: Faults, random: Random, only: Collection[str]) -> bool:
    """One at most: somebody must be able to."""
    failing = faults.world.server.failing
    if not failing:
        failing[faults.owner(random)] = Failing(1.0, ("53100",), only=only)
    return True


def _next_owner(faults: Faults, random: Random) -> None:
    name, clock = faults.owner(random), faults.world.clock
    if clock.now > faults.world.until - TO_TAKE_OVER:
        return
    faults.world.kill(name)
    clock.at(clock.now + 1.0, faults.world.start, name)
