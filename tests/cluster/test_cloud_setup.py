"""docs/cloud.md, Set-up: its commands run word for word, with the simulator in Meta's place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.harness import prepared
from tests.harness.blocks import script, section
from tests.harness.wait import soon
from warouter.local.ports import free_port, release

COMMANDS = script(section("cloud.md", "Set-up with a real number from zero"), "stand-in")
API = "9090"  # of `warouter up`, which claims it itself
PORTS = (API, "9095", "6270", "6261")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A checkout as far as the commands see it, with a database that others have made."""
    folder = prepared.reachable_folder()
    command = folder / ".venv" / "bin" / "warouter"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m warouter "$@"\n')
    command.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_commands_are_those_of_a_reader_without_a_number() -> None:
    assert all(port in COMMANDS for port in PORTS)
    assert "example.com" not in COMMANDS
    for name in ("up ", "cloud check", "cloud deregister", "status", "simulator inject", "trace"):
        assert f".venv/bin/warouter {name}" in COMMANDS


@pytest.mark.program("curl")
async def test_set_up_from_zero(folder: Path) -> None:
    commands = COMMANDS
    given = {port: free_port() for port in PORTS}
    for port, free in given.items():
        commands = commands.replace(port, str(free))
    await asyncio.to_thread(prepared.copy_to, folder / "cloud-data" / "postgres")
    release([given[API]])
    shell = await begun(folder, commands)
    try:
        told = (await shell.communicate())[0].decode()
        logs = "".join(file.read_text() for file in (folder / "cloud").glob("*.log"))
        assert shell.returncode == 0, told + logs
        assert "Everything is right." in told, told + logs
        ids = re.findall(r'"messages":\[\{"id":"([^"]+)', told)
        assert len(ids) == 2, told + logs
        for message in ids:
            await soon(partial(is_read, folder, message))
    finally:
        await ended(shell.pid)
        release(given.values())


async def begun(folder: Path, commands: str) -> Process:
    given = {n: v for n, v in os.environ.items() if not n.startswith(("WA_", "WAROUTER_"))}
    return await asyncio.create_subprocess_exec(
        *("bash", "-eu", "-o", "pipefail", "-c", commands),
        cwd=folder,
        env=given,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )


async def is_read(folder: Path, message: str) -> bool:
    shown = await begun(folder, f".venv/bin/warouter trace --data-dir cloud-data {message}")
    return "read" in (await shown.communicate())[0].decode()


async def ended(group: int) -> None:
    """What the commands left in the background, told to stop, is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
    await soon(lambda: not alive(group))


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
