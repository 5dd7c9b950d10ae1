"""The packages that machines are installed from, and the table at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.measured import TABLE

ROOT = Path(__file__).parents[3]
FORMER = ROOT / "build" / "former-package"


def newest(folder: Path) -> Path:
    """The package in a folder; the Makefile has put it there."""
    found = sorted(folder.glob("warouter_*_amd64.deb"), key=lambda path: path.stat().st_mtime)
    assert found, f"no package in {folder}: run make test-machines, which builds it"
    return found[-1]


@pytest.fixture(scope="session")
def package() -> Path:
    """Today's."""
    return newest(ROOT / "dist")


@pytest.fixture(scope="session")
def former_package() -> Path:
    """Of the build before, for upgrades."""
    return newest(FORMER)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TABLE.rows:
        terminalreporter.section("measured")
        for line in TABLE.lines():
            terminalreporter.line(line)
