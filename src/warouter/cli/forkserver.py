"""Forks processes that run a command each, for ``warouter.local.forks``.

It has no loop, no thread and no socket but those to its starter, and ends when that has. It imports
what a command needs before it forks the first that runs it.

    python -m warouter.cli.forkserver SOCKET ROOM
"""

from __future__ import annotations

import os
import resource
import runpy
import select
import socket
import sys
from contextlib import suppress
from errno import EAGAIN
from pathlib import Path

from warouter.cli import COMMANDS, imported
from warouter.local.forks import COMMAND, WORD, ForkRequest

# Of a command, beside its own module.
NEEDED = {
    "webapp": ("runtime", "webapp"),
    "coreapp": ("runtime", "coreapp", "end_simulator", "end_cloud"),
    "master": ("runtime", "master"),
    "console": ("runtime", "console"),
}
MOST_BYTES = 1 << 18  # of a request, more than a socket of the kernel takes
MOST_FILES = 1 << 16


class Forks:
    """The children, and the sockets on which their ends are told."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._children: dict[int, tuple[int, socket.socket]] = {}  # by descriptor of the process

    def serve(self) -> ForkRequest | None:
        """Returns in each child with what that is to run, and once with None: the starter ended."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._children:
                    self._bury(descriptor)
                    continue
                data, files, _, _ = socket.recv_fds(self._control, MOST_BYTES, 4)
                if not data:
                    return None
                request = ForkRequest.decoded(data)
                load(request.arguments)
                if self._fork(files):
                    return request

    def _fork(self, files: list[int]) -> bool:
        """True in the child, which has nothing of ours but its three files."""
        *standard, answers = files
        told = socket.socket(fileno=answers)
        try:
            pid = os.fork()
        except OSError as error:
            with told, suppress(OSError):
                told.send(WORD.pack(-(error.errno or EAGAIN)))
            pid = -1
        if pid == 0:
            told.detach()
            self._leave(standard)
            return True
        for file in standard:
            os.close(file)
        if pid > 0:
            self._watch(pid, told)
        return False

    def _watch(self, pid: int, told: socket.socket) -> None:
        descriptor = os.pidfd_open(pid)
        self._children[descriptor] = (pid, told)
        self._poll.register(descriptor, select.POLLIN)
        with suppress(OSError):
            socket.send_fds(told, [WORD.pack(pid)], [descriptor])

    def _bury(self, descriptor: int) -> None:
        pid, told = self._children.pop(descriptor)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        with told, suppress(OSError):
            told.send(WORD.pack(os.waitstatus_to_exitcode(status)))

    def _leave(self, standard: list[int]) -> None:
        """Make a child of the server one that was executed."""
        os.setsid()
        for target, file in enumerate(standard):
            os.dup2(file, target)
        self._control.detach()
        for _, told in self._children.values():
            told.detach()
        os.closerange(len(standard), MOST_FILES)


def load(arguments: list[str]) -> None:
    """Import what a command will import. What fails here fails in the child, which says so."""
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        return
    with suppress(Exception):
        imported(COMMANDS[name].partition(":")[0])
        for module in NEEDED.get(name, ()):
            imported(f"warouter.node.{module}")


def run(request: ForkRequest) -> None:
    """Run a command as ``python -m warouter`` does."""
    os.chdir(request.folder)
    sys.path[0] = request.folder
    os.environ.clear()
    os.environ.update(request.environment)
    sys.argv[1:] = request.arguments
    name([*COMMAND, *request.arguments])
    runpy.run_module("warouter", run_name="__main__", alter_sys=True)


def name(command: list[str]) -> None:
    """Let the kernel show another command line, where it has room for it and lets us."""
    with suppress(OSError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # the text after the name begins at field 3
        text = "\0".join([*command, ""]).encode(errors="surrogateescape")[: end - start - 1]
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            memory.write(text.ljust(end - start, b"\0"))


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold secrets of children
    control = socket.socket(fileno=int(sys.argv[1]))
    name([*COMMAND[:2], "warouter.cli.forkserver"])
    request = Forks(control).serve()
    if request is not None:
        del control
        run(request)


if __name__ == "__main__":
    main()
