"""Back-off, log lines, datagrams to the service manager, and what each role loads."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.wait import PATIENCE
from warouter.log import JsonLines, shown
from warouter.retry import backoff
from warouter.systemd import Notifier


def test_backoff_doubles_up_to_its_cap() -> None:
    delays = [backoff(n, first=0.5, most=3.0, draw=0.0) for n in (0, 1, 2, 3, 10_000)]
    assert delays == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_draw_shortens_it_by_half_at_the_most(attempt: int, draw: float) -> None:
    whole = backoff(attempt, first=0.05, most=2.0, draw=0.0)
    assert whole / 2 <= backoff(attempt, first=0.05, most=2.0, draw=draw) <= whole
    assert backoff(attempt, first=0.05, most=2.0, draw=0.5) == whole * 0.75


@given(st.text())
def test_whatever_is_logged_is_one_line_of_json(text: str) -> None:
    record = logging.makeLogRecord({"msg": "event", "levelname": "INFO", "text": text})
    line = JsonLines().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["text"] == shown(text)


def test_the_service_manager_hears_ready_and_status(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier(str(tmp_path / "notify"))
        notifier.ready("secondary")
        notifier.alive()
        lines = manager.recv(4096).decode().splitlines()
        assert lines[:2] == ["READY=1", "STATUS=secondary"]
        assert manager.recv(4096) == b"WATCHDOG=1"
        notifier.close()


def test_ready_is_said_again_until_the_service_manager_takes_it(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            full = 0
            with suppress(BlockingIOError):
                while other.sendto(b"X=1", path):  # until its queue is full
                    full += 1
        notifier = Notifier(path)
        notifier.ready("serving")
        notifier.alive()
        for _ in range(full):
            assert manager.recv(4096) == b"X=1"
        for _ in range(2):
            notifier.alive()
        assert manager.recv(4096).startswith(b"READY=1\nSTATUS=serving\n")
        assert manager.recv(4096) == b"WATCHDOG=1"
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(4096)  # READY once, and a sign of life once a second
        notifier.close()


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_without_a_service_manager_nothing_happens(address: str) -> None:
    notifier = Notifier(address)
    notifier.ready("fine")  # must not raise
    notifier.alive()
    notifier.close()


NOT_NEEDED = {  # the lightest first: one process loads them all
    "master": [
        "warouter._batch",
        "warouter.link._frames",
        "warouter.upstream",
        "aiohttp",
        "tomllib",
    ],
    "coreapp": ["aiohttp.web", "warouter.api", "warouter.media.bucket", "warouter.upstream.cloud"],
    "console": ["jinja2", "markupsafe"],
    "webapp": ["phonenumbers", "cryptography", "tomllib", "jinja2"],
}


def test_roles_load_what_they_need_and_hide_it_from_the_collector() -> None:
    """The linter reads .py files only, so a master's frames are looked for here."""
    program = (
        "import gc, json, sys\n"
        "from warouter.cli import imported\n"
        "for role, heavy in json.loads(sys.argv[1]).items():\n"
        "    imported('warouter.cli.nodes'), imported(f'warouter.node.{role}')\n"
        "    print([m for m in heavy if m in sys.modules], len(gc.get_objects()) < 1_000)"
    )
    command = [sys.executable, "-c", program, json.dumps(NOT_NEEDED)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "[] True\n" * len(NOT_NEEDED), done.stderr
