"""What owners take for a proof that webhooks come in, when nothing comes in any more."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

import pytest

from tests.campaigns.simulation import world
from tests.campaigns.simulation.cloud.world import CloudWorld
from tests.campaigns.simulation.faults import Faults

SEEDS = 2
BEGINS = 8.0  # true seconds


def lose_all(faults: Faults, random: Random) -> bool:
    """The line goes: every owner dies with requests out. Of some of those a status comes in just
    before Meta reaches no listener any more; nobody reaches Meta for a while.
    """
    cluster: Any = faults.world
    meta, clock = cluster.upstream, cluster.clock
    last = faults.healed + 3.0  # that somebody writes
    cluster._inbound = 0.0
    clock.at(last - 0.5, setattr, meta, "loses", 1.0)
    hold = partial(meta.switch, hold_webhooks_s=4.0 * cluster.spans.base - 0.5)
    clock.at(last + 0.5, hold)
    clock.at(last + 0.5, setattr, meta, "loses", 0.0)
    clock.at(last + 0.1, setattr, meta, "refuses", 1)
    clock.at(last + 0.8 * cluster.spans.base, setattr, meta, "refuses", 0)
    for name in cluster.coreapps:
        clock.at(last + 0.1, cluster.kill, name)
        clock.at(last + 8.0, cluster.start, name)
    return True


@pytest.mark.parametrize("seed", range(1, 1 + SEEDS))
def test_statuses_from_before_a_doubt_prove_nothing(seed: int) -> None:
    """They are read after it began, by the next owner: their messages are no cohort."""

    def made(*given: Any) -> CloudWorld:
        return CloudWorld(*given, policy="resend", way={"spread_ms": 500})

    result = world.run(seed, BEGINS + 4.0, plan=((BEGINS, lose_all),), world=made)
    assert result.violations == []
