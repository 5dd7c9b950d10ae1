"""What a campaign wants of its machine: a folder, which processes are whose, how busy it is."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def fresh_folder(campaign: str) -> Path:
    """Not a private one: PostgreSQL runs as another account when this is root."""
    folder = Path(tempfile.mkdtemp(prefix=f"warouter-{campaign}-", dir="/tmp"))
    folder.chmod(0o711)
    return folder


def children_of(pid: int) -> list[int]:
    """Pids of a process's children, as PostgreSQL's backends."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry))
    return found


def busy_seconds() -> float:
    """So far somebody has waited for a CPU for so long; 0 where Linux does not say."""
    try:
        said = Path("/proc/pressure/cpu").read_text()
    except OSError:
        return 0.0
    return int(said.partition("total=")[2].split()[0]) / 1e6
