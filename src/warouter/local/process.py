"""A child process: started as systemd would, stopped by SIGTERM, restarted when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from random import random

from warouter.errors import CommandError
from warouter.local import forks
from warouter.local.forks import Forked
from warouter.retry import backoff

log = logging.getLogger(__name__)

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
# Of a coreapp with the Cloud API: it waits for the requests that are out.
QUIET_STOP_SECONDS = 36.0
LONG_ENOUGH = 10.0  # seconds of life after which a death is not a crash loop


class Process:
    """A warouter process. ``ready`` is set by its READY=1; ``status`` is its last STATUS=."""

    def __init__(
        self,
        name: str,
        role: str,
        arguments: list[str],
        environment: dict[str, str],
        folder: Path,
        prefix: tuple[str, ...] = (),
        program: tuple[str, ...] = ("-m", "warouter"),
        by_fork: bool = True,
    ) -> None:
        self.name = name
        self.role = role
        self.status = ""
        self.ready = asyncio.Event()
        self.restarts = 0
        self.command = [*prefix, sys.executable, *program, *arguments]  # of the next start
        self.environment = environment
        self._by_fork = by_fork
        self.log = folder / "log" / f"{name}.log"
        self._socket_path = folder / "run" / f"{name}.sock"
        self._child: asyncio.subprocess.Process | Forked | None = None
        self._notify: socket.socket | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.returncode is None

    @property
    def _stop_seconds(self) -> float:
        cloud = self.environment.get("WAROUTER_UPSTREAM") == "cloud"
        return QUIET_STOP_SECONDS if cloud and self.role == "coreapp" else STOP_SECONDS

    async def start(self) -> None:
        """Start and wait for READY=1; raises CommandError with its
        last log line if it ends instead.

        A process that was stopped may be started again, with the ``command`` of then.
        """
        self._stopping = False
        self.ready.clear()
        self._listen()
        await self._spawn()
        await self.wait_ready()

    async def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        assert self._child is not None
        ready = asyncio.ensure_future(self.ready.wait())
        ended = asyncio.ensure_future(self._child.wait())
        await asyncio.wait({ready, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (ready, ended):
            waiting.cancel()
        if not self.ready.is_set():
            raise CommandError(f"{self.name} did not become ready: {self._last_words()}")

    async def keep(self) -> None:
        """Restart the process whenever it dies, until it is told to stop."""
        crashes = 0
        loop = asyncio.get_running_loop()
        while True:
            child, since = self._child, loop.time()
            assert child is not None
            await child.wait()
            if self._stopping:
                return
            crashes = 0 if loop.time() - since > LONG_ENOUGH else crashes + 1
            await asyncio.sleep(backoff(crashes, first=0.1, most=2.0, draw=random()))
            if self._stopping:
                return  # told so while it was down
            self.ready.clear()
            self.restarts += 1
            try:
                await self._spawn()
            except OSError as error:  # no memory, no descriptors: there is a next time
                said = {"process": self.name, "error": str(error)}
                log.error("process restart failed", extra=said)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to exactly this child."""
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(number)

    async def stop(self) -> int | None:
        """Send SIGTERM, and SIGKILL if it does not end in time; returns the exit code."""
        self._stopping = True
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self._stop_seconds):
                    await self._child.wait()
            except TimeoutError:
                self.kill(signal.SIGKILL)  # unless it has ended meanwhile
                await self._child.wait()
        if self._notify is not None:
            asyncio.get_running_loop().remove_reader(self._notify)
            self._notify.close()
            self._notify = None
        return self._child.returncode if self._child is not None else None

    async def _spawn(self) -> None:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A parent that is killed closes a pipe: its children then stop by themselves.
        own = {"NOTIFY_SOCKET": str(self._socket_path), "WAROUTER_STOP_ON_EOF": "1"}
        environment = self.environment | own
        with self.log.open("ab") as log:
            forked = None
            if self._by_fork:
                forked = await forks.start(self.command, environment, log.fileno())
            self._child = forked or await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def _listen(self) -> None:
        self._socket_path.parent.mkdir(parents=True, exist_ok=True)
        self._socket_path.unlink(missing_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._notify.bind(os.fspath(self._socket_path))
        asyncio.get_running_loop().add_reader(self._notify, self._on_notify)

    def _on_notify(self) -> None:
        assert self._notify is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                for line in self._notify.recv(4096).decode(errors="replace").splitlines():
                    if line == "READY=1":
                        self.ready.set()
                    elif line.startswith("STATUS="):
                        self.status = line.removeprefix("STATUS=")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        words = [line for line in lines if line.strip()]
        return words[-1] if words else f"nothing was written to {self.log}"
