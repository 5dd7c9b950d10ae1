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
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.harness import programs
from warouter.store.migrations import baseline, migrations

ROOT = Path(__file__).parents[2]
SCHEMA = "src/warouter/store/schema"
_WANTED = ("src", "pyproject.toml")
_BUILD = ("-m", "Cython.Build.Cythonize", "--inplace", "--quiet")


class Former(NamedTuple):
    """A build by its commit; ``newest`` is the number of its newest step of the schema."""

    commit: str
    newest: int

    @property
    def lacking(self) -> str:
        """Why it cannot run here, or "": a shallow clone or an unpacked sdist has no history."""
        short = self.commit[:7]
        asked = ("git", "-C", str(ROOT), "cat-file", "-e", f"{self.commit}^{{commit}}")
        if not programs.find("git") or subprocess.run(asked, check=False).returncode != 0:
            return f"not run (git fetch --unshallow: this clone has no commit {short})"
        with tempfile.TemporaryDirectory() as folder:
            _unpack(Path(folder), self.commit, SCHEMA)
            same = baseline(Path(folder) / SCHEMA).checksum == migrations()[0].checksum
        return "" if same else f"not run ({short} has another baseline than this build)"

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


BEFORE = Former("601f01d43d9ed4b150be85444caa0c0662078040", newest=1)
"""The build before: one with the same baseline. Until the tag of 0.3.0 the baseline may change:
then this is the commit that changed it."""


def _make(folder: Path, commit: str) -> None:
    _unpack(folder, commit, *_WANTED)
    wanted = [path for path in folder.glob("src/**/*.pyx") if not _borrowed(path, folder)]
    if wanted:
        build = (sys.executable, *_BUILD, *map(str, wanted))
        flags = os.environ | {"CFLAGS": "-O0 -w"}
        done = subprocess.run(build, cwd=folder, env=flags, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def _unpack(folder: Path, commit: str, *paths: str) -> None:
    archive = ("git", "-C", str(ROOT), "archive", commit, *paths)
    files = subprocess.run(archive, capture_output=True, check=True).stdout
    subprocess.run(("tar", "-x", "-C", str(folder)), input=files, check=True)


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
