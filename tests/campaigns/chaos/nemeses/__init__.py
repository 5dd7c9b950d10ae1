"""All faults, by name."""

from __future__ import annotations

from tests.campaigns.chaos.nemeses import (
    database,
    evidence,
    hardship,
    names,
    network,
    process,
    requests,
    shards,
    upstream,
)
from tests.campaigns.chaos.nemesis import Nemesis

_MODULES = (database, evidence, hardship, names, network, process, requests, shards, upstream)
NEMESES: dict[str, Nemesis] = {
    each.name: each
    for module in _MODULES
    for each in (*getattr(module, "FAULTS", ()), *vars(module).values())
    if isinstance(each, Nemesis)
}
