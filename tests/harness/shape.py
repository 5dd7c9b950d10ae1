"""The shape of the tree in figures: ``python -m tests.harness.shape [REVISION]``, `make shape`.

Lines of the gateway, the laboratory, SQL, Cython and tests; sizes of files and functions of the
gateway; and how many names of public classes stand for more than one class. Each column is a
revision of git: those that are named, and HEAD.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LAB = tuple(f"src/warouter/{part}/" for part in ("lab", "simulator", "demo", "probe"))
SUFFIXES = (".py", ".pyx", ".pxd", ".sql")


class Source(NamedTuple):
    """A file of the tree: its path under the root, and its text."""

    path: str
    text: str

    @property
    def lines(self) -> int:
        return self.text.count("\n")


def sources(revision: str) -> list[Source]:
    """Files of ``src`` and ``tests`` as a revision has them."""
    command = ("git", "-C", str(ROOT), "archive", revision, "src", "tests")
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as members:
        return [
            Source(member.name, found.read().decode())
            for member in members
            if member.name.endswith(SUFFIXES) and (found := members.extractfile(member))
        ]


def figures(files: list[Source]) -> Iterator[tuple[str, str]]:
    """Each figure's name and its value."""
    own = [file for file in files if file.path.startswith("src/")]
    python = [file for file in own if file.path.endswith(".py")]
    gateway = [file for file in python if not file.path.startswith(LAB)]
    trees = [ast.parse(file.text) for file in python]
    yield "gateway, lines of Python", _lines(gateway)
    yield "laboratory, lines of Python", _lines([file for file in python if file not in gateway])
    yield "Cython, lines", _lines([file for file in own if file.path.endswith((".pyx", ".pxd"))])
    yield "SQL, lines", _lines([file for file in own if file.path.endswith(".sql")])
    yield "tests, lines of Python", _lines([file for file in files if file not in own])
    yield "files of src: median, p90, max", _spread([file.lines for file in python])
    yield (
        "functions of src: median, p90, max",
        _spread([n for tree in trees for n in _lengths(tree)]),
    )
    names = Counter(name for tree in trees for name in _public_classes(tree))
    twice = sum(count > 1 for count in names.values())
    yield "class names used twice, of all", f"{twice} of {len(names)} ({twice / len(names):.1%})"


def _lines(files: list[Source]) -> str:
    return f"{sum(file.lines for file in files):,}"


def _spread(sizes: list[int]) -> str:
    ordered = sorted(sizes)
    return f"{ordered[len(ordered) // 2]}, {ordered[len(ordered) * 9 // 10]}, {ordered[-1]}"


def _lengths(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def _public_classes(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def main() -> None:
    revisions = (*sys.argv[1:], "HEAD")
    columns = [dict(figures(sources(revision))) for revision in revisions]
    print(" " * 36, *(f"{revision:>22}" for revision in revisions))
    for name in columns[0]:
        print(f"{name:36}", *(f"{column[name]:>22}" for column in columns))


if __name__ == "__main__":
    main()
