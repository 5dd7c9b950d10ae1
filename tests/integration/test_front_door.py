"""One stream, one reader of boundaries: however bytes arrive, each request is run as it was sent.

Streams are cut wherever it may hurt, and answers leave in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from tests.harness.front import LINE, Front, Request, any_request, judge, other, plain, sized, trap
from tests.harness.twice import Wire
from warouter.http.connection import Connection
from warouter.http.door import FrontDoor

Make = Callable[[FrontDoor], Connection]


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
    connections = FrontDoor(front.server, None, front.fast)
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
    said = -1
    while said < (said := len(wire.written) + len(front.runs)):  # until nothing comes any more
        for _ in range(2):
            front.release()
            await turns()
    connection.connection_lost(None)
    return judge(sent, front.runs, front.marks(wire.written))


def real(connections: FrontDoor) -> Connection:
    made = connections.enter("")
    assert made is not None
    return made


def forgetful(connections: FrontDoor) -> Connection:
    """A mutant: the fast path begins although half of another request's head is here."""
    made = real(connections)
    client = made._client
    assert client is not None

    def forgetting(data: bytes) -> None:
        client.waits = True
        client.data_received(data)

    vars(made)["data_received"] = forgetting
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


# Many connections, answered in one turn


class Crowd:
    """A few clients whose messages wait, to be answered all in one turn."""

    def __init__(self, behind: bytes = b"") -> None:
        self.front = Front()
        self.front.gate.clear()
        self._connections = FrontDoor(self.front.server, None, self.front.fast)
        self.clients: list[tuple[Connection, Wire]] = []
        self._behind = behind  # what the first one sends ahead of its answer

    async def ask(self, many: int = 24) -> None:
        for mark in range(many):
            connection, wire = real(self._connections), Wire()
            connection.connection_made(wire)
            await turns(3)
            connection.data_received(plain("user", mark).raw)
            self.clients.append((connection, wire))
        if self._behind:
            self.clients[0][0].data_received(self._behind)
        await turns()
        assert len(self.front.runs) == many

    async def answer(self) -> list[int]:
        """The statuses of those behind the first, and of the first's answers."""
        self.front.gate.set()
        self.front.release()
        await turns()
        for connection, _ in self.clients:
            connection.connection_lost(None)
        return [wire.written.count(b"HTTP/1.1 201 ") for _, wire in self.clients]


@pytest.mark.parametrize(
    "behind",
    [
        b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"0" * 5000 + b"\r\n\r\n",
        b"\0" * 100,
        plain("user", 999_998).raw,
        b"GET /get HTTP/1.1\r\nHost: a\r\n\r\n" * 50,
    ],
    ids=["digits", "no HTTP", "a message", "fifty requests"],
)
async def test_bytes_sent_ahead_take_no_other_clients_answer(behind: bytes) -> None:
    crowd = Crowd(behind)
    await crowd.ask()
    assert (await crowd.answer())[1:] == [1] * 23
    assert crowd.clients[0][1].written.startswith(b"HTTP/1.1 201 ")


async def test_nothing_of_one_client_is_read_in_another_s_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd = Crowd(plain("user", 999_998).raw)
    await crowd.ask()
    read = len(crowd.front.runs)
    crowd.front.release()
    crowd.front.fast._plain.write()
    assert crowd.clients[-1][1].written.startswith(b"HTTP/1.1 201 ")
    assert len(crowd.front.runs) == read
    await turns()
    assert len(crowd.front.runs) == read + 1
    await crowd.answer()


def break_first(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours, in the first client's connection."""

    def broken(data: bytes) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(crowd.clients[0][1], "write", broken)


async def test_a_fault_in_one_connection_is_logged_and_ends_it_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    crowd = Crowd()
    await crowd.ask()
    break_first(crowd, monkeypatch)
    assert (await crowd.answer())[1:] == [1] * 23
    assert crowd.clients[0][1].closed
    assert [r.message for r in caplog.records] == ["connection failed"]


async def test_the_judge_finds_answers_in_one_loop_without_a_guard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unguarded(_connection: Connection, error: Exception) -> None:
        raise error

    monkeypatch.setattr(Connection, "broke", unguarded)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    crowd = Crowd()
    await crowd.ask()
    break_first(crowd, monkeypatch)
    assert (await crowd.answer())[1:] != [1] * 23


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
