"""Which faults are drawn, how often, and all of them by name."""

from __future__ import annotations

from tests.campaigns.simulation import nemeses
from tests.campaigns.simulation.faults import Faults, Kind

# As often as they stand here.
DRAWN: tuple[Kind, ...] = (
    Faults.kill_coreapp,
    Faults.kill_coreapp,
    Faults.pause_coreapp,
    Faults.pause_coreapp,
    Faults.kill_master,
    Faults.pause_master,
    Faults.leave,
    Faults.cut_coreapp,
    Faults.cut_coreapp,
    Faults.cut_master,
    Faults.cut_webapp,
    Faults.cut_owner_from_webapp,
    Faults.cut_owner_from_webapps,
    Faults.silent_upstream,
    Faults.cut_owner_from_upstream,
    Faults.freeze_upstream,
    Faults.slow_link,
    Faults.slow_link,
    Faults.busy_cut,
    Faults.busy_cut,
    Faults.swizzle,
    Faults.unknown_outcome,
    Faults.unknown_outcome,
    Faults.late_statement,
    Faults.late_statement,
    Faults.restart_database,
    Faults.stall_database,
    Faults.disconnect_upstream,
    Faults.throttle,
    Faults.refuse_callbacks,
    Faults.set_shards,
    Faults.set_shards,
    Faults.give_up_shards,
    Faults.replay_letters,
    nemeses.step_database_clock,
    nemeses.step_node_clock,
    nemeses.fail_statements,
    nemeses.cannot_write,
    nemeses.slow_commits,
    nemeses.lose_answers,
    nemeses.break_words,
    nemeses.hang_callbacks,
)
BY_NAME: dict[str, Kind] = {kind.__name__: kind for kind in (*DRAWN, *nemeses.NEMESES)}
