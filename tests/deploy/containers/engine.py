"""Podman in the namespaces of a suite, as root on a machine whose limits and cgroups are its own.

Three facts are met here, and none of them in what is shipped: the hard limit of open files is below
what a compose file asks for, cgroups of version 1 are in the way, and no systemd drives the health
checks. Images stay in build/containers, so that the next run finds their layers.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.deploy.rootfs import rootfs
from warouter.errors import CommandError

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / ".venv-tools" / "bin"
STORE = ROOT / "build" / "containers"
SHIPPED = ROOT / "deploy" / "container"
POSTGRES = "docker.io/library/postgres:17"
BUILD_SECONDS = 900.0
CALL_SECONDS = 60.0
CHECK_SECONDS = 1.0
FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
_LIMITS = [f"nofile={FILES}:{FILES}", f"nproc={FILES}:{FILES}"]
_BUILD = ["buildah", "build", "--layers", "--isolation=chroot"]


class Engine:
    """Containers of one run; ``end`` leaves none."""

    def __init__(self) -> None:
        STORE.mkdir(parents=True, exist_ok=True)
        limits = json.dumps(_LIMITS)
        settings = {
            "containers.conf": f"[containers]\ndefault_ulimits = {limits}\n"
            'cgroups = "disabled"\npids_limit = 0\n'
            f'[network]\nnetwork_config_dir = "{STORE}/networks"\n',
            "storage.conf": f'[storage]\ndriver = "overlay"\ngraphroot = "{STORE}/graph"\n'
            f'runroot = "{STORE}/run"\n',
        }
        for name, text in settings.items():
            (STORE / name).write_text(text)
        self.environment = {
            **os.environ,
            "CONTAINERS_CONF": str(STORE / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(STORE / "storage.conf"),
            "WAROUTER_NOFILE": str(FILES),
            "POSTGRES_IMAGE": POSTGRES,  # no registry is asked for the one that is named by digest
            "PATH": f"{TOOLS}:{os.environ['PATH']}",
        }
        self._checking = threading.Event()
        self._checker = threading.Thread(target=self._check_health, daemon=True)

    def begin(self) -> None:
        """A clean cgroup2, loopback, and somebody who drives the health checks."""
        for command in (
            "umount -R /sys/fs/cgroup",
            "mount -t cgroup2 none /sys/fs/cgroup",
            "ip link set lo up",
            f"rm -rf {STORE}/run {STORE}/networks",
            # The names and addresses that netavark has given out: not those of other runs.
            "mkdir -p /run/containers",
            "mount -t tmpfs none /run/containers",
        ):
            subprocess.run(command.split(), check=True, timeout=CALL_SECONDS)
        self._checker.start()

    def end(self) -> None:
        self._checking.set()
        self._checker.join()
        self.call("podman", "rm", "--all", "--force", "--time=1")
        self.call("podman", "volume", "prune", "--force")

    def call(
        self, *words: str, seconds: float = CALL_SECONDS, check: bool = True, cwd: Path = ROOT
    ) -> str:
        """What a command says on both outputs; CommandError with its end if it fails."""
        try:
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                timeout=seconds,
                env=self.environment,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"{' '.join(words)} took more than {seconds:g} s") from error
        if check and done.returncode != 0:
            said = (done.stdout + done.stderr)[-3000:]
            raise CommandError(f"{' '.join(words)} ended with {done.returncode}: {said}")
        return done.stdout + done.stderr

    def inspect(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.call("podman", "inspect", name))
        return found[0]

    # images

    def build(self) -> None:
        """Both of the shipped Containerfile, and what stands in for postgres:17."""
        limits = [f"--ulimit={limit}" for limit in _LIMITS]
        base = f"--build-arg=BASE={self._base('bare')}"
        script = str(SHIPPED / "build.sh")
        self.call(script, *_BUILD, *limits, base, seconds=BUILD_SECONDS)
        folder = Path(__file__).parent / "postgres"
        base = f"--build-arg=BASE={self._base('database')}"
        tag = f"--tag={POSTGRES}"
        self.environment["BUILDAH_FORMAT"] = "docker"
        self.call(*_BUILD, *limits, base, tag, str(folder), seconds=BUILD_SECONDS)

    def _base(self, name: str) -> str:
        """The image of a rootfs, made once."""
        root = rootfs(name)
        image = f"localhost/{root.name}:{int(root.stat().st_ctime)}"
        if image not in self.call("podman", "images", "--format={{.Repository}}:{{.Tag}}"):
            context = STORE / "base"
            context.mkdir(exist_ok=True)
            (context / "Containerfile").write_text("FROM scratch\nADD rootfs.tar /\n")
            self.call("tar", "-C", str(root), "-cf", str(context / "rootfs.tar"), ".", seconds=300)
            limits = [f"--ulimit={limit}" for limit in _LIMITS]
            self.call(*_BUILD, *limits, f"--tag={image}", str(context), seconds=BUILD_SECONDS)
            (context / "rootfs.tar").unlink()
        return image

    def _check_health(self) -> None:
        while not self._checking.wait(CHECK_SECONDS):
            for name in self.call("podman", "ps", "--format={{.Names}}", check=False).split():
                self.call("podman", "healthcheck", "run", name, check=False)
