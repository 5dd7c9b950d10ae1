"""Names that clients chose: silent ones keep neither the loop's lookups nor each other waiting."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.wait import soon
from warouter.net.names import HostLookups

HERE = socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)


class Server:
    """Lookups of "silent" names hang until they are let go; others are answered."""

    def __init__(self) -> None:
        self.hanging = 0
        self.most = 0
        self.let_go = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, host: str, _port: int, **_: Any) -> list[Any]:
        if "silent" in host:
            with self._lock:
                self.hanging += 1
                self.most = max(self.most, self.hanging)
            self.let_go.wait(60)
            with self._lock:
                self.hanging -= 1
        if "none" in host:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        if "odd" in host:
            raise UnicodeError("label too long")
        return HERE


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.let_go.set()


async def look_up(names: HostLookups, asker: str, host: str) -> list[str]:
    found = await names.of(asker).resolve(host, 80, socket.AF_UNSPEC)
    return [address["host"] for address in found]


async def test_silent_names_of_one_asker_keep_nobody_else_waiting(server: Server) -> None:
    names = HostLookups(threads=6, each=4, seconds=60.0, lookup=server)
    calls = [asyncio.ensure_future(look_up(names, "a", f"silent-{n}")) for n in range(24)]
    await soon(lambda: server.hanging == 4)
    assert await look_up(names, "b", "good") == ["127.0.0.1"]
    server.let_go.set()
    assert await asyncio.gather(*calls) == [["127.0.0.1"]] * 24
    assert server.most == 4


async def in_vain(names: HostLookups, *silent: str) -> None:
    """These names are looked up at once for one user; all are given up in time."""
    calls = [look_up(names, "a", name) for name in silent]
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, OSError)
        assert "in time" in str(result)


async def test_an_abandoned_lookup_counts_until_its_thread_ends(server: Server) -> None:
    names = HostLookups(threads=2, each=2, seconds=0.2, lookup=server)
    for _ in range(3):
        await in_vain(names, *(f"silent-{n}" for n in range(8)))
    assert server.most == 2
    with pytest.raises(OSError, match="in time"):  # all threads hang
        await look_up(names, "b", "good")
    server.let_go.set()
    await soon(lambda: server.hanging == 0)
    assert await look_up(names, "a", "good") == ["127.0.0.1"]
    assert await look_up(names, "b", "good") == ["127.0.0.1"]


async def test_a_silent_name_that_is_asked_for_again_has_one_thread(server: Server) -> None:
    """Three dead links that are sent often do not keep the good ones of their sender waiting."""
    names = HostLookups(threads=8, each=4, seconds=1.0, lookup=server)
    for _ in range(3):
        await in_vain(names, *(f"silent-{n % 3}" for n in range(24)))
        assert server.hanging == 3
        assert await look_up(names, "a", "good") == ["127.0.0.1"]
    server.let_go.set()
    await soon(lambda: server.hanging == 0)
    assert await look_up(names, "a", "silent-1") == ["127.0.0.1"]  # found meanwhile


async def test_callers_for_one_name_share_the_answer(server: Server) -> None:
    names = HostLookups(threads=8, each=2, seconds=60.0, lookup=server)
    calls = [asyncio.ensure_future(look_up(names, asker, "silent")) for asker in "abca"]
    await soon(lambda: server.hanging == 1)
    calls += [asyncio.ensure_future(look_up(names, "d", "Silent."))]
    await asyncio.sleep(0)
    gone = calls.pop(0)  # who began it
    gone.cancel()
    server.let_go.set()
    assert await asyncio.gather(*calls) == [["127.0.0.1"]] * 4
    assert server.most == 1


async def test_a_caller_that_goes_away_takes_nothing_along(server: Server) -> None:
    names = HostLookups(threads=1, each=1, seconds=60.0, lookup=server)
    first = asyncio.ensure_future(look_up(names, "a", "silent"))
    await soon(lambda: server.hanging == 1)
    waiting = [asyncio.ensure_future(look_up(names, asker, f"silent-{asker}")) for asker in "ab"]
    await asyncio.sleep(0)
    for call in (first, *waiting):
        call.cancel()
    await asyncio.gather(first, *waiting, return_exceptions=True)
    server.let_go.set()
    assert await look_up(names, "b", "good") == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["none", "odd"])
async def test_no_such_name(server: Server, host: str) -> None:
    with pytest.raises(OSError, match=r"no such name|is not a valid host name"):
        await look_up(HostLookups(lookup=server), "a", host)


async def test_the_systems_own_lookup() -> None:
    assert "127.0.0.1" in await look_up(HostLookups(), "a", "localhost")
    with pytest.raises(OSError, match="is not a valid host name"):
        await look_up(HostLookups(), "a", "a" * 70 + ".test")
