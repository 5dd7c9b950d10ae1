"""Processes that a fork server starts: as if they had been executed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.wait import soon
from warouter import __version__
from warouter.local import forks
from warouter.local import process as module
from warouter.local.environment import of_child
from warouter.local.forks import COMMAND, UNKNOWN, Forked, ForkServer
from warouter.local.process import Process

PORTS = ("--port", "0", "--control-port", "0", "--services-port", "0")
SIMULATOR = ["simulator", *PORTS]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """One of the test's own, which it may kill."""
    server = ForkServer()
    monkeypatch.setattr(forks, "server", lambda: server)
    yield server
    server.close()


def simulator(folder: Path, name: str = "one", by_fork: bool = True) -> Process:
    return Process(name, "simulator", SIMULATOR, of_child({}), folder, by_fork=by_fork)


async def said(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and the output of a command that is forked."""
    path = folder / "said"
    with path.open("wb") as output:
        child = await forks.start([*COMMAND, *arguments], of_child(environment), output.fileno())
    assert isinstance(child, Forked)
    return await child.wait(), path.read_text()


def shown(process: Process) -> list[str]:
    """The command line, as `ps` shows it."""
    text = Path(f"/proc/{process.pid}/cmdline").read_text()
    return text.rstrip("\0").split("\0")


def link(process: Process, name: str) -> str:
    return os.readlink(f"/proc/{process.pid}/{name}")


async def test_a_fork_is_what_an_execution_is(tmp_path: Path) -> None:
    forked, executed = simulator(tmp_path), simulator(tmp_path, "two", by_fork=False)
    for process in (forked, executed):
        await process.start()
    assert shown(forked) == shown(executed) == [*COMMAND, *SIMULATOR]
    assert isinstance(forked._child, Forked)
    assert not isinstance(executed._child, Forked)
    for process in (forked, executed):
        assert process.pid is not None
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
        assert link(process, "cwd") == os.getcwd()
        assert link(process, "fd/1") == link(process, "fd/2") == str(process.log)
    assert len(os.listdir(f"/proc/{forked.pid}/fd")) == len(os.listdir(f"/proc/{executed.pid}/fd"))
    assert [await p.stop() for p in (forked, executed)] == [0, 0]
    assert not forked.alive


async def test_a_fork_ends_as_it_is_told_and_says_how(tmp_path: Path) -> None:
    process = simulator(tmp_path)
    for number, code in ((signal.SIGINT, 0), (signal.SIGKILL, -9), (signal.SIGABRT, -6)):
        await process.start()
        process.kill(number)
        assert process._child is not None
        assert await process._child.wait() == code
        process.kill(number)  # of nobody
        assert await process.stop() == code


async def test_a_fork_stops_when_its_starter_is_gone(tmp_path: Path) -> None:
    first, second = simulator(tmp_path), simulator(tmp_path, "two")
    await first.start()
    await second.start()  # it has no copy of what the starter holds of the first
    assert isinstance(first._child, Forked)
    os.close(first._child.held)
    first._child.held = -1
    assert await first._child.wait() == 0
    assert await first.stop() == 0
    assert second.alive
    assert await second.stop() == 0


async def test_a_command_has_its_arguments_environment_and_exit_code(tmp_path: Path) -> None:
    assert await said(tmp_path, "--version") == (0, f"warouter, version {__version__}\n")
    code, text = await said(tmp_path, "webapp", WA_DB_HOSTNAME="x", WA_DB_ENGINE="MYSQL")
    assert (code, "MYSQL" in text) == (2, True), text
    code, text = await said(tmp_path, "webapp")
    assert (code, "WA_DB_HOSTNAME is not set" in text) == (1, True), text
    code, text = await said(tmp_path, "nonsense")
    assert (code, "python -m warouter" in text) == (2, True), text


async def test_a_process_that_outlives_the_server_is_still_waited_for(
    tmp_path: Path, server: ForkServer
) -> None:
    process = simulator(tmp_path)
    await process.start()
    os.kill(server.pid, signal.SIGKILL)
    process.kill(signal.SIGTERM)
    assert await process.stop() == UNKNOWN
    await process.start()
    assert isinstance(process._child, asyncio.subprocess.Process)  # there is no server any more
    assert await process.stop() == 0


async def test_children_outlive_a_server_that_is_closed(tmp_path: Path, server: ForkServer) -> None:
    process = simulator(tmp_path)
    await process.start()
    server.close()
    assert process.alive
    assert process.pid is not None
    os.kill(process.pid, 0)
    assert await process.stop() == UNKNOWN


async def test_a_command_that_cannot_be_forked_is_executed(tmp_path: Path) -> None:
    large = {"WAROUTER_NODE": "x" * 120_000, "WAROUTER_DB_NAME": "x" * 120_000}
    with (tmp_path / "said").open("wb") as output:
        for environment in (of_child(large), of_child({}) | {"PYTHONPATH": "/elsewhere"}, {}):
            assert await forks.start([*COMMAND, "status"], environment, output.fileno()) is None


async def test_many_at_once(tmp_path: Path) -> None:
    """Each gets its own answers, and nobody's is lost."""
    processes = [simulator(tmp_path, f"simulator-{n}") for n in range(4)]
    await asyncio.gather(*(process.start() for process in processes))
    assert len({process.pid for process in processes}) == len(processes)
    assert await asyncio.gather(*(process.stop() for process in processes)) == [0] * 4
    await soon(lambda: not any(process.alive for process in processes))


# A child process of a local cluster: stopped for good, and started again as something else


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
