"""The default numbers of processes of a cluster on one machine."""

from __future__ import annotations

import os

_COREAPPS = 3
_CORES_A_WEBAPP = 4  # two of them are for what stands behind it: coreapps and PostgreSQL
_MOST_WEBAPPS = 16


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def webapps_for(cores: int) -> int:
    """One webapp up to seven cores, then one more for each four."""
    return min(max(1, cores // _CORES_A_WEBAPP), _MOST_WEBAPPS)


def coreapps_for(shards: int) -> int:
    """One coreapp for each shard and a spare, at least three."""
    return max(_COREAPPS, shards + 1)
