"""Wall clocks that can be set while their processes run, by Debian's libfaketime.

Each process has its own, PostgreSQL too. CLOCK_MONOTONIC and CLOCK_BOOTTIME go on, as they do when
an operator or NTP sets the clock of a machine.
"""

from __future__ import annotations

import glob
from pathlib import Path

_LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"
CLOCKS = "clocks"  # what a nemesis needs that sets one
SEEN_SECONDS = 1.2  # until every process has looked at its file again
NOT_RUN = "clocks are not set: not run (Debian's package faketime brings libfaketime)"


def available() -> bool:
    return bool(glob.glob(_LIBRARY))


class Clocks:
    """One file for each process; ``folder`` can be looked into by the account of PostgreSQL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir()
        self._folder.chmod(0o755)

    def environment(self, name: str) -> dict[str, str]:
        """What the process is started with."""
        self.set(name, 0.0)
        return {
            "LD_PRELOAD": glob.glob(_LIBRARY)[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._folder / name),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
        }

    def set(self, name: str, ahead: float) -> None:
        """So many seconds before the true time, or behind it."""
        file = self._folder / name
        beside = file.with_suffix(".new")
        beside.write_text(f"{ahead:+.3f}\n")
        beside.chmod(0o644)
        beside.rename(file)
