"""Ports that are chosen before they are taken."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

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
    monkeypatch.setattr(ports, "_given", {ports.LOWEST})
    assert ports.free_port() != ports.LOWEST
