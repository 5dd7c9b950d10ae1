"""From a 201 at the client to the message's arrival at the upstream, at a steady pace.

Both times are of the monotonic clock of one host. A message that reaches the upstream before its
client has read the 201 counts with the negative time that it is.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.e2e.extent import Extent
from bench.e2e.rounds import rounds
from bench.e2e.site import LOUD, Found, Site, site

PER_SECOND = 1_000.0
CONNECTIONS = 64
SECONDS = 8.0


async def measure(folder: Path, until: float, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part, and what was wrong."""
    async with site(folder, extent.build) as here:
        await here.faults(**LOUD)
        await _round(here, 1.0)
        found = await rounds(
            {"p99_ms": lambda: _round(here, SECONDS)}, until, extent.rounds, what="lag_p99_ms"
        )
        wrong = await here.check("send lag")
    lags = {p: round(found.median("p99_ms", f"lag_{p}_ms"), 2) for p in ("p50", "p99")}
    return {
        "send_lag_ms": lags,
        "foreign_cores": {"send_lag": found.foreign_cores},
        "noisy_rounds": {"send_lag": found.noisy},
    }, wrong


async def _round(here: Site, seconds: float) -> Found:
    began = time.monotonic()
    order = here.order(CONNECTIONS, seconds, per_second=PER_SECOND, times=True)
    found = await here.measured(order)
    record = await here.simulator("GET", f"record?since={began!r}")
    arrived = {message_id: at for at, _slot, message_id, _epoch in record["arrivals"]}
    lags = sorted(arrived[i] - at for i, at in found["times"].items() if i in arrived)
    found["lag_p50_ms"] = lags[len(lags) // 2] * 1000
    found["lag_p99_ms"] = lags[len(lags) * 99 // 100] * 1000
    return found
