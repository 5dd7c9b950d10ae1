"""One commit of messages through the real fence; fsync and synchronous_commit are on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from warouter.config import Settings
from warouter.link.wire import Message
from warouter.store.database import connect
from warouter.store.journal import Journal

ROUNDS = 300
SLOTS = 16  # what one of two coreapps owns
OWNED = dict.fromkeys(range(SLOTS), 1)
BODY = b'{"to":"4915112345678","type":"text","text":{"body":"%s"}}' % (b"x" * 120)
_numbers = itertools.count(1)


class Owner:
    """An incarnation that owns its slots, on a loop of its own."""

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        incarnation = uuid4()
        self.journal = Journal(settings, incarnation, "bench")
        self.run(self._own(settings, incarnation))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def append(self, rows: list[Message]) -> None:
        owned = {row.slot: 1 for row in rows}
        assert self.run(self.journal.append(owned, rows)) == {}

    def close(self) -> None:
        self.run(self.journal.close())
        self._runner.close()

    async def _own(self, settings: Settings, incarnation: UUID) -> None:
        connection = await connect(settings, "bench")
        await connection.execute("update slot set owner = $1, epoch = 1", incarnation)
        commit = await connection.fetchval("show synchronous_commit")
        assert (commit, await connection.fetchval("show fsync")) == ("on", "on")
        await connection.close()


@pytest.fixture
def owner(durable: Settings) -> Iterator[Owner]:
    owner = Owner(durable)
    yield owner
    owner.close()


def batch(size: int) -> tuple[tuple[list[Message]], dict[str, Any]]:
    """New rows, as the appender makes them: slots mixed, ids and seqs never used before."""
    rows = []
    for _ in range(size):
        n = next(_numbers)
        slot = n % SLOTS
        message_id = bytes((1, slot)) + n.to_bytes(18, "big")
        rows.append(Message(slot, 1, message_id, 0, f"49151{n % 10_000:08d}", BODY, seq=n))
    return (rows,), {}


@pytest.mark.parametrize("size", [1, 16, 64, 256])
@pytest.mark.benchmark(group="append: one commit of N rows, fenced, to the disk")
def test_append(
    benchmark: BenchmarkFixture, owner: Owner, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(20):
        owner.append(batch(size)[0][0])
    benchmark.pedantic(owner.append, setup=lambda: batch(size), rounds=ROUNDS)
    if benchmark.enabled:  # else there is one round, and no figure
        rate = size / benchmark.stats.stats.median
        with capsys.disabled():
            print(f"\nappend of {size:3} rows: {rate:9,.0f} rows/s")
