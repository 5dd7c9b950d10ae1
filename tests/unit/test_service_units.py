"""The units of systemd allow what a process needs, and no more than what windows count on."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.harness.units import seconds, unit
from warouter.config import Timing
from warouter.local.process import QUIET_STOP_SECONDS, STOP_SECONDS, Process
from warouter.node import runtime
from warouter.node.runtime import signs_of_life
from warouter.owner.beats import LEAVE_SECONDS, QUIET_LEAVE_SECONDS, RELEASE_SECONDS
from warouter.systemd import Notifier

CLOSING_SECONDS = 5.0  # sockets and sessions, after the slots


def test_the_watchdog_of_a_coreapp_is_the_one_that_windows_count_on() -> None:
    """A former owner that was frozen is dead, and not sending, before a window has ended."""
    assert seconds("coreapp", "WatchdogSec") == Timing().watchdog


def test_a_coreapp_has_the_time_to_wait_for_what_is_out() -> None:
    needed = QUIET_LEAVE_SECONDS + RELEASE_SECONDS + CLOSING_SECONDS
    assert seconds("coreapp", "TimeoutStopSec") >= needed


@pytest.mark.parametrize(
    ("role", "upstream", "allowed", "needed"),
    [
        ("coreapp", "cloud", QUIET_STOP_SECONDS, QUIET_LEAVE_SECONDS + RELEASE_SECONDS),
        ("coreapp", "simulator", STOP_SECONDS, LEAVE_SECONDS + RELEASE_SECONDS),
        ("webapp", "cloud", STOP_SECONDS, 0.0),
    ],
)
def test_a_coreapp_on_one_machine_has_the_time_to_wait_too(
    role: str, upstream: str, allowed: float, needed: float, tmp_path: Path
) -> None:
    process = Process(role, role, [role], {"WAROUTER_UPSTREAM": upstream}, tmp_path)
    assert process._stop_seconds == allowed >= needed + CLOSING_SECONDS


async def test_the_watchdog_is_fed_by_turns_of_the_loop_and_not_by_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away for long is no reason to be killed with requests out."""
    monkeypatch.setattr(runtime, "SIGN_SECONDS", 0.0)
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        notifier = Notifier(path)
        feeding = asyncio.create_task(signs_of_life(notifier))
        loop = asyncio.get_running_loop()
        for _ in range(2):
            assert await loop.sock_recv(manager, 99) == b"WATCHDOG=1"
            notifier._next_sign = 0.0
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        notifier.close()


@pytest.mark.parametrize("role", ["webapp", "coreapp", "master", "console", "simulator"])
def test_a_binary_that_cannot_start_is_tried_less_and_less_often(role: str) -> None:
    lines = unit(role).read_text().splitlines()
    assert {"Restart=always", "StartLimitIntervalSec=0", "RestartSec=200ms"} <= set(lines)
    assert {"RestartSteps=5", "RestartMaxDelaySec=5s"} <= set(lines)
