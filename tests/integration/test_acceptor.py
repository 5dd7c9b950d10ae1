"""The acceptor over real sockets: places from the accept on, and no descriptor left."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import uvloop

from tests.harness.certificates import contexts
from tests.harness.wait import PATIENCE, soon
from warouter.net import acceptor
from warouter.net.acceptor import Acceptor
from warouter.systemd import Notifier

HELLO, FULL = b"hello", b"full"


class Guest(asyncio.Protocol):
    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        transport.write(HELLO)

    def connection_lost(self, exc: Exception | None) -> None:
        self._keeper.guests.remove(self)


class Keeper:
    """So many may be in at once."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.guests: list[Guest] = []
        self.came: list[str] = []
        self.refused = self.lost_in_handshake = 0

    def enter(self, address: str, sock: socket.socket) -> Guest | None:
        self.came.append(address)
        if len(self.guests) >= self.places:
            return None
        self.guests.append(Guest(self))
        return self.guests[-1]

    def refuse(self) -> bytes:
        self.refused += 1
        return FULL

    def failed(self, guest: Guest, _error: BaseException) -> None:
        self.lost_in_handshake += 1
        self.guests.remove(guest)


class Client:
    """One end of a connection, in blocking calls that are made in a thread."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(PATIENCE)

    async def heard(self) -> bytes:
        """All until the other side closes."""

        def read() -> bytes:
            found = b""
            try:
                while part := self.socket.recv(100):
                    found += part
            except ConnectionResetError:
                pass
            return found

        return await asyncio.to_thread(read)

    async def hears(self, size: int) -> bytes:
        return await asyncio.to_thread(self.socket.recv, size)

    def close(self) -> None:
        self.socket.close()


Body = Callable[[Acceptor, Keeper], Awaitable[None]]


def on_uvloop(places: int, body: Body, tls: ssl.SSLContext | None = None) -> None:
    async def main() -> None:
        keeper = Keeper(places)
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        opened = Acceptor(sock, keeper, tls)
        opened.open()
        try:
            await body(opened, keeper)
        finally:
            opened.close()
            await soon(lambda: not opened._beginning)
            for guest in list(keeper.guests):
                guest.transport.abort()
            await soon(lambda: not keeper.guests)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def test_a_place_is_taken_at_the_accept_and_free_when_the_connection_is_lost() -> None:
    async def body(opened: Acceptor, keeper: Keeper) -> None:
        first = Client(opened.port)
        assert await first.hears(5) == HELLO
        with closing(Client(opened.port)) as second:
            assert await second.heard() == FULL
        assert (keeper.came, keeper.refused) == (["127.0.0.1"] * 2, 1)
        first.close()
        await soon(lambda: not keeper.guests)
        with closing(Client(opened.port)) as third:
            assert await third.hears(5) == HELLO

    on_uvloop(1, body)


def test_silent_handshakes_hold_places_and_only_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acceptor, "HANDSHAKE_SECONDS", 1.0)

    async def body(opened: Acceptor, keeper: Keeper) -> None:
        silent = [Client(opened.port) for _ in range(20)]
        await soon(lambda: len(keeper.came) == 20)
        assert (len(keeper.guests), keeper.refused) == (3, 17)
        assert [await client.heard() for client in silent] == [b""] * 20  # all are ended
        assert (keeper.lost_in_handshake, keeper.guests) == (3, [])
        for client in silent:
            client.close()

    on_uvloop(3, body, contexts("localhost")[0])


def test_connections_queued_at_the_close_are_served() -> None:
    async def body(opened: Acceptor, keeper: Keeper) -> None:
        clients = [Client(opened.port) for _ in range(30)]  # no turn of the loop in between
        opened.close()
        assert len(keeper.guests) == 30
        for client in clients:
            assert await client.hears(5) == HELLO
            client.close()

    on_uvloop(100, body)


@contextmanager
def files(limit: int) -> Iterator[None]:
    """This process may have no descriptor from ``limit`` on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def used() -> int:
    """The lowest descriptor that is free."""
    number = os.open(os.devnull, os.O_RDONLY)
    os.close(number)
    return number


