"""Processes that die, freeze, are told to stop, or crash again and again."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import an_owner, begin, healed, nemesis
from tests.harness.files import used_up

STOP_PROMISED_SECONDS = 5.0


@nemesis("kill-owner")
async def kill_owner(lab: Lab) -> Mark:
    """SIGKILL of a coreapp that owns slots; it is restarted as systemd would."""
    return await _kill(lab, "kill-owner", await an_owner(lab))


@nemesis("kill-leader")
async def kill_leader(lab: Lab) -> Mark:
    """SIGKILL of the leading master."""
    return await _kill(lab, "kill-leader", await lab.leader())


@nemesis("kill-leader-and-owner")
async def kill_leader_and_owner(lab: Lab) -> Mark:
    """Both at once: the failover starts with an election."""
    return await _kill(lab, "kill-leader-and-owner", await lab.leader(), await an_owner(lab))


@nemesis("kill-webapp")
async def kill_webapp(lab: Lab) -> Mark:
    """SIGKILL of a webapp with open requests."""
    webapp = lab.random.choice(lab.running("webapp")).name
    return await _kill(lab, "kill-webapp", webapp)


@nemesis("kill-two-owners")
async def kill_two_owners(lab: Lab) -> Mark:
    """Two coreapps at once: shards double up."""
    names = lab.random.sample([p.name for p in lab.running("coreapp")], 2)
    return await _kill(lab, "kill-two-owners", *names)


@nemesis("crash-loop")
async def crash_loop(lab: Lab) -> Mark:
    """One coreapp is killed each time it is back: it must not be given shards again and again."""
    name = await an_owner(lab)
    mark = await begin(lab, "crash-loop", [name])
    for _ in range(4):
        restarts = lab.process(name).restarts
        lab.process(name).kill(signal.SIGKILL)
        await lab.back(name, restarts)
    return healed(mark)


@nemesis("freeze-owner-short")
async def freeze_owner_short(lab: Lab) -> Mark:
    """SIGSTOP for less than the lease: no takeover."""
    name = await an_owner(lab)
    mark = await begin(lab, "freeze-owner-short", [name])
    await _freeze(lab, [name], lab.random.uniform(0.2, 0.9))
    return healed(mark)


@nemesis("freeze-owner")
async def freeze_owner(lab: Lab) -> Mark:
    """SIGSTOP beyond the lease, half of the times with an upstream that fences nobody."""
    name = await an_owner(lab)
    forget = lab.random.random() < 0.5
    await lab.faults(forget_fence=forget)
    mark = await begin(lab, "freeze-owner", [name])
    mark.fence = not forget
    await _freeze(lab, [name], lab.random.uniform(2.2, 3.2))
    return healed(mark)


@nemesis("freeze-leader")
async def freeze_leader(lab: Lab) -> Mark:
    """SIGSTOP of the leading master beyond its term's trust."""
    name = await lab.leader()
    mark = await begin(lab, "freeze-leader", [name])
    await _freeze(lab, [name], lab.random.uniform(1.8, 3.0))
    return healed(mark)


@nemesis("freeze-leader-and-owner")
async def freeze_leader_and_owner(lab: Lab) -> Mark:
    """Both frozen beyond the lease."""
    names = [await lab.leader(), await an_owner(lab)]
    mark = await begin(lab, "freeze-leader-and-owner", names)
    await _freeze(lab, names, 4.0)
    return healed(mark)


@nemesis("flap-freeze")
async def flap_freeze(lab: Lab) -> Mark:
    """An owner that stutters: 200 ms frozen, 200 ms running."""
    name = await an_owner(lab)
    mark = await begin(lab, "flap-freeze", [name])
    for _ in range(6):
        await _freeze(lab, [name], 0.2)
        await asyncio.sleep(0.2)
    return healed(mark)


@nemesis("use-up-files")
async def use_up_files(lab: Lab) -> Mark:
    """A webapp, an owner and the leader can open nothing more for a while: none of them ends."""
    names = [lab.random.choice(lab.running("webapp")).name, await an_owner(lab), await lab.leader()]
    mark = await begin(lab, "use-up-files", names)
    victims = [lab.process(name) for name in names]
    before = [process.restarts for process in victims]
    with used_up(victims):
        await asyncio.sleep(2.5)
    for process, restarts in zip(victims, before, strict=True):
        if process.restarts != restarts or not process.alive:
            mark.wrong.append(f"I15: {process.name} ended without a descriptor")
    return healed(mark)


@nemesis("rolling-restart")
async def rolling_restart(lab: Lab) -> Mark:
    """SIGTERM to every process but the simulator, one after the other, each within its time."""
    mark = await begin(lab, "rolling-restart")
    for role in ("webapp", "coreapp", "master"):
        for process in sorted(lab.running(role), key=lambda p: p.name):
            mark.victims.append(process.name)
            took = await _restart(lab, process.name)
            if took > STOP_PROMISED_SECONDS:
                mark.wrong.append(f"I19: {process.name} took {took:.1f} s to stop")
    return healed(mark)


@nemesis("stop-owner")
async def stop_owner(lab: Lab) -> Mark:
    """SIGTERM of one owner: it hands over first."""
    name = await an_owner(lab)
    mark = await begin(lab, "stop-owner", [name])
    await _restart(lab, name)
    return healed(mark)


async def _kill(lab: Lab, kind: str, *names: str) -> Mark:
    mark = await begin(lab, kind, names)
    restarts = {name: lab.process(name).restarts for name in names}
    for name in names:
        lab.process(name).kill(signal.SIGKILL)
    await asyncio.gather(*(lab.back(name, n) for name, n in restarts.items()))
    return healed(mark)


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


async def _freeze(lab: Lab, names: list[str], seconds: float) -> None:
    for name in names:
        lab.process(name).kill(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        for name in names:
            lab.process(name).kill(signal.SIGCONT)


def _exists(pid: int) -> bool:
    """Whether it runs; a child of this program, its keeper reaps it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
