"""What goes wrong with the Cloud API; each a kind, and each with its end."""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import Any

from tests.campaigns.simulation import kinds
from tests.campaigns.simulation.faults import Faults, Kind, start_server
from tests.campaigns.simulation.nemeses import step_database_clock
from tests.campaigns.simulation.server import NO_RIGHT, Failing

# Statements that write issue rows, and those that take what webhooks brought.
ISSUING = ("append_issued", "issue_requests", "open_issues")
DRAINING = ("from cloud_inbox i\n  left join message", "drain_inbox")


def drop_taken(faults: Faults, random: Random) -> bool:
    """Requests are taken, and their connection ends before the answer."""
    return _share(faults, random, "drop_after")


def drop_untaken(faults: Faults, random: Random) -> bool:
    """Connections end, and their requests are not taken."""
    return _share(faults, random, "drop_before")


def answer_unclearly(faults: Faults, random: Random) -> bool:
    """Answers say neither; half of their requests were taken."""
    meta = faults.world.upstream
    half = random.choice((0.05, 0.15, 0.5))
    meta.switch(fail_before=half, fail_after=half)
    faults.ends(random.uniform(0.5, 4.0), meta.reset, "fail_before", "fail_after")
    return True


def refuse_messages(faults: Faults, random: Random) -> bool:
    """Requests are refused for good; the next one of the same message might be taken."""
    return _share(faults, random, "code_share")


def linger(faults: Faults, random: Random) -> bool:
    """Requests are taken just before their time ends."""
    meta = faults.world.upstream
    meta.linger(random.choice((0.1, 0.3, 1.0)))
    faults.ends(random.uniform(0.5, 4.0), meta.linger, 0.0)
    return True


def kill_a_token(faults: Faults, random: Random) -> bool:
    """Every request is refused, until somebody has given the token its rights again."""
    meta = faults.world.upstream
    meta.switch(no_token=True)
    for heard in faults.world.history.heard.values():
        heard.refused = 0.0  # before: the token has been good since, or was another one
    faults.ends(random.uniform(0.5, 4.0), meta.reset, "no_token")
    return True


def give_two_tokens(faults: Faults, random: Random) -> bool:
    """One coreapp has the token that was in force before, and is refused, until it is given the
    other one.
    """
    old, name = faults.world.upstream.old, random.choice(faults.world.coreapps)
    old.add(name)
    if (process := faults.world.processes.get(name)) is not None:
        # A refusal of before was of a token that has been good again since.
        faults.world.history.heard[process.incarnation].refused = 0.0
    faults.ends(random.uniform(1.0, 6.0), old.discard, name)
    return True


def take_nothing(faults: Faults, random: Random) -> bool:
    """No request is taken, and no answer says so: as for five minutes of Meta's, where a window is
    a minute.
    """
    windows = random.choice((0.1, 1.0, 5.0))  # beyond the end of all other faults
    faults.world.upstream.take_nothing(windows * faults.world.spans.base)
    return True


def hold_webhooks(faults: Faults, random: Random) -> bool:
    """All webhooks wait at Meta."""
    base = faults.world.spans.base
    seconds = random.choice((random.uniform(0.5, 5.0), random.uniform(1.0, 2.0) * base))
    faults.world.upstream.switch(hold_webhooks_s=seconds)  # beyond the end of all other faults
    return True


def hold_evidence(faults: Faults, random: Random) -> bool:
    """Statuses of just those messages wait whose answers are lost; more of them are."""
    meta = faults.world.upstream
    base = faults.world.spans.base
    meta.switch(hold_dropped_s=base * random.uniform(1.2, 2.5), drop_after=0.3)
    faults.ends(4.0, meta.reset, "hold_dropped_s", "drop_after")
    return True


def kill_door(faults: Faults, random: Random) -> bool:
    """A listener of webhooks dies, and another one comes in its place."""
    world = faults.world
    name = random.choice(world.doors)
    hit = world.processes[name].alive
    world.kill(name)
    faults.ends(random.uniform(0.2, 6.0), world.start_door, name)
    return bool(hit)


def kill_doors(faults: Faults, random: Random) -> bool:
    """All of them, with an owner."""
    world = faults.world
    for name in world.doors:
        world.kill(name)
        faults.ends(random.uniform(2.0, 6.0), world.start_door, name)
    return faults.kill_coreapp(random)


def cut_door(faults: Faults, random: Random) -> bool:
    """From Meta: it does not know, and says that it listens."""
    world = faults.world
    link = world.link("upstream", random.choice(world.doors))
    link.block()
    faults.ends(random.uniform(0.5, 6.0), link.unblock)
    return True


