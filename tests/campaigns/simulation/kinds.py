"""Which faults are drawn, how often, and all of them by name."""

from __future__ import annotations

from tests.campaigns.simulation.faults import Faults, Kind
from tests.campaigns.simulation.nemeses import NEMESES

_TIMES: dict[Kind, int] = {
    Faults.kill_coreapp: 2,
    Faults.pause_coreapp: 2,
    Faults.kill_master: 1,
    Faults.pause_master: 1,
    Faults.leave: 1,
    Faults.cut_coreapp: 2,
    Faults.cut_master: 1,
    Faults.cut_webapp: 1,
    Faults.cut_owner_from_webapp: 1,
    Faults.cut_owner_from_webapps: 1,
    Faults.silent_upstream: 1,
    Faults.cut_owner_from_upstream: 1,
    Faults.freeze_upstream: 1,
    Faults.slow_link: 2,
    Faults.busy_cut: 2,
    Faults.swizzle: 1,
    Faults.unknown_outcome: 2,
    Faults.late_statement: 2,
    Faults.restart_database: 1,
    Faults.stall_database: 1,
    Faults.disconnect_upstream: 1,
    Faults.throttle: 1,
    Faults.refuse_callbacks: 1,
    Faults.set_shards: 2,
    Faults.give_up_shards: 1,
    Faults.replay_letters: 1,
    **dict.fromkeys(NEMESES, 1),
}
DRAWN: tuple[Kind, ...] = tuple(kind for kind, times in _TIMES.items() for _ in range(times))
BY_NAME: dict[str, Kind] = {kind.__name__: kind for kind in DRAWN}
