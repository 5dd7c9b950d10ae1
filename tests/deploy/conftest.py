"""A suite that ran in part only fails, and says in one line what it lacks.

Suites elsewhere load it by name (WHOLE in the Makefile).
"""

from __future__ import annotations

import os

import pytest

from tests.deploy.needs import said_of


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _lacks(session.config) and not os.environ.get("GO_ON") and session.exitstatus in _PASSED:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(config: pytest.Config) -> None:
    if lacks := _lacks(config):
        config.get_terminal_writer().line(f"Not all of it ran: {lacks}")


_PASSED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def _lacks(config: pytest.Config) -> str:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    return said_of(each.longrepr[2] for each in skipped if isinstance(each.longrepr, tuple))
