"""Processes that die, freeze, are told to stop, or crash again and again."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import (
    Act,
    a_master,
    a_webapp,
    an_owner,
    fault,
    fence_as_drawn,
    nemesis,
    repeated,
    the_leader,
    two_coreapps,
)
from tests.harness.files import used_up

STOP_PROMISED_SECONDS = 5.0
UNIT_STOP_SECONDS = 40.0  # TimeoutStopSec= of a coreapp, the longest


async def kill(lab: Lab, mark: Mark) -> None:
    """SIGKILL of all victims at once; they are restarted as systemd would, and are back then."""
    restarts = {name: lab.process(name).restarts for name in mark.victims}
    for name in mark.victims:
        lab.process(name).kill(signal.SIGKILL)
    await asyncio.gather(*(lab.back(name, n) for name, n in restarts.items()))


def freeze(least: float, most: float) -> Act:
    """SIGSTOP of all victims for so many seconds."""

    async def frozen(lab: Lab, mark: Mark) -> None:
        processes = [lab.process(name) for name in mark.victims]
        for process in processes:
            process.kill(signal.SIGSTOP)
        try:
            await asyncio.sleep(lab.random.uniform(least, most))
        finally:
            for process in processes:
                process.kill(signal.SIGCONT)

    return frozen


_BEYOND_THE_LEASE = fence_as_drawn(freeze(2.2, 3.2))
_STUTTER = repeated(6, freeze(0.2, 0.2), pause=0.2)
FAULTS = (
    fault("kill-owner", kill, of=[an_owner]),
    fault("kill-leader", kill, of=[the_leader]),
    # The failover starts with an election.
    fault("kill-leader-and-owner", kill, of=[the_leader, an_owner]),
    fault("kill-webapp", kill, of=[a_webapp]),  # with open requests
    fault("kill-two-owners", kill, of=[two_coreapps]),  # shards double up
    # Killed each time it is back: it must not be given shards again and again.
    fault("crash-loop", repeated(4, kill), of=[an_owner]),
    fault("freeze-owner-short", freeze(0.2, 0.9), of=[an_owner]),  # no takeover
    fault("freeze-owner", _BEYOND_THE_LEASE, of=[an_owner]),
    # It sleeps beyond its lease with answers and messages waiting for it.
    fault("wake-late", freeze(3.0, 3.0), of=[an_owner]),
    fault("freeze-leader", freeze(1.8, 3.0), of=[the_leader]),  # beyond its term's trust
    fault("freeze-leader-and-owner", freeze(4.0, 4.0), of=[the_leader, an_owner]),
    fault("flap-freeze", _STUTTER, of=[an_owner]),
)


@nemesis(of=[a_webapp, an_owner, the_leader])
async def use_up_files(lab: Lab, mark: Mark) -> None:
    """A webapp, an owner and the leader can open nothing more for a while: none of them ends."""
    victims = [lab.process(name) for name in mark.victims]
    before = [process.restarts for process in victims]
    with used_up(victims):
        await asyncio.sleep(2.5)
    for process, restarts in zip(victims, before, strict=True):
        if process.restarts != restarts or not process.alive:
            mark.wrong.append(f"I15: {process.name} ended without a descriptor")


@nemesis()
async def rolling_restart(lab: Lab, mark: Mark) -> None:
    """SIGTERM to every process but the simulator, one after the other, each within its time."""
    for role in ("webapp", "coreapp", "master"):
        for process in sorted(lab.running(role), key=lambda p: p.name):
            mark.victims.append(process.name)
            took = await _restart(lab, process.name)
            if took > STOP_PROMISED_SECONDS:
                mark.wrong.append(f"I19: {process.name} took {took:.1f} s to stop")


@nemesis(of=[two_coreapps])
async def stop_two_coreapps(lab: Lab, mark: Mark) -> None:
    """SIGTERM of both at once, as when their machine goes: one hands on what it gets meanwhile."""
    await asyncio.gather(*(_restart(lab, name) for name in mark.victims))


@nemesis(of=[two_coreapps, a_webapp, a_master])
async def power_off_machine(lab: Lab, mark: Mark) -> None:
    """SIGTERM of all that a machine runs at once, the leader perhaps among it."""
    took = await asyncio.gather(
        *(_restart(lab, name, UNIT_STOP_SECONDS) for name in mark.victims), return_exceptions=True
    )
    for name, seconds in zip(mark.victims, took, strict=True):
        if isinstance(seconds, BaseException):
            mark.wrong.append(f"I19: {name} did not end in its unit's time, or come back")
            lab.process(name).kill(signal.SIGKILL)


@nemesis(of=[an_owner])
async def stop_owner(lab: Lab, mark: Mark) -> None:
    """SIGTERM of one owner: it hands over first."""
    await _restart(lab, *mark.victims)


async def _restart(lab: Lab, name: str, within: float = 3 * STOP_PROMISED_SECONDS) -> float:
    """SIGTERM, and wait for its successor; the seconds that it took to end."""
    process, restarts = lab.process(name), lab.process(name).restarts
    pid, since = process.pid, time.monotonic()
    assert pid is not None
    process.kill(signal.SIGTERM)
    await lab.until(lambda: not _exists(pid), within)
    took = time.monotonic() - since
    await lab.back(name, restarts)
    return took


def _exists(pid: int) -> bool:
    """Whether it runs; a child of this program, its keeper reaps it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
