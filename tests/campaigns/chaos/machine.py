"""What a campaign wants of its machine: a folder, and which processes are whose."""

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
