from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.needs import unless
from tests.deploy.network import ip
from tests.deploy.package.root import Root
from tests.deploy.rootfs import rootfs
from warouter import __version__

DIST = Path(os.environ.get("DIST", "dist")).absolute()
NEEDED = unless("mmdebstrap", "ip")
# `make packages` has said so, too.
PACKED = pytest.mark.skipif(
    not Path("/usr/bin/python3.13").exists(),
    reason="not run (apt-get install python3.13 python3.13-venv python3.13-dev)",
)


@pytest.fixture(scope="session", autouse=True)
def loopback() -> None:
    ip("link", "set", "lo", "up")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """A fresh Debian without a compiler."""
    made = Root(rootfs("bare"), tmp_path / "debian", DIST)
    yield made
    made.remove()


@pytest.fixture(scope="session")
def deb() -> Path:
    return DIST / f"warouter_{__version__}_amd64.deb"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, deb: Path) -> Iterator[Root]:
    """One with the .deb, which tests only read."""
    made = Root(rootfs("bare"), tmp_path_factory.mktemp("installed") / "debian", DIST)
    made.run("dpkg", "--install", f"/dist/{deb.name}")
    yield made
    made.remove()
