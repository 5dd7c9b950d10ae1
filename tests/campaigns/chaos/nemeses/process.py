"""Processes that die, freeze, are told to stop, or crash again and again."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import (
    a_webapp,
    an_owner,
    nemesis,
    perhaps_no_fence,
    the_leader,
    two_coreapps,
)
from tests.harness.files import used_up

STOP_PROMISED_SECONDS = 5.0
LEASE_AND_MORE_SECONDS = 3.0


@nemesis(of=[an_owner])
async def kill_owner(lab: Lab, mark: Mark) -> None:
    """SIGKILL of a coreapp that owns slots; it is restarted as systemd would."""
    await kill(lab, mark.victims)


@nemesis(of=[the_leader])
async def kill_leader(lab: Lab, mark: Mark) -> None:
    """SIGKILL of the leading master."""
    await kill(lab, mark.victims)


@nemesis(of=[the_leader, an_owner])
async def kill_leader_and_owner(lab: Lab, mark: Mark) -> None:
    """Both at once: the failover starts with an election."""
    await kill(lab, mark.victims)


@nemesis(of=[a_webapp])
async def kill_webapp(lab: Lab, mark: Mark) -> None:
    """SIGKILL of a webapp with open requests."""
    await kill(lab, mark.victims)


@nemesis(of=[two_coreapps])
async def kill_two_owners(lab: Lab, mark: Mark) -> None:
    """Two coreapps at once: shards double up."""
    await kill(lab, mark.victims)


@nemesis(of=[an_owner])
async def crash_loop(lab: Lab, mark: Mark) -> None:
    """One coreapp is killed each time it is back: it must not be given shards again and again."""
    for _ in range(4):
        await kill(lab, mark.victims)


@nemesis(of=[an_owner])
async def freeze_owner_short(lab: Lab, mark: Mark) -> None:
    """SIGSTOP for less than the lease: no takeover."""
    await _freeze(lab, mark, lab.random.uniform(0.2, 0.9))


@nemesis(of=[an_owner])
async def freeze_owner(lab: Lab, mark: Mark) -> None:
    """SIGSTOP beyond the lease, half of the times with an upstream that fences nobody."""
    await perhaps_no_fence(lab, mark)
    await _freeze(lab, mark, lab.random.uniform(2.2, 3.2))


@nemesis(of=[an_owner])
async def wake_late(lab: Lab, mark: Mark) -> None:
    """An owner sleeps beyond its lease with answers and messages waiting for it."""
    await _freeze(lab, mark, LEASE_AND_MORE_SECONDS)


@nemesis(of=[the_leader])
async def freeze_leader(lab: Lab, mark: Mark) -> None:
    """SIGSTOP of the leading master beyond its term's trust."""
    await _freeze(lab, mark, lab.random.uniform(1.8, 3.0))


@nemesis(of=[the_leader, an_owner])
async def freeze_leader_and_owner(lab: Lab, mark: Mark) -> None:
    """Both frozen beyond the lease."""
    await _freeze(lab, mark, 4.0)


@nemesis(of=[an_owner])
async def flap_freeze(lab: Lab, mark: Mark) -> None:
    """An owner that stutters: 200 ms frozen, 200 ms running."""
    for _ in range(6):
        await _freeze(lab, mark, 0.2)
        await asyncio.sleep(0.2)


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


@nemesis(of=[an_owner])
async def stop_owner(lab: Lab, mark: Mark) -> None:
    """SIGTERM of one owner: it hands over first."""
    await _restart(lab, *mark.victims)


async def kill(lab: Lab, names: list[str]) -> None:
    """Returns once all of them are back."""
    restarts = {name: lab.process(name).restarts for name in names}
    for name in names:
        lab.process(name).kill(signal.SIGKILL)
    await asyncio.gather(*(lab.back(name, n) for name, n in restarts.items()))


async def _restart(lab: Lab, name: str) -> float:
    """SIGTERM, and wait for its successor; the seconds that it took to end."""
    process, restarts = lab.process(name), lab.process(name).restarts
    pid, since = process.pid, time.monotonic()
    assert pid is not None
    process.kill(signal.SIGTERM)
    await lab.until(lambda: not _exists(pid), 3 * STOP_PROMISED_SECONDS)
    took = time.monotonic() - since
    await lab.back(name, restarts)
    return took


async def _freeze(lab: Lab, mark: Mark, seconds: float) -> None:
    for name in mark.victims:
        lab.process(name).kill(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        for name in mark.victims:
            lab.process(name).kill(signal.SIGCONT)


def _exists(pid: int) -> bool:
    """Whether it runs; a child of this program, its keeper reaps it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