def cut_door_from_database(faults: Faults, random: Random) -> bool:
    return faults._cut(faults.world.link(random.choice(faults.world.doors), "database"), random)


def stand_still(faults: Faults, random: Random) -> bool:
    """A process stands still between its look at the clock and its write."""
    spans, lease = faults.world.spans, faults.world.timing.lease
    faults.world.upstream.freezing = random.uniform(0.2, 1.2) * max(spans.watchdog, 2 * lease)
    return True


def promote_unseen(faults: Faults, random: Random) -> bool:
    """A standby is promoted that may lack the newest issue rows, and no leader sees it for a while:
    owners renew their epochs first.
    """
    world = faults.world
    if not world.server.up:
        return False
    for name in world.masters:
        world.kill(name)
        faults.ends(random.uniform(2.5, 6.0), world.start, name)
    since = world.server.now() - random.choice((0.0, 0.1, 1.0))
    world.server.stop()
    world.tables.issues.lose(since)
    faults.ends(random.uniform(0.05, 0.8), start_server, world.server, True)
    return True


def collect_garbage(faults: Faults, random: Random) -> bool:
    """What is settled is deleted once no id of it can be offered again, to the end of the run."""
    world = faults.world
    world.tables.youngest = world.timing.hold + random.uniform(0.5, 3.0)
    _collect(world)
    return True


def _collect(world: Any) -> None:
    for name in world.coreapps:
        process = world.processes.get(name)
        if process is not None and process.alive and process.node is not None:
            process.loop.call_soon(process.node.retention.collect)
    world.clock.at(world.clock.now + 1.0, _collect, world)


def kill_its_successor(faults: Faults, random: Random) -> bool:
    """An owner dies, and who comes after it too."""
    world = faults.world
    after = world.timing.lease + random.uniform(0.5, 2.5)
    world.clock.at(min(world.clock.now + after, faults.healed), faults.kill_coreapp, random)
    return faults.kill_coreapp(random)


def kill_behind_a_cut(faults: Faults, random: Random) -> bool:
    """An owner dies while its line to Meta is cut, which comes back later."""
    world: Any = faults.world
    name = faults.owner(random)
    link = world.link(name, "upstream")
    link.block()
    clock = world.clock
    clock.at(clock.now + random.uniform(0.2, 1.5), faults._kill, name, random)
    clock.at(clock.now + world.spans.base * random.uniform(0.2, 1.5), link.unblock)
    return True


def no_disk_for_issues(faults: Faults, random: Random) -> bool:
    """An owner, or nobody at all, can write issue rows; all the other tables can be written."""
    return _closed(faults, random, "53100", ISSUING)


def no_right_to_the_inbox(faults: Faults, random: Random) -> bool:
    """An owner, or nobody at all, may read or drain the inbox; webhooks come in as ever."""
    return _closed(faults, random, NO_RIGHT, DRAINING)


def _closed(faults: Faults, random: Random, state: str, only: Collection[str]) -> bool:
    failing, coreapps = faults.world.server.failing, faults.world.coreapps
    for name in random.choice(([faults.owner(random)], [faults.owner(random)], coreapps)):
        failing[name] = Failing(1.0, (state,), only=only)
        faults.ends(random.uniform(2.0, 6.0), failing.pop, name, None)
    return True


def _share(faults: Faults, random: Random, name: str) -> bool:
    meta = faults.world.upstream
    meta.switch(**{name: random.choice((0.1, 0.3, 1.0))})
    faults.ends(random.uniform(0.5, 4.0), meta.reset, name)
    return True


CLOUD: tuple[Kind, ...] = (
    *(drop_taken, drop_untaken, answer_unclearly, linger, kill_a_token, hold_webhooks),
    *(no_disk_for_issues, no_right_to_the_inbox),
    *(give_two_tokens, take_nothing),
    *(hold_evidence, kill_door, kill_doors, cut_door, cut_door_from_database, stand_still),
    *(kill_its_successor, kill_behind_a_cut, collect_garbage, promote_unseen),
    refuse_messages,
)
BY_NAME: dict[str, Kind] = kinds.BY_NAME | {kind.__name__: kind for kind in CLOUD}
# Ages in the tables are by the database's clock: whoever sets it ends windows.
_LEFT_OUT = (step_database_clock,)
DRAWN: tuple[Kind, ...] = tuple(
    kind for kind in (*kinds.DRAWN, *CLOUD, *CLOUD) if kind not in _LEFT_OUT
)
