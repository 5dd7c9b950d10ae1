"""A real PostgreSQL with fsync on, for what is timed against a disk."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from warouter.config import Settings, load
from warouter.local.postgres import Postgres
from warouter.store.migrate import migrate


@pytest.fixture(scope="session")
def durable() -> Iterator[Settings]:
    """A migrated database on a server as `warouter up` starts it: every commit is on disk."""
    with tempfile.TemporaryDirectory(prefix="warouter-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)  # the server may run under another account
        server = Postgres(Path(folder) / "pg")
        server.start()
        try:
            settings = load(server.settings())
            asyncio.run(migrate(settings))
            yield settings
        finally:
            server.stop()
