"""Cuts: a process that runs and cannot be reached, or cannot reach what it needs."""

from __future__ import annotations

import asyncio

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import an_owner, begin, healed, nemesis
from tests.campaigns.chaos.network import DATABASE, LINK, UPSTREAM


@nemesis("cut-owner-database", DATABASE)
async def cut_owner_database(lab: Lab) -> Mark:
    """An owner without database but with the upstream, beyond the lease; fence as drawn."""
    name = await an_owner(lab)
    forget = lab.random.random() < 0.5
    await lab.faults(forget_fence=forget)
    mark = await begin(lab, "cut-owner-database", [name])
    mark.fence = not forget
    await _cut(lab, name, (DATABASE,), lab.random.uniform(2.5, 4.0))
    return healed(mark)


@nemesis("cut-owner-database-short", DATABASE)
async def cut_owner_database_short(lab: Lab) -> Mark:
    """For less than the lease: TCP's second retransmission (after 0.6 s) gets through.

    The third comes after 1.4 s, so that a longer cut may be a silence as long as the lease.
    """
    name = await an_owner(lab)
    mark = await begin(lab, "cut-owner-database-short", [name])
    await _cut(lab, name, (DATABASE,), lab.random.uniform(0.2, 0.45))
    return healed(mark)


@nemesis("cut-owner-upstream", UPSTREAM)
async def cut_owner_upstream(lab: Lab) -> Mark:
    """An owner that lives and cannot send: it is to be replaced."""
    name = await an_owner(lab)
    mark = await begin(lab, "cut-owner-upstream", [name])
    await _cut(lab, name, (UPSTREAM,), 5.0)
    return healed(mark)


@nemesis("cut-owner-links", LINK)
async def cut_owner_links(lab: Lab) -> Mark:
    """An owner that no webapp and no coreapp reaches: it is to be replaced."""
    name = await an_owner(lab)
    mark = await begin(lab, "cut-owner-links", [name])
    await _cut(lab, name, (LINK,), 5.0)
    return healed(mark)


@nemesis("cut-owner-from-a-webapp", LINK)
async def cut_owner_from_a_webapp(lab: Lab) -> Mark:
    """One webapp does not reach a live owner, the other one does: it relays."""
    name = await an_owner(lab)
    webapp = lab.random.choice(lab.running("webapp")).name
    mark = await begin(lab, "cut-owner-from-a-webapp", [name])
    lab.network.cut_pair(webapp, name)
    try:
        await asyncio.sleep(5.0)
    finally:
        lab.network.heal_pair(webapp, name)
    return healed(mark)


@nemesis("isolate-owner", DATABASE, UPSTREAM, LINK)
async def isolate_owner(lab: Lab) -> Mark:
    """An owner cut off from everything."""
    name = await an_owner(lab)
    mark = await begin(lab, "isolate-owner", [name])
    await _cut(lab, name, (DATABASE, UPSTREAM, LINK), lab.random.uniform(2.5, 4.0))
    return healed(mark)


@nemesis("cut-leader", DATABASE)
async def cut_leader(lab: Lab) -> Mark:
    """The leading master without database."""
    name = await lab.leader()
    mark = await begin(lab, "cut-leader", [name])
    await _cut(lab, name, (DATABASE,), lab.random.uniform(2.0, 4.0))
    return healed(mark)


@nemesis("flap-owner-database", DATABASE)
async def flap_owner_database(lab: Lab) -> Mark:
    """200 ms on, 200 ms off."""
    name = await an_owner(lab)
    mark = await begin(lab, "flap-owner-database", [name])
    for _ in range(6):
        await _cut(lab, name, (DATABASE,), 0.2)
        await asyncio.sleep(0.2)
    return healed(mark)


@nemesis("cut-webapp-database", DATABASE)
async def cut_webapp_database(lab: Lab) -> Mark:
    """A webapp follows no map any more: it goes on with the one it has."""
    name = lab.random.choice(lab.running("webapp")).name
    mark = await begin(lab, "cut-webapp-database", [name])
    await _cut(lab, name, (DATABASE,), 3.0)
    return healed(mark)


@nemesis("swizzle", DATABASE, UPSTREAM, LINK)
async def swizzle(lab: Lab) -> Mark:
    """Several cuts of a set of coreapps one by one, healed in another order (FoundationDB's)."""
    names = lab.random.sample([p.name for p in lab.running("coreapp")], 2)
    mark = await begin(lab, "swizzle", names)
    cuts = [(name, net) for name in names for net in (DATABASE, UPSTREAM, LINK)]
    lab.random.shuffle(cuts)
    for name, net in cuts:
        lab.network.cut(name, net)
        await asyncio.sleep(0.3)
    lab.random.shuffle(cuts)
    for name, net in cuts:
        lab.network.heal(name, net)
        await asyncio.sleep(0.3)
    return healed(mark)


async def _cut(lab: Lab, name: str, nets: tuple[str, ...], seconds: float) -> None:
    for net in nets:
        lab.network.cut(name, net)
    try:
        await asyncio.sleep(seconds)
    finally:
        for net in nets:
            lab.network.heal(name, net)
