"""The peers' servers: started here on free ports, with their data below the bench's folder.

Two are there already: PostgreSQL is the cluster's own, RabbitMQ is the machine's service.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.harness import programs

START_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_NATS = """\
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{folder}/jetstream", sync_interval: always }}
"""


class ServerMissing(Exception):
    """There is no such program, or no such service on this machine."""


@asynccontextmanager
async def nats(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """The port and the pid of a nats-server that syncs before it acknowledges."""
    port, config = _free_port(), folder / "nats.conf"
    config.write_text(_NATS.format(port=port, folder=folder))
    async with _running(folder, port, "nats-server", "-c", str(config)) as pid:
        yield str(port), pid


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """The port and the pid of a redis-server that syncs before it answers.

    Neither snapshots nor rewrites of its log disturb it.
    """
    port = _free_port()
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "auto-aof-rewrite-percentage": "0",
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    async with _running(folder, port, "redis-server", *arguments) as pid:
        yield str(port), pid


async def listens(port: int) -> bool:
    """Whether something takes connections there."""
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


def rabbitmq_pids() -> list[int]:
    """The Erlang machines that run RabbitMQ here."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"beam.smp") and any(b"rabbit" in word for word in words):
                found.append(int(folder.name))
    return found


@asynccontextmanager
async def _running(folder: Path, port: int, program: str, *arguments: str) -> AsyncIterator[int]:
    path = programs.find(program)
    if path is None:
        raise ServerMissing(program)
    log = folder / f"{program}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            path, *arguments, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        await _wait_for(process, port, log)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _wait_for(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.returncode is None:
                if await listens(port):
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    raise SystemExit(f"{log.stem} did not start: {_last_line(log)}")


def _last_line(log: Path) -> str:
    return log.read_text(errors="replace").strip().rpartition("\n")[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
