"""Cuts: a process that runs and cannot be reached, or cannot reach what it needs."""

from __future__ import annotations

import asyncio

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
from tests.campaigns.chaos.network import DATABASE, LINK, UPSTREAM


@nemesis(DATABASE, of=[an_owner])
async def cut_owner_database(lab: Lab, mark: Mark) -> None:
    """An owner without database but with the upstream, beyond the lease; fence as drawn."""
    await perhaps_no_fence(lab, mark)
    await _cut(lab, mark, (DATABASE,), lab.random.uniform(2.5, 4.0))


@nemesis(DATABASE, of=[an_owner])
async def cut_owner_database_short(lab: Lab, mark: Mark) -> None:
    """For less than the lease: TCP's second retransmission (after 0.6 s) gets through.

    The third comes after 1.4 s, so that a longer cut may be a silence as long as the lease.
    """
    await _cut(lab, mark, (DATABASE,), lab.random.uniform(0.2, 0.45))


@nemesis(UPSTREAM, of=[an_owner])
async def cut_owner_upstream(lab: Lab, mark: Mark) -> None:
    """An owner that lives and cannot send: it is to be replaced."""
    await _cut(lab, mark, (UPSTREAM,), 5.0)


@nemesis(LINK, of=[an_owner])
async def cut_owner_links(lab: Lab, mark: Mark) -> None:
    """An owner that no webapp and no coreapp reaches: it is to be replaced."""
    await _cut(lab, mark, (LINK,), 5.0)


@nemesis(LINK, of=[an_owner])
async def cut_owner_from_a_webapp(lab: Lab, mark: Mark) -> None:
    """One webapp does not reach a live owner, the other one does: it relays."""
    (webapp,) = await a_webapp(lab)
    lab.network.cut_pair(webapp, *mark.victims)
    try:
        await asyncio.sleep(5.0)
    finally:
        lab.network.heal_pair(webapp, *mark.victims)


@nemesis(DATABASE, UPSTREAM, LINK, of=[an_owner])
async def isolate_owner(lab: Lab, mark: Mark) -> None:
    """An owner cut off from everything."""
    await _cut(lab, mark, (DATABASE, UPSTREAM, LINK), lab.random.uniform(2.5, 4.0))


@nemesis(DATABASE, of=[the_leader])
async def cut_leader(lab: Lab, mark: Mark) -> None:
    """The leading master without database."""
    await _cut(lab, mark, (DATABASE,), lab.random.uniform(2.0, 4.0))


@nemesis(DATABASE, of=[an_owner])
async def flap_owner_database(lab: Lab, mark: Mark) -> None:
    """200 ms on, 200 ms off."""
    for _ in range(6):
        await _cut(lab, mark, (DATABASE,), 0.2)
        await asyncio.sleep(0.2)


@nemesis(DATABASE, of=[a_webapp])
async def cut_webapp_database(lab: Lab, mark: Mark) -> None:
    """A webapp follows no map any more: it goes on with the one it has."""
    await _cut(lab, mark, (DATABASE,), 3.0)


@nemesis(DATABASE, UPSTREAM, LINK, of=[two_coreapps])
async def swizzle(lab: Lab, mark: Mark) -> None:
    """Several cuts of a set of coreapps one by one, healed in another order (FoundationDB's)."""
    cuts = [(name, net) for name in mark.victims for net in (DATABASE, UPSTREAM, LINK)]
    for change in (lab.network.cut, lab.network.heal):
        lab.random.shuffle(cuts)
        for name, net in cuts:
            change(name, net)
            await asyncio.sleep(0.3)


async def _cut(lab: Lab, mark: Mark, nets: tuple[str, ...], seconds: float) -> None:
    (name,) = mark.victims
    for net in nets:
        lab.network.cut(name, net)
    try:
        await asyncio.sleep(seconds)
    finally:
        for net in nets:
            lab.network.heal(name, net)
