"""A real PostgreSQL with fsync on, for what is timed against a disk; what is kept of the times."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.report.results import about
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


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Of ``--benchmark-json`` keep what docs/benchmarks.md shows (``bench.report``); seconds."""
    found = [
        {"name": one["name"], "group": one["group"], **{n: one["stats"][n] for n in _STATS}}
        for one in output_json["benchmarks"]
    ]
    output_json.clear()
    output_json.update({"about": about(), "functions": found})


_STATS = ("min", "median", "rounds")
