"""A PostgreSQL folder with a migrated database, made once for a run of the tests.

A server of a test starts on a copy: initdb and the migrations cost more than its whole start. All
workers of a run share the one that is copied. Outside of pytest there is none, and whoever starts
a server makes its own.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from warouter.config import load
from warouter.local.postgres import Postgres
from warouter.store.migrate import migrate

DATABASE = "warouter"  # that of `warouter up`
_VARIABLE = "TESTS_PREPARED"  # not WAROUTER_: clusters give such ones to their processes
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 << 30  # a container has 64 MiB by default


def reachable_folder() -> Path:
    """A new folder that PostgreSQL's account may pass; pytest's own is 0700 of root.

    In memory where there is room: copies and clones of databases are most of what tests write.
    """
    room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix="warouter-test-", dir=_MEMORY if room else "/tmp"))
    folder.chmod(0o711)
    return folder


def begin() -> None:
    """From here on there is a prepared folder, for this process and those that it starts."""
    os.environ[_VARIABLE] = str(reachable_folder())


def end() -> None:
    """Remove it."""
    shutil.rmtree(os.environ.pop(_VARIABLE))


def copy_to(folder: Path) -> None:
    """Make ``folder`` that of a server which has ``DATABASE``.

    Nothing where none is prepared, or where a server has run on the folder.
    """
    if _VARIABLE not in os.environ or folder.exists():
        return
    shared = Path(os.environ[_VARIABLE])
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first that comes makes it, the others wait
        made = shared / "made"
        if not made.exists():
            _make(shared / "postgres")
            made.touch()
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(shared / "postgres"), str(folder)], check=True)


def _make(folder: Path) -> None:
    server = Postgres(folder, fsync="off")
    server.start()
    try:
        asyncio.run(migrate(load(server.settings(DATABASE))))
    finally:
        server.stop()
