"""The memory of a connection to the Graph API, over TLS, as an owner opens and keeps it.

A process that does nothing else takes so many from the door, as when each carries a request.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import uvloop

from bench import machine
from bench.cloud.extent import Extent
from bench.cloud.site import CERTIFICATE, cloud_site
from bench.e2e.site import Found
from warouter.upstream.cloud.graph.connections import ConnectionPool, Origin, client_context

COUNT = 512
SEND_BYTES = 128 << 10
_KIB = 1024.0
_AT_A_TIME = 16  # handshakes: the door gives a connection 3 s


async def measure(folder: Path, _extent: Extent) -> tuple[Found, list[str]]:
    """KiB of each; what could go wrong raises."""
    async with cloud_site(folder, 1, {}) as here:
        cloud = here.cluster.settings.cloud
        assert cloud is not None
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __spec__.name, cloud.base_url, str(folder / CERTIFICATE)),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        return {"connections": {"each_kib": msgspec.json.decode(said, type=float)}}, []


async def each_kib(url: str, certificate: str) -> float:
    """Resident KiB of each of so many connections; ``certificate`` is the door's, in PEM."""
    pool = ConnectionPool(
        Origin.of(url),
        send_bytes=SEND_BYTES,
        limit=COUNT,
        tls=client_context(certificate),
    )
    wires = [await pool.take()]  # the first one loads what all share
    before = machine.resident_mib(os.getpid())
    while len(wires) < COUNT:
        count = min(_AT_A_TIME, COUNT - len(wires))
        wires += await asyncio.gather(*(pool.take() for _ in range(count)))
    more = machine.resident_mib(os.getpid()) - before
    pool.close()
    return round(more * _KIB / (COUNT - 1), 1)


if __name__ == "__main__":
    print(uvloop.run(each_kib(sys.argv[1], Path(sys.argv[2]).read_text())))
