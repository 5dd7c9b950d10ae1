"""A machine: Debian with systemd as its first process, on the suite's bridge.

systemd-nspawn boots it on an overlay of its own above a rootfs that it shares with others, so that
one costs a second and no disk. ``poweroff`` is what a cloud does to an instance that it ends
(ACPI), ``cut`` is the plug.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.deploy.network import BRIDGE, NETWORK, ip
from warouter.errors import CommandError

BOOT_SECONDS = 120.0
OFF_SECONDS = 90.0  # longer than any TimeoutStopSec of ours
_LINK = """[Match]
Name=host0
[Network]
Address={address}/24
Gateway={network}.1
LinkLocalAddressing=no
"""


class Machine:
    """``number`` is the last part of its address, 2 to 254; ``folder`` takes what it writes."""

    def __init__(self, root: Path, folder: Path, number: int) -> None:
        self.name = f"machine-{number}"
        self.address = f"{NETWORK}.{number}"
        self.folder = folder / self.name
        self.root = self.folder / "root"  # to put files into before it boots, and to read after
        self.console = self.folder / "console.log"
        self._process: subprocess.Popen[bytes] | None = None
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True)
        options = f"lowerdir={root},upperdir={self.folder}/upper,workdir={self.folder}/work"
        subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)], check=True
        )
        self.write("/etc/hostname", self.name + "\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        link = _LINK.format(address=self.address, network=NETWORK)
        self.write("/etc/systemd/network/10-host0.network", link)
        self._enable("systemd-networkd.service")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file in it, also while it runs."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def copy(self, file: Path, path: str) -> None:
        """A file of this host in it."""
        shutil.copy2(file, self.root / path.lstrip("/"))

    def boot(self) -> None:
        """Start it; returns when its systemd takes commands."""
        command = [
            "systemd-nspawn",
            f"--directory={self.root}",
            f"--machine={self.name}",
            f"--network-bridge={BRIDGE}",
            "--register=no",
            "--keep-unit",
            "--resolv-conf=off",
            "--boot",
        ]
        with self.console.open("ab") as console:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        self._until_up()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def leader(self) -> int:
        """The pid of its systemd, as the suite sees it."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for child in children.read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        raise CommandError(f"{self.name} has no systemd: see {self.console}")

    def run(self, *command: str, text: str = "", seconds: float = 120.0) -> str:
        """What a command prints there as root. CommandError with what it said if it fails."""
        done = subprocess.run(
            self.inside(*command), input=text, capture_output=True, text=True, timeout=seconds
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            raise CommandError(f"{self.name}: {' '.join(command)}: {said}")
        return done.stdout

    async def arun(self, *command: str, text: str = "", seconds: float = 120.0) -> str:
        """``run`` beside the traffic of this loop."""
        return await asyncio.to_thread(self.run, *command, text=text, seconds=seconds)

    def inside(self, *command: str) -> list[str]:
        """The command that runs ``command`` in it."""
        return ["nsenter", f"--target={self.leader}", "--all", "--", *command]

    def journal(self, unit: str = "") -> str:
        """What its units have logged."""
        only = [f"--unit={unit}"] if unit else []
        return self.run("journalctl", "--no-pager", "--output=short-iso-precise", *only)

    def poweroff(self) -> None:
        """Shut it down in order, and wait until it is off."""
        self.run("systemctl", "poweroff", "--no-block")
        self.until_off()

    def until_off(self) -> None:
        assert self._process is not None
        self._process.wait(OFF_SECONDS)

    def cut(self) -> None:
        """Pull the plug: nothing in it runs on, nothing is written any more, nobody is told."""
        assert self._process is not None
        if self.alive:
            leader = self.leader
            # First: the kernel says goodbye for processes that it kills.
            ip("link", "delete", f"vb-{self.name}")
            self._process.send_signal(signal.SIGKILL)
            subprocess.run(["kill", "-KILL", str(leader)], check=False)
            self._process.wait(OFF_SECONDS)
            self._forget()

    def remove(self) -> None:
        """Pull the plug and forget what it wrote."""
        self.cut()
        subprocess.run(["umount", "--lazy", str(self.root)], check=True)
        shutil.rmtree(self.folder)

    def _forget(self) -> None:
        """What systemd-nspawn leaves mounted when it is killed, and refuses to start with."""
        for left in ("unix-export", "propagate"):
            place = f"/run/systemd/nspawn/{left}/{self.name}"
            subprocess.run(["umount", "--quiet", "--lazy", place], check=False, capture_output=True)

    def _enable(self, unit: str) -> None:
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")

    def _until_up(self) -> None:
        give_up = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < give_up:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                self.run("systemctl", "list-jobs", "--no-pager")
                return
            except (CommandError, OSError):
                time.sleep(0.1)
        raise CommandError(f"{self.name} did not boot: {self.console.read_text()[-2000:]}")
