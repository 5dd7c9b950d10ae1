"""Earlier builds, from this clone's history: what a rolling upgrade begins with.

Each is made once for a clone, into ``build/``. An extension whose source is the same here is taken
from here; the others are compiled, which takes a few seconds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_WANTED = ("src", "pyproject.toml")
_BUILD = ("-m", "Cython.Build.Cythonize", "--inplace", "--quiet")


class Former(NamedTuple):
    """A build by its commit; ``newest`` is the number of its newest migration."""

    commit: str
    newest: int

    @property
    def lacking(self) -> str:
        """Why it cannot run here, or "": a shallow clone or an unpacked sdist has no history."""
        asked = ("git", "-C", str(ROOT), "cat-file", "-e", f"{self.commit}^{{commit}}")
        if shutil.which("git") and subprocess.run(asked, check=False).returncode == 0:
            return ""
        return f"not run (git fetch --unshallow: this clone has no commit {self.commit[:7]})"

    def sources(self) -> Path:
        """The folder of its package, ready to run: PYTHONPATH of its processes."""
        place = ROOT / "build" / f"before-{self.commit[:7]}"
        place.parent.mkdir(exist_ok=True)
        with place.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the first that comes makes it, the others wait
            made = place / "made"
            if not made.exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                _make(place, self.commit)
                made.touch()
        return place / "src"


BEFORE = Former("6692e68dea5c2e5a7e1ca80c87754f700a2e07c9", newest=39)
"""The build before: the oldest that the schema allows."""
BEFORE_LOGINS = Former("3cac5aee7505b8bae70fb834cce25484fa5b6261", newest=29)
"""The last build with one login for all processes, and without TLS unless it was asked for."""


def _make(folder: Path, commit: str) -> None:
    archive = ("git", "-C", str(ROOT), "archive", commit, *_WANTED)
    files = subprocess.run(archive, capture_output=True, check=True).stdout
    subprocess.run(("tar", "-x", "-C", str(folder)), input=files, check=True)
    wanted = [path for path in folder.glob("src/**/*.pyx") if not _borrowed(path, folder)]
    if wanted:
        build = (sys.executable, *_BUILD, *map(str, wanted))
        flags = os.environ | {"CFLAGS": "-O0 -w"}
        done = subprocess.run(build, cwd=folder, env=flags, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def _borrowed(pyx: Path, folder: Path) -> bool:
    """An extension of the same source is here, and is there now."""
    here = ROOT / pyx.relative_to(folder)
    if not here.exists() or here.read_bytes() != pyx.read_bytes() or not _same_headers(folder):
        return False
    for library in here.parent.glob(f"{here.stem}.*.so"):
        shutil.copy2(library, pyx.parent)
    return True


def _same_headers(folder: Path) -> bool:
    def headers(root: Path) -> dict[Path, bytes]:
        return {p.relative_to(root): p.read_bytes() for p in root.glob("src/**/*.pxd")}

    return headers(folder) == headers(ROOT)
