"""Checks as a process starts that the media directory can be written, and makes nothing there.

What goes wrong later is said to whoever uploads, see ``directory``.
"""

from __future__ import annotations

import os
from pathlib import Path


def trouble(path: Path) -> str:
    """A sentence on why this account cannot write media at ``path``; "" if it can."""
    folder = _existing(path)
    remedy = _remedy(folder)
    if not remedy:
        return ""
    return (
        f"WAROUTER_MEDIA_DIR is {path}, and {folder} {remedy}; until then uploads are refused,"
        " inbound media is not stored, and everything else works."
    )


def _existing(path: Path) -> Path:
    """Where the next file would be made, or the folder for it; of what this account can see."""
    folders = [path / "partial", path, *path.parents]
    return next((folder for folder in folders if os.path.exists(folder)), Path("/"))


def _remedy(folder: Path) -> str:
    try:
        if not folder.is_dir():
            return "is not a directory: set another one"
        disk = os.statvfs(folder)
        if disk.f_flag & os.ST_RDONLY:
            return "is read-only: mount it writable (in a unit of systemd also ReadWritePaths=)"
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
            return (
                f"belongs to uid {folder.stat().st_uid}, and this process is uid {os.geteuid()},"
                f" which may not write there: run `chown -R {os.geteuid()} {folder}`, or set"
                " another directory"
            )
        if disk.f_blocks and not disk.f_bavail:
            return "has no space left: make room, or enlarge it"
    except OSError as error:
        return f"cannot be looked at ({error.strerror}): mount it, or set another directory"
    return ""
