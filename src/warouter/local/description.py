"""cluster.json, which ``warouter up`` writes for programs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import msgspec

from warouter.errors import CommandError

NAME = "cluster.json"


def read_description(folder: Path) -> dict[str, Any]:
    """The description of a data directory's cluster; empty if there is none."""
    path = folder / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}.") from error


def write_description(folder: Path, text: str) -> None:
    """Replace the file in one step. It holds a password, so it has mode 0600 from the beginning."""
    path = folder / NAME
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    new.replace(path)


def take_folder(folder: Path) -> int:
    """Make the data directory unless it is there, and lock it while this process lives: a second
    one would end its PostgreSQL.
    """
    try:
        # PostgreSQL's account goes through it; nobody else has anything to list there.
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise CommandError(_unfit(folder, error.strerror)) from error
    if not os.access(folder, os.W_OK):
        os.close(descriptor)
        raise CommandError(_unfit(folder, "this account may not write there"))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise CommandError(
            f"A cluster runs on {folder} already: stop it first, or give another --data-dir."
        ) from error
    return descriptor


def _unfit(folder: Path, reason: str | None) -> str:
    return f"The data directory {folder} cannot be used ({reason}): give another --data-dir."
