"""Faults of clocks, of single statements, of the disk and of single answers; each a kind.

What has no end of its own (``forever``) lasts to the end of a run: the cluster must do without it.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.campaigns.simulation.faults import Faults, Kind, Plan, start_server
from tests.campaigns.simulation.server import FAILURES, NO_ENTRY, NO_RIGHT, Failing

HOUR = 3600.0
SLOW = (1.0, 2.0)  # seconds of a flush on a disk that is about to fail
LONG_WAITS = (1500, 3000, 5000)  # milliseconds that a recipient is to be left alone


def step_database_clock(faults: Faults, random: Random) -> bool:
    """Its wall clock is set, by up to hours, in either direction, while recipients are parked.

    Somebody opens slots afterwards, and reads from the database how long they still wait.
    """
    world = faults.world
    parks(faults, random)
    seconds = random.choice((-1.0, 1.0)) * random.choice((2.0, 60.0, HOUR, 3 * HOUR))
    clock = world.clock
    clock.at(clock.now + random.uniform(0.5, 2.0), _step, world, seconds)
    clock.at(clock.now + random.uniform(2.0, 3.0), faults.kill_coreapp, random)
    return True


def step_node_clock(faults: Faults, random: Random) -> bool:
    """The wall clock of one process is set; what it measures time with goes on."""
    world = faults.world
    name = random.choice((*world.coreapps, *world.masters, *world.webapps))
    process = world.processes.get(name)
    if process is None or not process.alive:
        return False
    process.loop.ahead += random.choice((-1.0, 1.0)) * random.choice((2.0, 60.0, HOUR, 3 * HOUR))
    return True


def fail_statements(faults: Faults, random: Random) -> bool:
    """Any statement of a process, or of all, fails, before its commit or after; connects too."""
    world = faults.world
    names = [*world.coreapps, *world.masters, *world.webapps]
    share = random.choice((0.05, 0.3, 1.0))
    for name in random.choice((names, random.sample(names, 1), [faults.owner(random)])):
        world.server.failing[name] = Failing(
            share,
            random.choice((FAILURES, random.sample(FAILURES, 1))),
            after=random.choice((0.0, 0.5)),
            refuses=random.choice(("", NO_ENTRY, "53300", "57P03")),
        )
        faults.ends(random.uniform(1.0, 5.0), world.server.failing.pop, name, None)
    return True


def cannot_write(faults: Faults, random: Random) -> bool:
    """An owner's role lost its right, or its address its entry: it beats on and writes nothing."""
    name = faults.owner(random)
    lock_out(faults.world, name, random.random() < 0.5)
    faults.ends(random.uniform(2.0, 6.0), faults.world.server.failing.pop, name, None)
    return True


def slow_commits(faults: Faults, random: Random) -> bool:
    """Each flush takes a second or two."""
    server = faults.world.server
    server.slowest = random.choice((SLOW, (0.3, 1.0), (2.0, 4.0)))
    faults.ends(random.uniform(3.0, 8.0), setattr, server, "slowest", None)
    return True


def lose_answers(faults: Faults, random: Random) -> bool:
    """The upstream takes messages and says nothing."""
    upstream = faults.world.upstream
    upstream.loses = random.choice((0.1, 0.5, 1.0))
    faults.ends(random.uniform(0.5, 4.0), setattr, upstream, "loses", 0.0)
    return True


def break_words(faults: Faults, random: Random) -> bool:
    """Some answers cannot be decoded, and some events never, however often they come."""
    upstream = faults.world.upstream
    upstream.breaks = random.choice((0.05, 0.3))
    faults.ends(random.uniform(0.5, 4.0), setattr, upstream, "breaks", 0.0)
    return True


def hang_callbacks(faults: Faults, random: Random) -> bool:
    """The receiver leaves the callbacks of several recipients without an answer."""
    business = faults.world.business
    business.hangs = random.uniform(0.2, 0.8)
    faults.ends(random.uniform(1.0, 4.0), setattr, business, "hangs", 0.0)
    return True


# What tests make their plans of.


def parks(faults: Faults, random: Random) -> bool:
    """The upstream asks for long waits, so that recipients are parked."""
    upstream = faults.world.upstream
    upstream.throttle, upstream.waits = 0.8, LONG_WAITS
    faults.ends(4.0, setattr, upstream, "throttle", 0.0)
    return True


def lock_out(world: Any, name: str, refused: bool) -> None:
    """``refused``: connections, as by pg_hba.conf, and those that do not beat end now."""
    server = world.server
    if not refused:
        server.failing[name] = Failing(1.0, (NO_RIGHT,), writes_only=True)
        return
    server.failing[name] = Failing(1.0, (NO_RIGHT,), writes_only=True, refuses=NO_ENTRY)
    for session in list(server.sessions):
        if session.process == name and not session.beats:
            session.kill()


def refused_for_good(faults: Faults, random: Random) -> bool:
    """An owner's address lost its entry; nobody gives it back."""
    lock_out(faults.world, faults.owner(random), True)
    return True


def without_right_for_good(faults: Faults, random: Random) -> bool:
    """An owner's role lost a right; nobody gives it back."""
    lock_out(faults.world, faults.owner(random), False)
    return True


def slow_for_good(faults: Faults, random: Random) -> bool:
    """Each flush takes longer than a second from here on; nobody's limit is as short."""
    faults.world.server.slowest = (1.0, 1.8)
    return True


def promote(faults: Faults, random: Random) -> bool:
    """A standby that lacks nothing takes the place of the primary."""
    server, clock = faults.world.server, faults.world.clock
    server.stop()
    clock.at(clock.now + random.uniform(0.1, 0.8), start_server, server, True)
    return True


def restart_masters(faults: Faults, random: Random) -> bool:
    """All of them at once, as when their machine does: several contend for a dead leader's seat."""
    world = faults.world
    for name in world.masters:
        world.kill(name)
        world.clock.at(world.clock.now + random.uniform(0.1, 0.6), world.start, name)
    return True


def _step(world: Any, seconds: float) -> None:
    world.history.note("step", seconds)
    world.history.stepped += max(0.0, seconds)
    world.server.ahead += seconds


# With the product's own limits, a killed owner is succeeded and a killed leader too.
SLOW_PLAN: Plan = ((2.0, slow_for_good), (5.0, Faults.kill_coreapp), (8.0, Faults.kill_master))
# Beside them owners get new epochs, each under its slot's lock, which slow commits hold.
SLOW_PROMOTED_PLAN: Plan = ((2.0, slow_for_good), (4.0, promote), (5.5, Faults.kill_coreapp))
# Two contend, and each wins by a commit that takes longer than the other's look.
SLOW_RESTARTED_PLAN: Plan = (
    *((2.0, slow_for_good), (5.0, Faults.kill_coreapp), (5.5, restart_masters)),
)
SLOW_SECONDS = 60.0  # of a run, until the last of its commits is through
REFUSED_PLAN: Plan = ((4.0, refused_for_good),)
WITHOUT_RIGHT_PLAN: Plan = ((4.0, without_right_for_good),)
NEMESES: tuple[Kind, ...] = (
    step_database_clock,
    step_node_clock,
    fail_statements,
    cannot_write,
    slow_commits,
    lose_answers,
    break_words,
    hang_callbacks,
)
