from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.network import ip
from tests.deploy.package.root import Root
from tests.deploy.rootfs import rootfs
from warouter import __version__

DIST = Path(os.environ.get("DIST", "dist")).absolute()


@pytest.fixture(scope="session", autouse=True)
def loopback() -> None:
    ip("link", "set", "lo", "up")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """A fresh Debian without a compiler."""
    made = Root(rootfs("bare"), tmp_path / "debian", DIST)
    yield made
    made.remove()


@pytest.fixture
def deb() -> Path:
    return DIST / f"warouter_{__version__}_amd64.deb"
