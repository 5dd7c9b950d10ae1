"""A folder of links to the programs that README asks for, and to no others.

It is the PATH of `make test-bare`.

Which those are is Debian's to say: what belongs to every system, and what the packages of README
bring and depend on.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PREREQUISITES = ("gcc", "make", "python3", "python3-dev", "python3-venv")
FOLDERS = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/")
_SOFT = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")


def of_every_system() -> Iterator[str]:
    """Packages that no Debian is without."""
    shown = "--showformat=${binary:Package} ${Essential} ${Priority}\n"
    for line in _said("dpkg-query", "--show", shown).splitlines():
        name, essential, priority = line.split()
        if essential == "yes" or priority == "required":
            yield name


def with_what_they_need(*names: str) -> Iterator[str]:
    """Those of the packages that are installed, and all that they depend on."""
    only = (f"--no-{kind}" for kind in _SOFT)
    said = _said("apt-cache", "depends", "--recurse", "--installed", *only, *names)
    for line in said.splitlines():
        if not line.startswith((" ", "<", "|")):
            yield line


def programs(packages: set[str]) -> Iterator[Path]:
    listed = subprocess.run(
        ["dpkg-query", "--listfiles", *sorted(packages)], capture_output=True, text=True
    ).stdout  # what was only depended on is no error
    for line in listed.splitlines():
        if line.startswith(FOLDERS) and (path := Path(line)).is_file():
            yield path


def fill(folder: Path) -> None:
    """Link them into the folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in programs({*of_every_system(), *with_what_they_need(*PREREQUISITES)}):
        link = folder / path.name
        if not link.is_symlink():
            link.symlink_to(path)


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
