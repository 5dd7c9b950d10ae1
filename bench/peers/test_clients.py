"""The raw clients of ``bench/peers``: what they send, and answers that come in any pieces."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bench.peers.clients.nats import Nats
from bench.peers.clients.pipe import Pipe
from bench.peers.clients.redis import Redis


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))


def _connected(make: Callable[[], Pipe]) -> tuple[Any, Wire]:
    client, wire = make(), Wire()
    client.connection_made(wire)
    return client, wire


async def _called(client: Any, calls: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(client.put(n)) for n in range(calls)]
    for _ in range(3):  # the calls, then the write
        await asyncio.sleep(0)
    return tasks


def _feed(client: Pipe, data: bytes, size: int) -> None:
    for at in range(0, len(data), size):
        client.data_received(data[at : at + size])


@pytest.mark.parametrize("make", [Redis, Nats])
async def test_the_calls_of_a_turn_are_one_write(make: Callable[[], Pipe]) -> None:
    client, wire = _connected(make)
    tasks = await _called(client, 3)
    assert len(wire.written) == 1
    assert wire.written[0].count(b"on its way") == 3
    client.connection_lost(None)
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_redis_answers_in_order(size: int) -> None:
    client, _ = _connected(Redis)
    tasks = await _called(client, 3)
    counted = asyncio.create_task(client.count())
    await asyncio.sleep(0)
    _feed(client, b"$3\r\n1-0\r\n-OOM no memory\r\n$3\r\n1-1\r\n:2\r\n", size)
    first, second, third, count = await asyncio.gather(*tasks, counted, return_exceptions=True)
    assert (first, third, count) == (None, None, 2)
    assert str(second) == "OOM no memory"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_nats_answers_under_their_number(size: int) -> None:
    client, _ = _connected(Nats)
    tasks = await _called(client, 3)
    acknowledged, refused = b'{"stream":"queue","seq":7}', b'{"error":{"code":503}}'
    _feed(
        client,
        b"INFO {}\r\nMSG inbox.2 1 %d\r\n%b\r\nMSG inbox.0 1 %d\r\n%b\r\n"
        % (len(acknowledged), acknowledged, len(refused), refused)
        + b"HMSG inbox.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
        size,
    )
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert third is None
    assert "503" in str(first)
    assert str(second) == "NATS/1.0 503"


async def test_nats_is_told_that_we_live() -> None:
    client, wire = _connected(Nats)
    client.data_received(b"PING\r\n")
    await asyncio.sleep(0)
    assert wire.written == [b"PONG\r\n"]


@pytest.mark.parametrize("make", [Redis, Nats])
async def test_no_call_outlasts_its_connection(make: Callable[[], Pipe]) -> None:
    client, _ = _connected(make)
    tasks = await _called(client, 2)
    client.connection_lost(OSError("gone"))
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(ended, ConnectionError)
