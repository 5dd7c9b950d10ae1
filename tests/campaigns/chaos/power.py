"""Power cuts: PostgreSQL on a disk whose cache is lost, under a whole cluster and its traffic.

``python -m tests.campaigns.chaos.power [--cuts 20] [--messages 3000] [--control]``. Twice the same:
the product as it is, which must lose nothing, and the control with ``synchronous_commit=off``,
which must lose acknowledged messages, or the test could not fail; with ``--control`` only that.
Prints a table and, as its last line, one JSON object. Exit code 1 when the product lost something
or when the control did not; 3 with "not run" when a tool is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from tests.campaigns.chaos.machine import children_of, fresh_folder
from tests.harness import programs
from tests.harness.business import Business
from tests.harness.facts import Facts
from warouter import message_id
from warouter.local.cluster import Cluster
from warouter.local.options import UpOptions
from warouter.local.postgres import Postgres
from warouter.store.database import connect

RECIPIENTS = 150
CONTROL_CUTS = 4
CONTROL = "synchronous_commit = off"
# Sessions pin the setting, so it is changed where nobody pins it: in the transaction itself.
_FORGET = """
create function forget() returns trigger language plpgsql as $$
begin perform set_config('synchronous_commit', 'off', true); return null; end $$;
create trigger forget before insert on message for each statement execute function forget()"""
RESUME_SECONDS = 60.0
NOT_RUN = 3
_MISSING = """
select count(*) from unnest($1::bytea[]) as acked(id)
 where not exists (select 1 from message m where m.id = acked.id)"""


class Figures(msgspec.Struct, kw_only=True):
    """What one run printed. ``lost`` are acknowledged messages that the database does not have."""

    name: str
    cuts: int = 0
    acknowledged: int = 0
    lost: int = 0
    unsent: int = 0
    errors: int = 0
    resumed_max_s: float = 0.0
    seconds: float = 0.0
    wrong: list[str] = []


class Disk:
    """The volatile disk, mounted at ``mount``; ``cut`` takes its power and PostgreSQL's."""

    def __init__(self, backing: Path, mount: Path) -> None:
        self._backing = backing
        self.mount = mount
        self._server: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.mount.mkdir(exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "tests.campaigns.chaos.volatile",
            self._backing,
            self.mount,
        ]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        if not self._server.stdout.readline():  # one line once it is mounted
            raise RuntimeError("the volatile disk was not mounted")

    def cut(self, postgres: Postgres) -> None:
        """What was not fsynced is gone with the first signal; the rest only clears away."""
        assert self._server is not None
        self._server.kill()
        os.kill(postgres.pid, signal.SIGSTOP)  # it starts no more of them
        for pid in children_of(postgres.pid):
            os.kill(pid, signal.SIGKILL)
        postgres.stop(signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            assert self._server.stdout is not None
            self._server.stdout.close()
            self._server = None
            unmount = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
            subprocess.run([*unmount, self.mount], check=True)


def missing_tool() -> str | None:
    """What this machine lacks, and which package brings it."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened (kernel module fuse; a container needs the device)"
    if os.geteuid() != 0 and programs.find("fusermount3") is None:
        return "fusermount3 is not there: apt-get install fuse3"
    try:
        import mfusepy  # noqa: F401
    except ImportError:
        return "the Python package mfusepy is not installed: make setup"
    except OSError:
        return "libfuse is not there: apt-get install fuse3"
    return None


async def run(figures: Figures, cuts: int, messages: int, *, control: bool = False) -> None:
    """One cluster through so many cuts, ``messages`` acknowledged before each."""
    began = time.monotonic()
    folder = fresh_folder("power")
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = Disk(folder / "disk", folder / "postgres")
        await asyncio.to_thread(_format, folder / "disk")
        stack.callback(disk.stop)
        await asyncio.to_thread(disk.start)
        cluster = Cluster(UpOptions(data_dir=folder, port=0, tls=False))
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        if control:
            await _forget(cluster)
        business = await stack.enter_async_context(Business(cluster))
        business.start(RECIPIENTS)
        for number in range(cuts):
            await _until(business, messages // 2)
            checkpoint = asyncio.create_task(_checkpoint(cluster, number % 2 == 1))
            await _until(business, messages - messages // 2)
            await _cut(cluster, disk, figures)
            await asyncio.gather(checkpoint, return_exceptions=True)  # cut off with the rest
            resumed = time.monotonic()
            await _until(business, 1)
            figures.resumed_max_s = max(figures.resumed_max_s, time.monotonic() - resumed)
            print(f"{figures.name}: {figures.cuts} cuts, {business.history.accepted} acknowledged")
        await business.stop()
        await _judge(cluster, business, figures, everything=not control)
    figures.seconds = time.monotonic() - began


async def _forget(cluster: Cluster) -> None:
    connection = await connect(cluster.settings, "control")
    await connection.execute(_FORGET)
    await connection.close()


async def _cut(cluster: Cluster, disk: Disk, figures: Figures) -> None:
    assert cluster.postgres is not None
    await asyncio.to_thread(disk.cut, cluster.postgres)
    await asyncio.to_thread(disk.start)
    await asyncio.to_thread(cluster.postgres.start)
    figures.cuts += 1


async def _checkpoint(cluster: Cluster, wanted: bool) -> None:
    """Every second cut falls after or into a checkpoint; the others replay all of the WAL."""
    if wanted:
        connection = await connect(cluster.settings, "checkpoint")
        try:
            await connection.execute("checkpoint")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return
        finally:
            connection.terminate()


async def _until(business: Business, more: int) -> None:
    async with asyncio.timeout(RESUME_SECONDS):
        await business.more(more)


async def _judge(
    cluster: Cluster, business: Business, figures: Figures, *, everything: bool
) -> None:
    """Every 201 against the database and the simulator; the product against all rules."""
    ids = [message_id.parse(i) for i in business.history.number]
    figures.acknowledged = len(ids)
    figures.errors = len(business.history.errors) + len(business.history.unknown)
    async with Facts(cluster) as facts:
        if everything:
            async with asyncio.timeout(RESUME_SECONDS):
                await business.all_called_back()
            figures.wrong = list(map(str, await facts.wrong(business)))
        figures.lost = await facts.connection.fetchval(_MISSING, ids)
    record = await business.record()
    sent = {i for some in record["ids"].values() for i in some}
    figures.unsent = sum(message_id.text_of(i) not in sent for i in ids)


def _format(folder: Path) -> None:
    """initdb below the volatile disk, on the real one: a thousand files need no cut."""
    server = Postgres(folder)
    server.start()
    server.stop()


def _table(rows: list[Figures]) -> str:
    heads = ("", "cuts", "acknowledged", "lost", "never sent", "errors", "resumed after, max s")
    lines = [heads] + [
        (r.name, r.cuts, r.acknowledged, r.lost, r.unsent, r.errors, f"{r.resumed_max_s:.2f}")
        for r in rows
    ]
    widths = [max(len(str(line[n])) for line in lines) for n in range(len(heads))]
    return "\n".join(
        "  ".join(str(cell).rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


async def both(arguments: argparse.Namespace) -> int:
    rows: list[Figures] = []
    if not arguments.control:
        rows.append(Figures(name="product"))
        await run(rows[-1], arguments.cuts, arguments.messages)
    rows.append(control := Figures(name=CONTROL))
    await run(control, CONTROL_CUTS, arguments.messages, control=True)
    failed = [r.name for r in rows if r is not control and (r.lost or r.unsent or r.wrong)]
    if not control.lost:
        failed.append("the control lost nothing: this test could not fail")
    for row in rows:
        for sentence in row.wrong:
            print(f"{row.name}: {sentence}")
    print(_table(rows))
    result: dict[str, Any] = {"failed": failed, "runs": rows}
    print(msgspec.json.encode(result).decode())
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=20, help="of the product's run (20)")
    parser.add_argument("--messages", type=int, default=3000, help="acknowledged before each cut")
    parser.add_argument("--control", action="store_true", help="only the run that must lose")
    arguments = parser.parse_args()
    lacks = missing_tool()
    if lacks is not None:
        print(f"power cuts: not run ({lacks})")
        return NOT_RUN
    return asyncio.run(both(arguments))


if __name__ == "__main__":
    sys.exit(main())
