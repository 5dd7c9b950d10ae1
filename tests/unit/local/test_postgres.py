"""The embedded PostgreSQL: when it counts as ready."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from warouter.local import postgres
from warouter.local.postgres import Postgres


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_status_that_its_killed_predecessor_left_is_not_the_servers_own(
    tmp_path: Path, child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is put in the place of the old one between two looks, wherever those are."""

    def file(pid: int, status: str) -> list[str]:
        return [str(pid), "folder", "1", "5432", "sockets", "", "", status]

    old, starting = file(child.pid + 1, "ready   "), file(child.pid, "starting")
    says = iter([old, starting, starting, starting, file(child.pid, "ready   ")])
    seen: list[str] = []

    def lines(_path: Path) -> list[str]:
        now = next(says)
        seen.append(now[7].strip() + (" of another" if now is old else ""))
        return now

    monkeypatch.setattr(postgres, "_lines", lines)
    server = Postgres(tmp_path / "postgres")
    monkeypatch.setattr(server, "_child", child)
    server._wait_ready()
    assert seen[-1] == "ready"
