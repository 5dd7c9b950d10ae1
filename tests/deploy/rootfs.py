"""Fresh Debians, each in a folder, made by mmdebstrap once for each list of packages.

They stay in build/rootfs under a hash of that list, and are only ever the lower folder of an
overlay: nothing writes to them. One of a week ago is made anew. mmdebstrap needs Debian's mirror,
which no suite reaches from its own network: the Makefile makes them first, by
`python -m tests.deploy.rootfs NAME...`.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.deploy.needs import lacking
from warouter.errors import CommandError

FOLDER = Path(__file__).parents[2] / "build" / "rootfs"
SUITE = "trixie"
KEPT_SECONDS = 7 * 86400.0
MAKE_SECONDS = 900.0

_PYTHON = ("ca-certificates", "python3", "python3-venv")
_SYSTEMD = ("dbus", "iproute2", "systemd", "systemd-sysv", "udev")
ROOTS = {
    "backup": (*_SYSTEMD, "pgbackrest", "postgresql-17"),
    "bare": _PYTHON,
    "database": ("postgresql-17",),
    "machine": (*_PYTHON, *_SYSTEMD, "cloud-init"),
    "patroni": (
        *_SYSTEMD,
        *("etcd-client", "etcd-server", "patroni", "postgresql-17", "procps"),
        *("python3-etcd", "python3-psycopg2"),
    ),
}


def rootfs(name: str) -> Path:
    """The root folder of that Debian; ``make`` has made it."""
    root = _folder(name)
    if not root.exists():
        raise CommandError(f"there is no rootfs {name}: python -m tests.deploy.rootfs {name}")
    return root


def make(name: str) -> None:
    """Make it unless it is there. CommandError with what mmdebstrap said last."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    root = _folder(name)
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another suite may make it just now
        if root.exists() and time.time() - root.stat().st_ctime > KEPT_SECONDS:
            shutil.rmtree(root)
        if not root.exists():
            _make(root, ",".join(ROOTS[name]))


def _folder(name: str) -> Path:
    key = hashlib.sha256(f"{SUITE} {ROOTS[name]}".encode()).hexdigest()[:12]
    return FOLDER / f"{name}-{key}"


def _make(root: Path, names: str) -> None:
    half = root.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={names}", SUITE, str(half)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_SECONDS)
    if done.returncode != 0:
        said = "; ".join(done.stderr.strip().splitlines()[-3:])
        raise CommandError(f"mmdebstrap failed: {said}")
    half.rename(root)


def main(names: list[str]) -> int:
    """0 also where it cannot be done: the suite says then what is missing."""
    if lacking("mmdebstrap"):
        return 0
    try:
        for name in names:
            make(name)
    except (CommandError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
