"""Names of AWS that lead to the suite: in its own /etc/hosts, which ends with its mounts."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.deploy.network import HOST

HOSTS = Path("/etc/hosts")


def here(name: str, folder: Path) -> None:
    """From now on ``name`` is HOST, for this suite and what it starts."""
    own = folder / "hosts"
    if not own.exists():
        own.write_text(HOSTS.read_text())
        subprocess.run(["mount", "--bind", str(own), str(HOSTS)], check=True)
    with own.open("a") as file:
        file.write(f"{HOST} {name}\n")
