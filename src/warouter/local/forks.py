"""Processes started by fork: a fork server has imported what a command needs, once for all of them.

An interpreter that starts by itself spends most of its start on imports. The server
(``warouter.cli.forkserver``) is one for each process that starts others. It begins with the first
command that it can run, and ends with its starter. Where it cannot be used, commands are executed.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

COMMAND = [sys.executable, "-m", "warouter"]
SERVER = [sys.executable, "-m", "warouter.cli.forkserver"]
# An environment that differs in other names would have made another interpreter: of the server's
# libraries some read theirs when they are imported.
_OURS = ("WA_", "WAROUTER_", "COREAPP_", "WEBAPP_", "WACORE_")
_READ_LATE = (*_OURS, "NOTIFY_SOCKET", "PYTEST_CURRENT_TEST")
# Room for the command lines of the server's children, which they write over its own.
ROOM = "-" * 1_000
WORD = struct.Struct("i")  # of an answer: a pid, or an errno below zero; then an exit code
UNKNOWN = 255  # the exit code of a child whose parent has died; asyncio has the same


class ForkRequest(NamedTuple):
    """A command to run: its arguments, its environment and its working directory."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str

    def encoded(self) -> bytes:
        return json.dumps(self).encode()

    @classmethod
    def decoded(cls, data: bytes) -> ForkRequest:
        return cls(*json.loads(data))


class Forked:
    """A child that a server has forked, with the part of ``asyncio.subprocess.Process`` we use."""

    def __init__(self, pid: int, pidfd: int, answers: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.held = -1  # the other end of its standard input: closed when it ends, or we do
        self._pidfd = pidfd
        self._answers = answers
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(answers, self._on_answer)

    async def wait(self) -> int:
        """The exit code, below zero that of a signal, once the child has ended."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _on_answer(self) -> None:
        data = self._answers.recv(WORD.size)
        self._loop.remove_reader(self._answers)
        self._answers.close()
        if data:
            self._end(*WORD.unpack(data))
        else:  # the server was killed: the kernel still tells when the child ends
            self._loop.add_reader(self._pidfd, self._on_orphan_ended)

    def _on_orphan_ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        code = UNKNOWN
        with contextlib.suppress(ChildProcessError):  # unless we inherit orphans, as process 1
            ended = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
            if ended is not None:
                exited = ended.si_code == os.CLD_EXITED
                code = ended.si_status if exited else -ended.si_status
        self._end(code)

    def _end(self, code: int) -> None:
        os.close(self._pidfd)
        if self.held >= 0:
            os.close(self.held)
        self.returncode = code
        self._ended.set()


class ForkServer:
    """The server and the environment that it was started in."""

    def __init__(self) -> None:
        self._environment = read_early(os.environ)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [*SERVER, str(theirs.fileno()), ROOM],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for its starter
            )
        self.pid = self._server.pid

    def runs(self, command: Sequence[str], environment: Mapping[str, str]) -> bool:
        """True if a fork is this command in this environment."""
        return is_ours(command) and read_early(environment) == self._environment

    async def start(
        self, command: Sequence[str], environment: Mapping[str, str], files: Sequence[int]
    ) -> Forked | None:
        """A child in a session of its own; ``files`` become its first three.

        None if the server is dead or the request too large for it; OSError if it cannot fork.
        """
        request = ForkRequest(list(command[len(COMMAND) :]), dict(environment), os.getcwd())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            try:
                sent = [*files, theirs.fileno()]
                socket.send_fds(self._control, [request.encoded()], sent)
            except OSError:
                ours.close()
                return None
        return await _begun(ours)

    def close(self) -> None:
        """End the server; its children live on."""
        self._control.close()
        self._server.wait()


async def _begun(answers: socket.socket) -> Forked | None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(answers, told.set)
    try:
        await told.wait()
        data, files, _, _ = socket.recv_fds(answers, WORD.size, 1)
    except BaseException:
        answers.close()
        raise
    finally:
        loop.remove_reader(answers)
    if data and files:
        return Forked(WORD.unpack(data)[0], files[0], answers)
    answers.close()
    if data:
        number = -WORD.unpack(data)[0]
        raise OSError(number, os.strerror(number))
    return None


def is_ours(command: Sequence[str]) -> bool:
    """True if a command is this build's own, run by this interpreter."""
    return list(command[: len(COMMAND)]) == COMMAND


def read_early(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that may have been read before a command is run."""
    return {n: v for n, v in environment.items() if not n.startswith(_READ_LATE)}


@cache
def possible() -> bool:
    """True if children have descriptors here: since Linux 5.3, unless a container forbids it."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


@cache
def server() -> ForkServer:
    """The server of this process, started by the first call."""
    started = ForkServer()
    atexit.register(started.close)
    return started


def own_pids() -> list[int]:
    """Children of this process that somebody else waits for."""
    return [server().pid] if server.cache_info().currsize else []


async def fork(
    command: Sequence[str], environment: Mapping[str, str], files: Sequence[int]
) -> Forked | None:
    """A child as of ``ForkServer.start``. None if the command has to be executed."""
    if not (is_ours(command) and possible()) or not server().runs(command, environment):
        return None
    return await server().start(command, environment, files)


async def start(
    command: Sequence[str], environment: Mapping[str, str], output: int
) -> Forked | None:
    """A child whose standard input ends with this process, and whose output goes to the file
    ``output``. None if the command has to be executed.
    """
    reading, writing = os.pipe()
    try:
        child = await fork(command, environment, (reading, output, output))
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    if child is None:
        os.close(writing)
    else:
        child.held = writing
    return child
