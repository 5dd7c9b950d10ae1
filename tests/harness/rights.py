"""No process of a cluster asked for what its login may not: PostgreSQL's log would say so."""

from __future__ import annotations

from pathlib import Path

_REFUSED = ("permission denied", "must be owner of", "is not that of a")


def refusals(folder: Path) -> list[str]:
    """What PostgreSQL refused to a login in the cluster of this data directory, with the statement
    where it is told.
    """
    log = folder / "postgres.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return [
        "\n".join(lines[n : n + 2])
        for n, line in enumerate(lines)
        if any(word in line for word in _REFUSED)
    ]


def nothing_refused(folder: Path) -> None:
    """Fail if PostgreSQL has refused a right to any login of a local cluster."""
    found = refusals(folder)
    assert not found, "\n".join(found)
