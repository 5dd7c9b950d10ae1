"""One stream, one reader of boundaries: however bytes arrive, each request is run as it was sent.

Streams are cut wherever it may hurt, answers leave in between, and proxies and a relay of our own
put an administrator's and a user's requests on one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from tests.api.test_fastpath import Wire
from tests.support.front import (
    LINE,
    Front,
    Request,
    any_request,
    judge,
    other,
    plain,
    sized,
    trap,
)
from warouter.api.protocol import Connection, Connections

Make = Callable[[Connections], Connection]


async def turns(many: int = 12) -> None:
    for _ in range(many):
        await asyncio.sleep(0)


async def played(
    sent: list[Request], cuts: list[int], make: Make, gaps: Random | None = None
) -> list[str]:
    """Faults of one connection that gets the requests in pieces. With ``gaps`` the next piece
    sometimes comes at once, and sometimes nothing is answered before it.
    """
    front = Front()
    connections = Connections(front.server, None, front.fast)
    connection, wire = make(connections), Wire()
    connection.connection_made(wire)
    await turns()
    stream = b"".join(request.raw for request in sent)
    edges = sorted({0, *cuts, len(stream)})
    for begin, end in pairwise(edges):
        if gaps is not None and gaps.random() < 0.3:
            front.gate.clear()
        if wire.closed:
            break
        connection.data_received(stream[begin:end])
        if gaps is None or gaps.random() < 0.7:
            await turns()
        if gaps is not None and gaps.random() < 0.5:
            front.gate.set()
            front.release()
            await turns(gaps.randrange(6))
    front.gate.set()
    for _ in range(len(sent) * 4):
        front.release()
        await turns()
    connection.connection_lost(None)
    return judge(sent, front.runs, front.marks(wire.written))


def real(connections: Connections) -> Connection:
    made = connections.enter("")
    assert made is not None
    return made


class Forgetful(Connection):
    """A mutant: the fast path begins although half of another request's head is here."""

    def data_received(self, data: bytes) -> None:
        if self._fast is None or not self._fast.take_known(data, self):
            super().data_received(data)


def forgetful(connections: Connections) -> Connection:
    made = Forgetful(connections, connections._server)
    connections._open[made] = ""
    return made


def a_trap() -> list[Request]:
    """A warm connection, an early answer, and a trap right behind its body."""
    return [
        plain("user", 1),
        sized("user", 2, "/early", b"x" * 50),
        trap("user", 3),
        other("admin", 4, "/get"),
        plain("admin", 5),
    ]


async def test_a_stream_cut_at_every_byte() -> None:
    sent = a_trap()
    size = sum(len(request.raw) for request in sent)
    for at in range(1, size):
        assert await played(sent, [at], real) == [], at


async def test_a_stream_cut_at_every_byte_after_an_early_answer() -> None:
    """A body's end and half a head in one read, the rest in another: what the reviews found."""
    sent = a_trap()
    starts = len(sent[0].raw), len(sent[0].raw + sent[1].raw)
    end = starts[1] + len(sent[2].raw)
    for at in range(starts[1], end):
        assert await played(sent, [starts[0], starts[1] - 3, at, end], real) == [], at


async def test_half_a_head_behind_a_request_that_is_under_way() -> None:
    sent = [plain("user", 1), other("user", 2, "/get"), trap("user", 3), other("admin", 4, "/get")]
    stream = b"".join(request.raw for request in sent)
    at = stream.index(LINE, len(sent[0].raw))
    end = at + len(sent[0].raw)
    assert await played(sent, [len(sent[0].raw), at, end], real) == []
    assert await played(sent, [len(sent[0].raw), at], real) == []


@pytest.mark.parametrize("part", range(4))
async def test_streams_cut_anywhere_while_answers_leave(part: int) -> None:
    for seed in range(part, 400, 4):
        random = Random(seed)
        sent, cuts = drawn(random)
        assert await played(sent, cuts, real, random) == [], seed


async def test_the_judge_finds_a_fast_path_that_begins_within_a_head() -> None:
    sent = a_trap()
    stream = b"".join(request.raw for request in sent)
    at = stream.index(LINE, len(sent[0].raw))
    end = at + len(plain("user", 3).raw)
    assert await played(sent, [len(sent[0].raw), at, end], forgetful) != []
    found = 0
    for seed in range(40):
        random = Random(seed)
        found += await played(*drawn(random), forgetful, random) != []
    assert found > 0


def drawn(random: Random) -> tuple[list[Request], list[int]]:
    """A few requests, and where their stream is cut: at their borders, within, at the traps."""
    sent = [any_request(random, mark) for mark in range(random.randrange(2, 7))]
    stream = b"".join(request.raw for request in sent)
    cuts = [random.randrange(1, len(stream)) for _ in range(random.randrange(4))]
    at = 0
    for request in sent:
        if random.random() < 0.5:
            cuts.append(at - random.choice((0, 0, 1, 3)))
        if request.run.method == "DELETE" and random.random() < 0.8:
            cuts.append(at + request.raw.index(LINE))
        at += len(request.raw)
    return sent, [cut for cut in cuts if 0 < cut < len(stream)]
