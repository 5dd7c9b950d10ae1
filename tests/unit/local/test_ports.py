"""Ports that are chosen before they are taken."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from warouter.errors import CommandError
from warouter.local import ports


def test_no_outgoing_connection_is_given_one_by_chance() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    chosen = [ports.free_port() for _ in range(200)]
    assert len(set(chosen)) == len(chosen)
    assert all(ports.LOWEST <= port < max(first, ports.LOWEST + 1) for port in chosen)


def test_one_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        draws = iter([number, number - 1, number - 2, number - 3])
        monkeypatch.setattr(ports.random, "randrange", lambda *_: next(draws))
        assert ports.free_port() != number


def test_a_machine_that_gives_every_port_to_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "range").write_text("1024\t65535\n")
    monkeypatch.setattr(ports, "_OUTGOING", tmp_path / "range")
    with claimed_elsewhere(ports.LOWEST):
        assert ports.free_port() != ports.LOWEST


def test_one_that_another_process_was_given_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    number, other = (ports.free_port() for _ in range(2))
    ports.release([number, other])
    with claimed_elsewhere(number):
        draws = iter([number, number, other])
        monkeypatch.setattr(ports.random, "randrange", lambda *_: next(draws))
        assert ports.free_port() == other


def test_one_that_is_released_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    number = ports.free_port()
    ports.release([number])
    with monkeypatch.context() as patch:
        patch.setattr(ports.random, "randrange", lambda *_: number)
        assert ports.free_port() == number
    ports.release([number, number])


def test_of_two_that_begin_with_one_port_the_second_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither listens yet: looking at the port alone would give it to both."""
    number = ports.free_port()
    ports.release([number])
    with claimed_elsewhere(number):
        for host in ("127.0.0.1", "0.0.0.0"):
            with pytest.raises(CommandError, match=rf"^Port {number} is taken .* or give --port"):
                ports.take(number, host)
    assert ports.take(number) == number
    with pytest.raises(CommandError, match="another cluster"):
        ports.take(number)
    ports.release([number])


def test_one_that_could_not_be_taken_is_not_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(CommandError, match="in use"):
            ports.take(number)
    assert ports.take(number) == number
    ports.release([number])


@contextmanager
def claimed_elsewhere(port: int) -> Iterator[None]:
    """A process that was given this port, and lives."""
    claim = (
        "import sys; from warouter.local import ports; ports._TRIES = 10_000_000\n"
        f"ports.random.randrange = lambda *_: {port}\n"
        f"assert ports.free_port() == {port}\n"
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", claim]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        try:
            yield
        finally:
            process.communicate()
