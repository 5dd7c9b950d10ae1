"""What happens to machines in a year, each step under traffic and with what it took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tests.deploy.installed import LINK_PORT
from tests.deploy.measured import TABLE
from tests.deploy.site import Site
from tests.deploy.traffic import lived_through

HOLD_SECONDS = 10.0  # WAROUTER_HOLD, for which requests are held; what a move takes is printed


async def powered_off(site: Site, number: int) -> float:
    """In order, as a cloud ends an instance; seconds until others own all of its slots."""
    machine, leaving = site.machines[number], await site.incarnations(number)
    began = time.monotonic()
    command = asyncio.create_task(machine.arun("systemctl", "poweroff", "--no-block"))
    await site.handed_over(leaving)
    took = time.monotonic() - began
    site.out_of_service(number)
    await command
    await asyncio.to_thread(machine.until_off)
    TABLE.add(site.door.name, "power-off: off", time.monotonic() - began, machine.name)
    return took


async def cut(site: Site, number: int) -> float:
    """The plug; seconds until others own all of its slots."""
    machine, dead = site.machines[number], await site.incarnations(number)
    began = time.monotonic()
    cutting = asyncio.create_task(asyncio.to_thread(machine.cut))
    site.out_of_service(number)
    await site.handed_over(dead)
    took = time.monotonic() - began
    await cutting
    return took


async def booted_again(site: Site, number: int) -> None:
    """Its units come back by themselves."""
    began = time.monotonic()
    await asyncio.to_thread(site.machines[number].boot)
    await site.in_service(number)
    TABLE.add(site.door.name, "booted again: in service", time.monotonic() - began)


async def power_off(site: Site) -> float:
    async with lived_through(site) as business:
        number = await site.owns_most()
        took = await powered_off(site, number)
        await booted_again(site, number)
    seen = f"{business.history.accepted} accepted, {business.history.retried} connects tried again"
    TABLE.add(site.door.name, "power-off: slots handed over", took, seen)
    return took


async def power_cut(site: Site) -> float:
    async with lived_through(site, planned=False) as business:
        number = await site.owns_most()
        took = await cut(site, number)
        await booted_again(site, number)
    seen = (
        f"{business.history.accepted} accepted, {len(business.history.unknown)} without an answer,"
        f" {business.history.retried} connects tried again"
    )
    TABLE.add(site.door.name, "power cut: slots taken over", took, seen)
    return took


async def replaced(site: Site, add: Callable[[int], Awaitable[object]]) -> None:
    """Every machine by a new one, one after the other: the new one in, the old one off."""
    longest = 0.0
    began = time.monotonic()
    old = sorted(site.machines)
    async with lived_through(site) as business:
        for number in old:
            new = number + len(old)
            await add(new)
            await site.in_service(new)
            longest = max(longest, await powered_off(site, number))
            await site.remove(number)
    seen = f"{business.history.accepted} accepted, longest handover {longest:.2f} s"
    TABLE.add(site.door.name, f"{len(old)} machines replaced", time.monotonic() - began, seen)


async def scaled(site: Site, shards: int, coreapps: int) -> None:
    """To so many shards, with so many coreapps on each machine: up, coreapps come first; down,
    shards go first.
    """
    async with lived_through(site) as business:
        if coreapps > max(site.coreapps.values()):
            await _enabled(site, coreapps)
        began = time.monotonic()
        await business.set_shards(shards)
        took = time.monotonic() - began
        if coreapps < max(site.coreapps.values()):
            await _disabled(site, coreapps)
        current = await site.facts.until(lambda m: all(s.owner for s in m.slots))
    owners = {slot.owner for slot in current.slots}
    seen = f"{len(owners)} owners, {business.history.accepted} accepted"
    TABLE.add(site.door.name, f"set shards to {shards}", took, seen)
    assert current.shards == shards
    assert len(owners) == min(shards, sum(site.coreapps.values()))


async def _enabled(site: Site, coreapps: int) -> None:
    for number, machine in site.machines.items():
        new = range(site.coreapps[number] + 1, coreapps + 1)
        for instance in new:
            port = f"COREAPP_EXTERNAL_PORTS={LINK_PORT + instance}\n"
            machine.write(f"/etc/warouter/coreapp-{instance}.env", port)
        await machine.arun("systemctl", "enable", "--now", *map(_unit, new))
        site.coreapps[number] = coreapps


async def _disabled(site: Site, coreapps: int) -> None:
    for number, machine in site.machines.items():
        gone = range(coreapps + 1, site.coreapps[number] + 1)
        await machine.arun("systemctl", "disable", "--now", *map(_unit, gone))
        site.coreapps[number] = coreapps


def _unit(number: int) -> str:
    return f"warouter-coreapp@{number}"
