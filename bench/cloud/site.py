"""A cluster whose upstream is the simulator's Cloud door, over TLS and as slow as Meta's servers.

It is ``bench.e2e.site`` with another upstream: what is asked of a site holds here as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.e2e.site import ENVIRONMENT, PRODUCT, Found, Site, site
from bench.order import Command
from tests.campaigns.chaos.doors.requests import Whole
from tests.harness.wait import soon
from warouter.local.cloud_emulator import PREFIX
from warouter.local.options import EMULATOR
from warouter.tls.certificate import self_signed

# From the acceptance of a message to the answer: Meta's own load test reckons with 350 ms.
LATENCY = {"latency_ms": 80, "latency_most_ms": 600}
# Statuses in a POST, and POSTs at a time: as Meta is likely to send them, or in the fewest POSTs.
ONE_EACH = {"batch": 1, "posts": 500}
PACKED = {"batch": 100, "posts": 16}
UNLIMITED = {"level": 0, "pair_s": 0}
FAST = {"WAROUTER_CLOUD_RATE": "20000"}  # messages/s: more than there will be
WARM_RATE, WARM_SECONDS = 50.0, 5.0  # the first messages of each owner make plans and connections
LOAD_CONNECTIONS = 64
CERTIFICATE = "graph.crt"  # of the door, in the site's folder


@asynccontextmanager
async def cloud_site(
    folder: Path,
    shards: int,
    switches: Mapping[str, Any],
    environment: Mapping[str, str] = {},
    **more: Any,
) -> AsyncIterator[Site]:
    """So many owners and one spare coreapp; ``switches`` are those of the door from the start,
    which else sends a status a POST; ``more`` are options of the local cluster.
    """
    certificate, key = certified(folder)
    options: dict[str, Any] = {
        "shards": shards,
        "coreapps": shards + 1,
        "environment": {**ENVIRONMENT, "SSL_CERT_FILE": certificate, **environment},
        "upstream": EMULATOR,
        "emulator_tls": (certificate, key),
        "emulator_faults": as_arguments({**LATENCY, **ONE_EACH, **switches}),
        **more,
    }
    async with site(folder, **options) as here:
        # A webhook that was not answered in time comes again, after later ones.
        await here.load.ask(Command(last_is_enough=True))
        yield here


def below(folder: Path, name: str) -> Path:
    """A folder of its own, that the database's account may pass through."""
    found = folder / name
    found.mkdir(mode=0o711)
    return found


def secret(variables: Mapping[str, str], name: str) -> str:
    """What the file of TOKEN, APP_SECRET or VERIFY_TOKEN holds."""
    return Path(variables[f"{PREFIX}{name}_FILE"]).read_text().strip()


def certified(folder: Path) -> tuple[str, str]:
    """Paths of a certificate for loopback, and of its key."""
    paths = folder / CERTIFICATE, folder / "graph.key"
    for path, pem in zip(paths, self_signed("localhost", ["localhost", "127.0.0.1"]), strict=True):
        path.write_bytes(pem)
    return str(paths[0]), str(paths[1])


def as_arguments(switches: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}={json.dumps(value)}" for name, value in switches.items())


async def warm(here: Site, level: float = 0.0) -> None:
    """Each owner has sent something, and knows the number's level, if it is to go by that."""
    order = here.order(LOAD_CONNECTIONS, WARM_SECONDS, per_second=WARM_RATE)
    if level:

        async def known() -> bool:
            return bool(await here.database.fetchval("select level from cloud_number") == level)

        await soon(known)
    await here.run(order)
    await here.drained()


async def requests(here: Site, since: float = float("-inf")) -> Whole:
    """All requests that began after that moment of the monotonic clock, and what the door says."""
    return await recorded(here, here.cluster.control_url, since)


async def recorded(here: Site, control_url: str, since: float = float("-inf")) -> Whole:
    """The same of any door."""
    async with here.http.get(f"{control_url}/record?since={since!r}") as answer:
        return msgspec.json.decode(await answer.read(), type=Whole)


def begun(whole: Whole) -> dict[str, float]:
    """When the first request of each message began, by id."""
    found: dict[str, float] = {}
    for request in whole.requests:
        found.setdefault(request.id, request.begun)
    return found


def taken(whole: Whole) -> dict[str, float]:
    """When each message was taken, by id: its statuses are due that much later."""
    return {one.id: one.accepted for one in whole.requests if one.accepted is not None}


def cpu_us(found: Found) -> dict[str, float]:
    """Of a message, after ``Site.measured``: of warouter's own processes by kind and in all, and of
    PostgreSQL, which ``product`` leaves out.
    """
    kinds = {
        kind: sum(us for name, us in found["cpu"].items() if name.startswith(kind))
        for kind in PRODUCT
    }
    rounded = {kind: round(us, 1) for kind, us in kinds.items()}
    return {
        "product": round(sum(kinds.values()), 1),
        **rounded,
        "postgres": found["cpu"]["postgres"],
    }


def spread(seconds: list[float], *, unit: float = 1000.0) -> dict[str, float]:
    """In milliseconds unless told; zeros if there are none."""
    ordered = sorted(seconds) or [0.0]
    return {
        "p50": round(ordered[len(ordered) // 2] * unit, 2),
        "p99": round(ordered[len(ordered) * 99 // 100] * unit, 2),
        "most": round(ordered[-1] * unit, 2),
    }


async def owners(here: Site) -> dict[int, list[int]]:
    """The slots of each owner, by its process id."""
    rows = await here.database.fetch(
        "select n.pid, array_agg(s.slot) as slots from slot s"
        " join node n on n.incarnation = s.owner group by 1"
    )
    return {row["pid"]: row["slots"] for row in rows}


def now() -> float:
    """The clock of the load generator and of the door."""
    return time.monotonic()