def test_a_sign_of_life_takes_no_descriptor(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier(str(tmp_path / "notify"))
        with files(3):
            notifier.alive()
            Notifier(str(tmp_path / "notify")).alive()  # has none: nothing is said, nor raised
            assert manager.recv(4096) == b"WATCHDOG=1"
        notifier.close()
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


@pytest.mark.parametrize("mutant", [False, True], ids=["product", "mutant"])
def test_without_a_descriptor_the_reserve_is_given_up_to_refuse(
    mutant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mutant:
        monkeypatch.setattr(acceptor, "_reserve", lambda: None)

    async def body(opened: Acceptor, keeper: Keeper) -> None:
        clients = [Client(opened.port) for _ in range(5)]
        fill = [os.open(os.devnull, os.O_RDONLY) for _ in range(40)]  # no gap below is left
        limit = used()
        with files(limit):
            with pytest.raises(OSError, match="Too many open files"):
                os.open(os.devnull, os.O_RDONLY)
            if mutant:
                await asyncio.sleep(2 * acceptor.REST_SECONDS)  # they wait, without a word
            await soon(lambda: keeper.refused == (0 if mutant else 5))
            # The reserve is kept again: nobody else gets it.
            with pytest.raises(OSError, match="Too many open files"):
                os.open(os.devnull, os.O_RDONLY)
            for client in clients:
                assert mutant or client.socket.recv(100) == FULL
                client.close()
            assert keeper.came == []
        for number in fill:
            os.close(number)
        with closing(Client(opened.port)) as client:
            assert await client.hears(5) == HELLO

    on_uvloop(100, body)


def test_where_nothing_can_be_accepted_it_rests_and_goes_on_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = []
    refuse = Acceptor._refuse_with_reserve
    monkeypatch.setattr(
        Acceptor,
        "_refuse_with_reserve",
        lambda self, error: tries.append(error) or refuse(self, error),
    )

    async def body(opened: Acceptor, keeper: Keeper) -> None:
        with closing(Client(opened.port)) as client:
            with files(3):
                for _ in range(200):  # turns in which a loop that spins would try
                    await asyncio.sleep(0)
                await soon(lambda: len(tries) == 3)
                for _ in range(200):
                    await asyncio.sleep(0)
                assert len(tries) <= 4
            assert await client.hears(5) == HELLO

    on_uvloop(100, body)


def test_a_socket_that_accepts_nothing_closes_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(opened: Acceptor, keeper: Keeper) -> None:
        failed: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, it: failed.append(it))
        monkeypatch.setattr(acceptor, "REST_SECONDS", 0.0)
        free = used()
        with closing(Client(opened.port)):
            with files(3):
                opened.close()
            for _ in range(20):  # turns in which it would come back
                await asyncio.sleep(0.001)
            assert (failed, opened._reserve, opened._resting) == ([], None, None)
        assert used() <= free

    on_uvloop(100, body)


def test_the_acceptor_closes_under_a_stream_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "BACKLOG", 8)
    taken: list[int] = []
    monkeypatch.setattr(Acceptor, "_take", lambda _self: len(taken) < 99 and not taken.append(1))

    async def body(opened: Acceptor, keeper: Keeper) -> None:
        opened.close()
        assert len(taken) == 8

    on_uvloop(100, body)


def test_the_last_descriptors_are_not_for_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "_first_spare", lambda: used() + 2)

    async def body(opened: Acceptor, keeper: Keeper) -> None:
        clients = [Client(opened.port) for _ in range(6)]
        await soon(lambda: len(keeper.came) + keeper.refused == 6)
        assert keeper.refused >= 4
        for client in clients:
            client.close()

    on_uvloop(100, body)
