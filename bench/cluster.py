"""A whole cluster in a process of its own: of the build that ``PYTHON`` has.

``PYTHON -m bench.cluster`` is run from this clone by the interpreter of another.

So that build is measured by this one's bench: its own interpreter, sources, extensions,
migrations and simulator, and nothing of it in the measuring process. It ends with its standard
input. As other builds run this file, it wants little of the local cluster.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from warouter.local.cluster import Cluster
from warouter.local.options import Placement, UpOptions


class Wanted(msgspec.Struct):
    """What is started; ``own`` are variables of single processes, by their name."""

    folder: str
    shards: int
    coreapps: int | None
    webapps: int
    masters: int
    upstream: str
    environment: dict[str, str]
    own: dict[str, dict[str, str]]


class Change(msgspec.Struct):
    """What to do; without coreapps to add only the description is asked for."""

    add_coreapps: int = 0


def cluster_of(wanted: Wanted) -> Cluster:
    """Plain HTTP on a free port."""

    def place(name: str, _role: str) -> Placement:
        return Placement(environment=wanted.own.get(name, {}), by_fork=False)

    options: dict[str, Any] = {
        name: getattr(wanted, name)
        for name in ("shards", "coreapps", "webapps", "masters", "upstream", "environment")
    }
    folder = Path(wanted.folder)
    return Cluster(UpOptions(data_dir=folder, port=0, tls=False, place=place, **options))


async def main(wanted: str) -> None:
    """Start it, say the port, and answer each line with the description until there are no more."""
    for number in (signal.SIGINT, signal.SIGTERM):  # whoever started this ends it by its input
        asyncio.get_running_loop().add_signal_handler(number, lambda: None)
    cluster = cluster_of(msgspec.json.decode(wanted, type=Wanted))
    try:
        await cluster.start()
        _say(cluster.port)
        await _serve(cluster)
    finally:
        await cluster.stop()


async def _serve(cluster: Cluster) -> None:
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        change = msgspec.json.decode(line, type=Change)
        if change.add_coreapps:
            await cluster.add_coreapps(change.add_coreapps)
        _say(cluster.description())


def _say(answer: object) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
