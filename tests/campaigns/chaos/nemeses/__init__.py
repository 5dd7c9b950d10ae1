"""All faults, by name."""

from __future__ import annotations

from tests.campaigns.chaos.nemeses import (
    database,
    hardship,
    names,
    network,
    process,
    shards,
    upstream,
)
from tests.campaigns.chaos.nemesis import Nemesis

_MODULES = (database, hardship, names, network, process, shards, upstream)
NEMESES: dict[str, Nemesis] = {
    fault.name: fault
    for module in _MODULES
    for fault in vars(module).values()
    if isinstance(fault, Nemesis)
}
