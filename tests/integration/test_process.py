"""A child process of a local cluster: stopped for good, and started again as something else."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from warouter.local import process as module
from warouter.local.process import Process

READY = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(sys.argv[1])))
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
"""


def child(folder: Path, then: str, code: str = "0") -> Process:
    program = ("-c", READY + then)
    return Process("child", "webapp", [code], dict(os.environ), folder, program=program)


async def test_a_child_told_to_stop_while_it_is_down_stays_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = asyncio.Event()

    def pause(_attempt: int, **_limits: float) -> float:
        down.set()
        return 0.05

    monkeypatch.setattr(module, "backoff", pause)
    process = child(tmp_path, "sys.exit(1)")
    await process.start()
    keeper = asyncio.create_task(process.keep())
    await down.wait()
    pid = process.pid
    await process.stop()
    await keeper
    assert (process.pid, process.alive, process.restarts) == (pid, False, 0)


async def test_a_stopped_child_is_started_again_with_the_command_of_then(tmp_path: Path) -> None:
    process = child(tmp_path, "signal.pause()")
    await process.start()
    assert await process.stop() == 0
    process.command = [sys.executable, "-c", READY + "signal.pause()", "3"]
    await process.start()
    keeper = asyncio.create_task(process.keep())
    assert process.alive
    assert await process.stop() == 3
    await keeper
    assert process.restarts == 0
