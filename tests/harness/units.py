"""The units of systemd that are shipped."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"


def unit(role: str) -> Path:
    return FOLDER / f"warouter-{role}@.service"


def seconds(role: str, name: str) -> float:
    """What a unit says of a time."""
    return float(unit(role).read_text().partition(f"\n{name}=")[2].partition("\n")[0])
