"""The figures of the runs that docs/benchmarks.md shows, kept as JSON in bench/results/."""

from __future__ import annotations

import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from bench import machine

FOLDER = Path(__file__).parents[1] / "results"

Figures = dict[str, Any]


def write(path: Path, figures: Figures) -> None:
    """Keep them, with what they are of."""
    whole = {"about": about(), **figures}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n")


def read(name: str) -> Figures:
    """Of one benchmark; nothing if it was not run."""
    path = FOLDER / f"{name}.json"
    return msgspec.json.decode(path.read_bytes(), type=Figures) if path.exists() else {}


def about() -> dict[str, str]:
    """The machine, the Python, the commit and the day."""
    return {
        "machine": machine.description(),
        "python": platform.python_version(),
        "commit": _commit(),
        "day": time.strftime("%-d %b %Y"),
    }


def at(figures: Figures, *path: str) -> Any:
    """The figure at the end of that way; None if there is none."""
    value: Any = figures
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def _commit() -> str:
    """Its short name, and whether the sources differ from it."""
    try:
        changed = _git("status", "--porcelain", "--", "src")
        return _git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ("git", "-C", str(FOLDER.parents[1]), *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
