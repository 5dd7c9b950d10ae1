"""Which faults are drawn, how often, and all of them by name."""

from __future__ import annotations

from tests.campaigns.simulation.faults import Faults, Kind
from tests.campaigns.simulation.nemeses import NEMESES

_TWICE: tuple[Kind, ...] = (
    *(Faults.kill_coreapp, Faults.pause_coreapp, Faults.cut_coreapp, Faults.slow_link),
    *(Faults.busy_cut, Faults.unknown_outcome, Faults.late_statement, Faults.set_shards),
)
BY_NAME: dict[str, Kind] = {
    name: kind
    for name, kind in vars(Faults).items()
    if not name.startswith("_") and kind.__annotations__["return"] == "bool"
} | {kind.__name__: kind for kind in NEMESES}
DRAWN: tuple[Kind, ...] = (*BY_NAME.values(), *_TWICE)
