"""Cuts: a process that runs and cannot be reached, or cannot reach what it needs."""

from __future__ import annotations

import asyncio

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import (
    Act,
    a_webapp,
    an_owner,
    fault,
    fence_as_drawn,
    nemesis,
    repeated,
    the_leader,
    two_coreapps,
)
from tests.campaigns.chaos.network import DATABASE, LINK, NETS, UPSTREAM


def cut(least: float, most: float, *nets: str) -> Act:
    """The victim from these networks, for so many seconds."""

    async def apart(lab: Lab, mark: Mark) -> None:
        (name,) = mark.victims
        for net in nets:
            lab.network.cut(name, net)
        try:
            await asyncio.sleep(lab.random.uniform(least, most))
        finally:
            for net in nets:
                lab.network.heal(name, net)

    return apart


_WITH_UPSTREAM = fence_as_drawn(cut(2.5, 4.0, DATABASE))
_FLAPS = repeated(6, cut(0.2, 0.2, DATABASE), pause=0.2)
FAULTS = (
    # Beyond the lease.
    fault("cut-owner-database", _WITH_UPSTREAM, DATABASE, of=[an_owner]),
    # For less than the lease: TCP's second retransmission (after 0.6 s) gets through. The third
    # comes after 1.4 s, so that a longer cut may be a silence as long as the lease.
    fault("cut-owner-database-short", cut(0.2, 0.45, DATABASE), DATABASE, of=[an_owner]),
    # An owner that lives and cannot send, or that nobody reaches, is to be replaced.
    fault("cut-owner-upstream", cut(5.0, 5.0, UPSTREAM), UPSTREAM, of=[an_owner]),
    fault("cut-owner-links", cut(5.0, 5.0, LINK), LINK, of=[an_owner]),
    fault("isolate-owner", cut(2.5, 4.0, *NETS), *NETS, of=[an_owner]),
    fault("cut-leader", cut(2.0, 4.0, DATABASE), DATABASE, of=[the_leader]),
    fault("flap-owner-database", _FLAPS, DATABASE, of=[an_owner]),
    # It follows no map any more, and goes on with the one it has.
    fault("cut-webapp-database", cut(3.0, 3.0, DATABASE), DATABASE, of=[a_webapp]),
)


@nemesis(LINK, of=[an_owner])
async def cut_owner_from_a_webapp(lab: Lab, mark: Mark) -> None:
    """One webapp does not reach a live owner, the other one does: it relays."""
    (webapp,) = await a_webapp(lab)
    lab.network.cut_pair(webapp, *mark.victims)
    try:
        await asyncio.sleep(5.0)
    finally:
        lab.network.heal_pair(webapp, *mark.victims)


@nemesis(*NETS, of=[two_coreapps])
async def swizzle(lab: Lab, mark: Mark) -> None:
    """Several cuts of a set of coreapps one by one, healed in another order (FoundationDB's)."""
    cuts = [(name, net) for name in mark.victims for net in NETS]
    for change in (lab.network.cut, lab.network.heal):
        lab.random.shuffle(cuts)
        for name, net in cuts:
            change(name, net)
            await asyncio.sleep(0.3)
