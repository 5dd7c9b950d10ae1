"""What is said of an address that nobody can listen at, and of a data directory that is no use."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from warouter.errors import CommandError
from warouter.local.description import take_folder
from warouter.net.acceptor import Acceptor, listener
from warouter.net.sockets import not_listening, not_taken

VARIABLES = ("COREAPP_EXTERNAL_PORTS", "COREAPP_HOSTNAME")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (errno.EADDRINUSE, "set COREAPP_EXTERNAL_PORTS to one that is free."),
        (errno.EACCES, "set COREAPP_EXTERNAL_PORTS to 1024 or more, or give this process CAP_"),
        (errno.EADDRNOTAVAIL, "set COREAPP_HOSTNAME to an address of this host."),
    ],
)
def test_the_remedy_fits_the_error(error: int, remedy: str) -> None:
    said = not_taken(OSError(error, os.strerror(error)), 443, "10.0.0.9", VARIABLES)
    assert said.startswith(f"Port 443 at 10.0.0.9 cannot be taken ({os.strerror(error)}): ")
    assert remedy in said


def test_a_name_that_nobody_knows_is_the_hosts_variable() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert "set COREAPP_HOSTNAME to" in not_taken(error, 6250, "b.internal", VARIABLES)


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "data"):
        with pytest.raises(CommandError, match=r"cannot be used \(.*\): give another --data-dir"):
            take_folder(folder)


def test_a_data_directory_is_made_and_taken_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    taken = take_folder(folder)
    with pytest.raises(CommandError, match=r"runs on .* already"):
        take_folder(folder)
    os.close(taken)
    os.close(take_folder(folder))


def test_a_console_takes_its_port_before_it_serves() -> None:
    """Two that begin at once: the second is told, and not only when it would serve."""
    with listener("127.0.0.1", 0, VARIABLES) as first:
        port = first.getsockname()[1]
        with pytest.raises(CommandError, match="set COREAPP_EXTERNAL_PORTS to one that is free"):
            listener("127.0.0.1", port, VARIABLES)


async def test_a_bound_port_at_which_another_listens_by_now_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(bound()) as ours, closing(bound(ours.getsockname()[1])) as other:
        acceptor = Acceptor(ours, Keeper())
        other.listen()
        with pytest.raises(OSError, match="in use"):
            acceptor.open()
        assert not_listening([other, ours]) == (ours.getsockname()[1], "127.0.0.1")
        acceptor.close()
    assert caplog.records == []


def bound(port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


class Keeper:
    """Lets nobody in."""

    def enter(self, _address: str, _sock: socket.socket) -> asyncio.Protocol | None:
        return None

    def refuse(self) -> bytes:
        return b""

    def failed(self, _protocol: asyncio.Protocol, _error: BaseException) -> None: ...
