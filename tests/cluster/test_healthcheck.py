"""``warouter healthcheck`` beside a real cluster: who lives, hangs, or lost its database; and
``warouter check`` and the line `trust` of ``warouter status`` on it while it is new.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from tests.cluster.conftest import PAIR, running
from tests.harness.frozen import frozen
from tests.harness.shell import command, printed
from tests.harness.wait import soon
from warouter.local.cluster import Cluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("healthcheck")]

ROLES = ("webapp", "coreapp", "master")


async def check(folder: Path, *more: str) -> tuple[int, str]:
    """Exit code and line."""
    result = await command(None, "healthcheck", "--data-dir", str(folder), *more)
    (line,) = result.output.splitlines()
    return result.exit_code, line


async def checked_by_a_process(folder: Path, *more: str) -> tuple[int, str]:
    """The same of a process, without a variable that says where the database is."""
    program = (sys.executable, "-m", "warouter", "healthcheck", "--data-dir", str(folder), *more)
    process = await asyncio.create_subprocess_exec(
        *program, env={}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, trouble = await process.communicate()
    assert trouble == b""
    (line,) = said.decode().splitlines()
    assert process.returncode is not None
    return process.returncode, line


async def until(code: int, clause: str, folder: Path, *more: str) -> None:
    found = (-1, "")

    async def said() -> bool:
        nonlocal found
        found = await check(folder, *more)
        return found[0] == code and clause in found[1]

    try:
        await soon(said)
    except TimeoutError:
        raise AssertionError(f"the check goes on to say {found}, not {clause!r}") from None


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    async with running(**{**PAIR, "masters": 2, "console": True}) as (cluster, _):
        yield cluster


async def test_a_fresh_cluster_has_nothing_open(cluster: Cluster) -> None:
    folder = str(cluster.folder)
    result = await command(None, "check", "--json", "--verbose", "--data-dir", folder)
    found = [msgspec.json.decode(line) for line in result.stdout.splitlines()]
    levels: dict[str, set[str]] = {}
    for finding in found:
        levels.setdefault(finding["level"], set()).add(finding["name"])
    assert levels.keys() <= {"ok", "note", "warning"}
    # What the newest wheel's PostgreSQL and the machine of the test are like.
    about = {"postgres-old", "disk-full", "descriptors-few", "login-superuser"}
    assert levels.get("warning", set()) <= about
    assert result.exit_code == ("warning" in levels)
    shown = await printed(None, "status", "--data-dir", folder)
    assert " · links on this host · " in " ".join(shown.split())
    assert "without TLS" not in shown


async def test_a_check_tells_who_can_work(cluster: Cluster) -> None:
    folder = cluster.folder
    await until(0, "healthy: localhost:console-1 (", folder)
    code, line = await checked_by_a_process(folder, "--role", "coreapp", "--at-least", "2")
    assert code == 0
    assert {"primary, 32 slots", "secondary"} == {part[:-1] for part in split(line)}
    code, line = await check(folder, "--role", "master")
    assert (code, line.count("secondary"), line.count("primary, term")) == (0, 1, 1)
    assert await checked_by_a_process(folder, "--role", "master", "--at-least", "3") == (
        1,
        "unhealthy: 2 masters found on this host, and 3 expected",
    )
    for role in ROLES:
        process = cluster.processes[f"{role}-1"]
        with frozen([process.pid]):
            clause = f"{role} with pid {process.pid} does not answer: its loop hangs"
            await until(1, clause, folder, "--role", role)
        await until(0, "healthy:", folder, "--role", role)
    killed = cluster.processes["coreapp-1"]
    killed.kill(signal.SIGKILL)
    await soon(lambda: killed.restarts and killed.ready.is_set())
    cluster.write_description()  # its new pid, which `warouter up` would write
    await until(0, "healthy: localhost:coreapp-1", folder, "--role", "coreapp")


async def test_a_console_is_asked_like_the_others_and_at_its_port(cluster: Cluster) -> None:
    only = ("--role", "console")
    await until(0, "healthy: localhost:console-1 (serving on port", cluster.folder, *only)
    process = cluster.processes["console-1"]
    with frozen([process.pid]):
        clause = f"console with pid {process.pid} does not answer: its loop hangs"
        await until(1, clause, cluster.folder, *only)
    await until(0, "healthy: localhost:console-1 (", cluster.folder, *only)


async def test_without_the_database_for_long_nobody_can_work(cluster: Cluster) -> None:
    assert cluster.postgres is not None
    await asyncio.to_thread(cluster.postgres.stop, signal.SIGKILL)
    for role in ROLES:
        clause = f"{role}-1 has had no answer from the database for 1"
        await until(1, clause, cluster.folder, "--role", role)
    await asyncio.to_thread(cluster.postgres.start)
    await until(0, "healthy:", cluster.folder)


def split(line: str) -> list[str]:
    """What each node is, of ``healthy: NAME (so), NAME (so)``."""
    return [part.partition(" (")[2] for part in line.replace("), ", ")\n").splitlines()]
