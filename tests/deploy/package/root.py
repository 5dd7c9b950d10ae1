"""A fresh Debian to install into: an overlay above a rootfs, entered by chroot. It has no compiler."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Set
from pathlib import Path

from warouter.errors import CommandError

USER = "shop"
_WRITTEN = ("dev", "proc", "tmp", "run", "dist", "var/lib/dpkg", "var/cache", "var/log")


class Root:
    """``dist`` is /dist in it."""

    def __init__(self, rootfs: Path, folder: Path, dist: Path) -> None:
        self.path = folder / "root"
        self._folder = folder
        self._mounted: list[Path] = []
        for part in ("upper", "work", "root"):
            (folder / part).mkdir(parents=True)
        options = f"lowerdir={rootfs},upperdir={folder}/upper,workdir={folder}/work"
        self._mount("", "-t", "overlay", "overlay", "-o", options)
        self._mount("proc", "-t", "proc", "proc")
        self._mount("dev", "--rbind", "/dev")
        self._mount("tmp", "-t", "tmpfs", "-o", "mode=1777", "tmpfs")
        (self.path / "dist").mkdir()
        self._mount("dist", "--bind", str(dist))
        self.run("useradd", "--create-home", USER)

    def run(self, *command: str, user: str = "root", seconds: float = 180.0) -> str:
        """What a command prints there. CommandError with what it said if it fails."""
        home = "/root" if user == "root" else f"/home/{user}"
        path = "/usr/sbin:/usr/bin:/sbin:/bin"
        told = ["env", "--ignore-environment", f"--chdir={home}", f"HOME={home}", f"PATH={path}"]
        whole = ["chroot", f"--userspec={user}", str(self.path), *told, "LC_ALL=C.UTF-8", *command]
        done = subprocess.run(
            whole, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            raise CommandError(f"{' '.join(command)}: rc {done.returncode}: {said}")
        return done.stdout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A process in it that is asked by its input."""
        pipe = subprocess.PIPE
        whole = ["chroot", str(self.path), *command]
        return subprocess.Popen(whole, stdin=pipe, stdout=pipe, text=True)

    def file(self, path: str) -> Path:
        return self.path / path.lstrip("/")

    def files(self) -> Set[str]:
        """All paths, but for what any package writes."""
        prune = [word for name in _WRITTEN for word in ("-path", f"./{name}", "-prune", "-o")]
        found = ["find", ".", *prune, "-print"]
        done = subprocess.run(found, cwd=self.path, capture_output=True, text=True, check=True)
        return set(done.stdout.splitlines())

    def remove(self) -> None:
        for place in reversed(self._mounted):
            subprocess.run(["umount", "--lazy", "--recursive", str(place)], check=True)
        shutil.rmtree(self._folder)

    def _mount(self, place: str, *words: str) -> None:
        target = self.path / place
        subprocess.run(["mount", *words, str(target)], check=True)
        self._mounted.append(target)
        if words[0] == "--rbind":
            subprocess.run(["mount", "--make-rslave", str(target)], check=True)
