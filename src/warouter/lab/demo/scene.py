"""The cluster of a demo, with an operator's means: read owners, kill a coreapp, add coreapps.

Either a cluster of the demo's own, gone afterwards, or one that ``warouter up`` runs; there only
what the demo has added is taken away again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from warouter.check.postgres_version import described
from warouter.cluster.shardmap import ShardMap
from warouter.config import Settings, load
from warouter.errors import CommandError
from warouter.lab.demo.seen import EpochStart
from warouter.lab.demo.watch import DoubtWatch
from warouter.local.cluster import Cluster
from warouter.local.description import read_description
from warouter.local.options import EMULATOR, UpOptions
from warouter.local.process import Process
from warouter.local.seed import SERVER_VERSION
from warouter.store.database import create_pool
from warouter.store.nodes import read_map, read_rows

LOOK_SECONDS = 0.02
# Of the demo's own cluster: Meta's side answers as it does, to a number of the higher level, and
# what is in doubt waits seconds instead of a minute. That is short for Meta, and right here: a
# request reaches the simulator at once or never.
DOUBT_SECONDS = "3"
FAULTS = ("level=1000", "latency_ms=50", "latency_most_ms=250")
_OWNERS = """
select slot, extract(epoch from clock_timestamp() - at)::float8 as age_s, epoch from owner_log
 where at > clock_timestamp() - make_interval(secs => $1)"""


class Victim(msgspec.Struct, frozen=True):
    """A coreapp to kill, with the slots that it owns and their epochs."""

    name: str
    pid: int
    owned: dict[int, int]


class Scene:
    """A running cluster. ``add_coreapps`` returns the names of the new ones once they are ready.

    ``lasting``: it goes on after the demo, so that what was set is to be set back.
    """

    def __init__(
        self,
        describe: Callable[[], Mapping[str, Any]],
        add_coreapps: Callable[[int], Awaitable[list[str]]],
        pool: asyncpg.Pool,
        settings: Settings,
        *,
        folder: Path,
        lasting: bool,
    ) -> None:
        self.describe = describe
        self.add_coreapps = add_coreapps
        self.lease = settings.timing.lease
        # So long a message in doubt may wait for its policy; None where nothing can be in doubt.
        self.window = settings.cloud.doubt_seconds if settings.upstream == "cloud" else None
        self.folder = folder
        self.lasting = lasting
        self._pool = pool

    @property
    def local(self) -> bool:
        """False if all processes are on other machines or in other containers: the demo kills none
        of them then, and starts none.
        """
        return bool(self.describe()["processes"])

    async def about_postgres(self) -> str:
        """A sentence about the PostgreSQL that runs."""
        version = str(await self._pool.fetchval(SERVER_VERSION))
        embedded = any(p["role"] == "postgres" for p in self.describe()["processes"])
        return described(version, embedded=embedded)

    async def map(self) -> ShardMap:
        return await read_map(self._pool)

    def doubts(self) -> DoubtWatch:
        return DoubtWatch(self._pool)

    async def owners(self, since: float) -> list[EpochStart]:
        """Every owner that a slot got after ``since`` (monotonic s)."""
        rows = await self._pool.fetch(_OWNERS, time.monotonic() - since)
        now = time.monotonic()
        return [EpochStart(row["slot"], now - row["age_s"], row["epoch"]) for row in rows]

    async def victim(self) -> Victim:
        """The coreapp with most slots, of those that ``warouter up`` runs and restarts."""
        current = await self.map()
        children = {p["pid"]: p for p in self.describe()["processes"] if p["role"] == "coreapp"}
        victims = [
            Victim(
                children[row["pid"]]["name"],
                row["pid"],
                {s.slot: s.epoch for s in current.slots if s.owner == row["incarnation"]},
            )
            for row in await read_rows(self._pool)
            if row["pid"] in children and row["role"] == "coreapp"
        ]
        best = max(victims, key=lambda v: len(v.owned), default=None)
        if best is None or not best.owned:
            raise CommandError("No coreapp of this cluster owns a slot: see `warouter status`.")
        return best

    async def settled(self, seconds: float, beyond: Mapping[int, int] | None = None) -> ShardMap:
        """The shard map once nothing moves and every slot in ``beyond`` has a newer epoch."""
        newer = beyond or {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    current = await self.map()
                    moved = all(current.slots[slot].epoch > e for slot, e in newer.items())
                    if moved and current.settled:
                        return current
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError as error:
            raise CommandError(
                f"The slots had no settled owners after {seconds:g} s: see the logs of the masters."
            ) from error


def kill(victim: Victim) -> None:
    """Send SIGKILL to this pid; returns when nothing of the process runs any more."""
    try:
        os.kill(victim.pid, signal.SIGKILL)
    except OSError as error:
        raise CommandError(f"{victim.name} cannot be killed: {error.strerror}.") from error


@asynccontextmanager
async def own_cluster(upstream: str, keep: bool) -> AsyncIterator[Scene]:
    """A cluster as ``warouter up`` starts it, on free ports and in a folder of its own."""
    folder = _new_folder()
    cluster = Cluster(_own(folder, upstream))
    stop = asyncio.Event()
    running: asyncio.Task[None] | None = None
    try:
        await cluster.start()
        running = asyncio.create_task(cluster.run(stop), name="cluster")

        async def add(count: int) -> list[str]:
            return [process.name for process in await cluster.add_coreapps(count)]

        async with _scene(cluster.description, add, folder, lasting=False) as scene:
            yield scene
    finally:
        stop.set()
        if running is not None:
            await asyncio.gather(running, return_exceptions=True)
        await cluster.stop()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Scene]:
    """The cluster of a live ``warouter up``; added coreapps end with the demo."""
    if not read_description(folder).get("environment"):
        raise CommandError(
            f"No cluster runs on {folder}: start `warouter up --data-dir {folder}` first,"
            " or omit --data-dir, and the demo starts a cluster of its own."
        )
    added: list[Process] = []

    def describe() -> Mapping[str, Any]:
        return read_description(folder)

    async def add(count: int) -> list[str]:
        first = len(added) + 1
        new = [_coreapp(folder, n) for n in range(first, first + count)]
        added.extend(new)
        await asyncio.gather(*(process.start() for process in new))
        return [process.name for process in new]

    try:
        async with _scene(describe, add, folder, lasting=True) as scene:
            yield scene
    finally:
        await asyncio.gather(*(process.stop() for process in added))


def _own(folder: Path, upstream: str) -> UpOptions:
    if upstream != EMULATOR:
        return UpOptions(data_dir=folder, port=0, upstream=upstream)
    seconds = os.environ.get("WAROUTER_CLOUD_DOUBT_SECONDS") or DOUBT_SECONDS
    return UpOptions(
        data_dir=folder,
        port=0,
        upstream=upstream,
        environment={"WAROUTER_CLOUD_DOUBT_SECONDS": seconds},
        emulator_faults=FAULTS,
    )


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="warouter-demo-"))
    # PostgreSQL may have to run as another account, which must get through to its own folder.
    folder.chmod(0o711)
    return folder


def _coreapp(folder: Path, number: int) -> Process:
    arguments = ["coreapp", "--data-dir", str(folder)]
    outer = {
        k: v for k, v in os.environ.items() if not k.startswith(("WA_", "WAROUTER_", "NOTIFY"))
    }
    return Process(f"demo-coreapp-{number}", "coreapp", arguments, outer, folder)


@asynccontextmanager
async def _scene(
    describe: Callable[[], Mapping[str, Any]],
    add: Callable[[int], Awaitable[list[str]]],
    folder: Path,
    *,
    lasting: bool,
) -> AsyncIterator[Scene]:
    settings = load(describe()["environment"])
    try:
        pool = await create_pool(settings, "warouter demo", 2)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise CommandError(
            f"The cluster's database does not answer ({error or type(error).__name__}):"
            " is `warouter up` still running?"
        ) from error
    try:
        yield Scene(describe, add, pool, settings, folder=folder, lasting=lasting)
    finally:
        await pool.close()


def started_ago() -> float:
    """The age of this process in seconds, its imports included."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    ticks_after_boot = int(fields[19])  # starttime; the text after the name begins with field 3
    now = float(Path("/proc/uptime").read_text().split()[0])
    return max(0.0, now - ticks_after_boot / os.sysconf("SC_CLK_TCK"))
