"""One account for the suite, with the stacks that all others stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.deploy import imds, network
from tests.deploy.aws.account import Account, opened
from tests.deploy.measured import TABLE

PACKAGES = Path(__file__).parents[3] / "dist"


@pytest.fixture(scope="session")
def package() -> Path:
    """Today's; the Makefile has put it there."""
    found = sorted(PACKAGES.glob("warouter_*_amd64.deb"), key=lambda path: path.stat().st_mtime)
    assert found, "no package in dist: run make test-aws, which builds it"
    return found[-1]


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def account(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Account]:
    network.make(imds.ADDRESS)
    async with opened(tmp_path_factory.mktemp("aws")) as found:
        # ministack knows no NAT gateways: cfn-lint alone has read those.
        await found.created("network", {"NatGateways": "no"})
        await found.created("database", {"NetworkStack": "network"})
        await found.created("lambda", {"NetworkStack": "network", "DatabaseStack": "database"})
        yield found
        for name in ("lambda", "database", "network"):
            await found.deleted(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TABLE.rows:
        terminalreporter.section("measured")
        for line in TABLE.lines():
            terminalreporter.line(line)
