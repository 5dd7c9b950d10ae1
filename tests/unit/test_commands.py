"""The table of commands in docs/testing.md and the Makefile say the same."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
ROW = re.compile(r"^\| `make ([a-z-]+)` \|[^|]*\|([^|]*)\|([^|]*)\|", re.MULTILINE)


def table() -> list[tuple[str, str, set[str]]]:
    """(target, when, Debian packages) of each row."""
    rows = ROW.findall((ROOT / "docs" / "testing.md").read_text())
    return [(target, when, set(re.findall(r"`([^`]+)`", wants))) for target, when, wants in rows]


def test_every_command_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
    assert len(table()) > 10
    assert {target for target, _, _ in table()} <= targets


def test_make_apt_installs_what_the_commands_want() -> None:
    installed = re.search(r"^DEBIAN := ((?:.*\\\n)*.*)", MAKEFILE, re.MULTILINE)
    assert installed is not None
    names = set(installed[1].replace("\\", " ").split())
    of_all = set[str]().union(*(packages for _, _, packages in table()))
    of_ci = set[str]().union(*(packages for _, when, packages in table() if ".ci/run" in when))
    assert of_ci <= names <= of_all


def test_targets_documented_for_ci_run_there() -> None:
    run = set(re.findall(r"^part make ([a-z-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    assert run - {"apt"} == {target for target, when, _ in table() if ".ci/run" in when}
