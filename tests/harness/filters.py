"""Filters on sockets, by which the simulator cuts its line: some kernels keep them for root."""

from __future__ import annotations

import socket
from math import inf
from typing import Any

import pytest

from warouter.lab.simulator.cloud.graph.line import GraphLine

FILTERS = "filters"  # what a fault needs that cuts the line


def may_filter() -> bool:
    """True if this account may have the kernel drop what comes to its sockets."""
    line: GraphLine[Any] = GraphLine()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line.listen_on([listener])
        try:
            line.cut(inf)
        except ValueError:
            return False
    return True


needs_filters = pytest.mark.skipif(
    not may_filter(), reason="not run (needs root, to filter sockets on this kernel)"
)
