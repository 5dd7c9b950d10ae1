"""Small disks, so that one can be full or read-only: tmpfs, which only root mounts."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MIB = 1 << 20


def may_mount() -> bool:
    """Root may not in every container."""
    alone = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return os.geteuid() == 0 and subprocess.run(alone, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not may_mount(), reason="not run (needs root, to mount a tmpfs)")


@contextlib.contextmanager
def small(folder: Path, mebibytes: int) -> Iterator[None]:
    """``folder`` is a disk of this size within."""
    folder.mkdir(exist_ok=True)
    size = f"size={mebibytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """No byte is free on the disk of ``folder`` within."""
    ballast = folder / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(MIB)):
                pass
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written on the disk of ``folder`` within."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
