"""SECURITY.md: each point of the checklist is there, with tests that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (S\d+) \|(.*)\|(.*)\|(.*)\|$", (ROOT / "SECURITY.md").read_text(), re.M)


def missing(name: str) -> bool:
    """True of a test, a file of tests or a target of make that does not exist."""
    if name.startswith("make "):
        return name[5:] not in targets()
    path, _, test = name.partition("::")
    known = in_file(path)
    if test.endswith("*"):
        return not any(each.startswith(test[:-1]) for each in known)
    return test not in known if test else not known


@cache
def in_file(path: str) -> frozenset[str]:
    file = ROOT / path
    found = re.findall(
        r"^ *(?:async )?def (test_\w+)", file.read_text() if file.is_file() else "", re.M
    )
    return frozenset(found)


@cache
def targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_point_stands_there_once_in_order() -> None:
    assert [point for point, *_ in ROWS] == [f"S{n}" for n in range(1, 29)]


@pytest.mark.parametrize("row", ROWS, ids=[point for point, *_ in ROWS])
def test_each_has_tests_that_exist(row: tuple[str, ...]) -> None:
    *said, tests = row[1:]
    assert all(len(cell.strip()) > 3 for cell in said)
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    assert [name for name in named if missing(name)] == []
    assert re.sub(r"`[^`]+`", "", tests).strip() == ""


@pytest.mark.parametrize(
    "name",
    [
        "tests/unit/test_nowhere.py",
        "tests/unit/test_locks.py::test_nothing",
        "tests/unit/test_locks.py::test_nothing_*",
        "make nothing",
        "tests/harness/wait.py",  # has no test
    ],
)
def test_the_judge_finds_what_does_not_exist(name: str) -> None:
    assert missing(name)
