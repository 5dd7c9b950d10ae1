"""Requests to the Graph API over real sockets, and what can be said of them when servers misbehave.

Each rule is held on both event loops, in plain text and in TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
import ssl
import struct
import threading
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import pytest
import uvloop
from msgspec.structs import replace

from tests.harness.certificates import contexts
from tests.harness.cloud_number import some_number
from tests.harness.hostile import OK, Conversation, Hostile, Script
from tests.harness.wait import PATIENCE, soon
from warouter.cloud_settings import CloudSettings
from warouter.net.sockets import end_with_process, unacknowledged
from warouter.upstream.cloud.graph import connections as pool
from warouter.upstream.cloud.graph.exchange import Exchanged, ExchangeOutcome, GraphExchange
from warouter.upstream.cloud.secrets import Secrets
from warouter.variables import SecretSource

TOKEN = "EAAtoken"
BODY = b'{"to":"+15550001111"}'
LIMIT = 64 * 1024
ANSWERED, UNBEGUN, UNKNOWN = (
    ExchangeOutcome.ANSWERED,
    ExchangeOutcome.UNBEGUN,
    ExchangeOutcome.UNKNOWN,
)


class Way(NamedTuple):
    """How a client of these tests runs, and how its server does."""

    loop: Callable[[], asyncio.AbstractEventLoop]
    server: ssl.SSLContext | None
    client: ssl.SSLContext | None

    @property
    def scheme(self) -> str:
        return "https" if self.server else "http"


Body = Callable[[GraphExchange, Hostile], Awaitable[None]]
MayBegin = Callable[[], bool]


OF = some_number(phone_number_id="1065", waba_id="1022", token=SecretSource(TOKEN))


def graph_at(url: str, way: Way, limit: int = LIMIT, seconds: float = PATIENCE) -> GraphExchange:
    cloud = CloudSettings(base_url=url)
    return GraphExchange(cloud, Secrets(OF), limit, tls=way.client, seconds=seconds)


def run(
    way: Way,
    script: Script,
    body: Body,
    *,
    limit: int = LIMIT,
    seconds: float = PATIENCE,
    window: int | None = None,
) -> Hostile:
    """Run a client beside a server with this script."""

    async def main(server: Hostile) -> None:
        url = f"{way.scheme}://127.0.0.1:{server.port}"
        graph = graph_at(url, way, limit, seconds)
        try:
            await body(graph, server)
        finally:
            graph.close()

    with (
        Hostile(script, way.server, window) as server,
        asyncio.Runner(loop_factory=way.loop) as runner,
    ):
        runner.run(main(server))
    return server


@pytest.fixture(scope="module")
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return contexts("localhost", "127.0.0.1")


@pytest.fixture(params=["asyncio", "asyncio TLS", "uvloop", "uvloop TLS"])
def way(request: pytest.FixtureRequest, certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> Way:
    loop = uvloop.new_event_loop if "uvloop" in request.param else asyncio.new_event_loop
    server, client = certificates if "TLS" in request.param else (None, None)
    return Way(loop, server, client)


@pytest.fixture
def plain() -> Way:
    return Way(uvloop.new_event_loop, None, None)


def always() -> bool:
    return True


def answered(status: int, **more: Any) -> Exchanged:
    """An answer to a request with TOKEN, whose body is ``{}``."""
    whose = hashlib.sha256(TOKEN.encode()).digest()
    return Exchanged(ANSWERED, status, **{"body": b"{}", "token_hash": whose, **more})


class Saying:
    """A ``may_begin`` that gives these answers, and then the last of them again."""

    def __init__(self, *answers: bool) -> None:
        self._answers = iter(answers)
        self._last = answers[-1]
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return next(self._answers, self._last)


def serving(answer: bytes = OK) -> Script:
    """Answers every request so, and keeps the connection."""

    def script(conversation: Conversation) -> None:
        while conversation.request():
            conversation.send(answer)

    return script


def unanswered(conversation: Conversation) -> None:
    """Takes one request, and says nothing."""
    conversation.request()
    conversation.rest()


def once(way: Way, script: Script, **options: float) -> Exchanged:
    """What one post comes to."""
    found: list[Exchanged] = []

    async def body(graph: GraphExchange, _server: Hostile) -> None:
        found.append(await graph.post(OF, BODY, always))

    run(way, script, body, **options)  # type: ignore[arg-type]
    return found[0]


def test_a_request_and_its_answer(way: Way) -> None:
    answer = (
        b"HTTP/1.1 429 Slow\r\nDate: Sat, 28 Nov 2026 03:00:00 GMT\r\nRetry-After: 7\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )

    async def body(graph: GraphExchange, server: Hostile) -> None:
        assert await graph.post(OF, BODY, always) == answered(
            429, retry_after="7", server_time=1_795_834_800
        )
        head, _, content = server.requests[0].partition(b"\r\n\r\n")
        first, *fields = head.split(b"\r\n")
        assert first == b"POST /v25.0/1065/messages HTTP/1.1"
        assert content == BODY
        assert f"Host: 127.0.0.1:{server.port}".encode() in fields
        assert {
            b"Authorization: Bearer EAAtoken",
            b"Content-Type: application/json",
            b"Content-Length: %d" % len(BODY),
        } <= set(fields)

    run(way, serving(answer), body)


def test_the_request_is_with_the_kernel_before_the_loop_runs_again(way: Way) -> None:
    """After the write ``may_begin`` is asked again: until it returns, nothing of ours can run."""
    large = b'{"x":"%b"}' % (b"y" * (LIMIT - 8))
    heard: list[bool] = []

    async def body(graph: GraphExchange, server: Hostile) -> None:
        before = 2 if way.client else 1

        def look() -> bool:
            heard.append(server.heard.wait(PATIENCE if len(heard) == before else 0))
            return True

        assert (await graph.post(OF, large, look)).outcome is ANSWERED
        assert heard == [False] * before + [True]

    run(way, serving(), body)


@pytest.mark.parametrize("how", [Conversation.close, Conversation.reset])
def test_taken_and_dropped_is_unknown(way: Way, how: Callable[[Conversation], None]) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        how(conversation)

    exchanged = once(way, script)
    assert exchanged.outcome is UNKNOWN
    assert exchanged.cause


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (OK[:-1], "broke off"),
        (OK[:20], "broke off"),
        (b"", "no answer came"),
        (b"nothing of HTTP\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "ambiguous"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n{}", "too large"),
        (b"HTTP/1.1 101 Other\r\n\r\n", "not HTTP"),
    ],
)
def test_half_and_odd_answers_are_unknown(way: Way, answer: bytes, cause: str) -> None:
    def script(conversation: Conversation) -> None:
        conversation.answer(answer)
        conversation.close()

    exchanged = once(way, script)
    assert exchanged.outcome is UNKNOWN
    assert cause in exchanged.cause


@pytest.mark.parametrize(
    "part",
    [b"HTTP/1.1 100 Continue\r\n\r\n", b"x" * 60_000, b"HTTP/1.1 200 OK\r\n\r\n" + b"{" * 60_000],
)
def test_an_endless_answer_is_unknown(way: Way, part: bytes) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.sock.settimeout(PATIENCE)
        with contextlib.suppress(OSError):
            while True:
                conversation.sock.sendall(part)

    exchanged = once(way, script)
    assert exchanged == Exchanged(UNKNOWN, cause=exchanged.cause)
    assert exchanged.cause in ("the answer is too large", "the answer has a malformed line")


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, b"{}"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"{}"),
        (b"HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 500, b"{}"),
        (OK, 200, b"{}"),
        (OK + OK, 200, b"{}"),
        (OK + b"more", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", 200, b"{}"),
    ],
)
def test_a_complete_answer_counts_though_the_server_closes(
    way: Way, answer: bytes, status: int, body: bytes
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.answer(answer)
        conversation.close()

    assert once(way, script) == answered(status, body=body)


def test_bytes_after_an_answer_are_not_the_next_answer(way: Way) -> None:
    """Nor is a connection used again that was spoken on unasked."""
    other = OK.replace(b"200 OK", b"400 No")

    def script(conversation: Conversation) -> None:
        conversation.answer(OK + other if conversation.number == 0 else OK)
        conversation.rest()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        assert [(await graph.post(OF, BODY, always)).status for _ in range(2)] == [200, 200]
        assert server.connections == 2

    run(way, script, body)


def test_no_redirect_is_followed(way: Way) -> None:
    async def main(graph: GraphExchange, server: Hostile) -> None:
        with Hostile(serving()) as other:
            where = f"Location: http://127.0.0.1:{other.port}/"
            script.answer = (  # type: ignore[attr-defined]
                f"HTTP/1.1 307 There\r\n{where}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            assert await graph.post(OF, BODY, always) == answered(307, body=b"")
            assert (other.connections, len(server.requests)) == (0, 1)

    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(script.answer)  # type: ignore[attr-defined]
        conversation.rest()

    run(way, script, main)


def test_no_answer_in_time_is_unknown_and_ends_the_connection(way: Way) -> None:
    """A late answer is not that of the next request."""
    ended = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.request()
        if conversation.number == 0:
            conversation.rest()
            ended.set()
        conversation.send(OK)
        conversation.rest()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        assert await graph.post(OF, BODY, always) == Exchanged(UNKNOWN, cause="no answer in time")
        assert ended.wait(PATIENCE)
        assert graph.connections.count == 0
        assert server.connections == 1

    run(way, script, body, seconds=0.3)


def test_may_begin_is_asked_before_anything_is_written(way: Way) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        for answers in ((False,), (True, False)) if way.client else ((False,),):
            may_begin = Saying(*answers)
            exchanged = await graph.post(OF, BODY, may_begin)
            assert exchanged == Exchanged(UNBEGUN, cause="refused")
            assert may_begin.asked == len(answers)
        graph.close()
        await soon(lambda: server.broken)
        assert set(server.broken) == {b""}
        assert server.requests == []

    run(way, script, body)


def test_a_refused_request_leaves_the_connection_to_the_next(way: Way) -> None:
    async def body(graph: GraphExchange, server: Hostile) -> None:
        assert (await graph.post(OF, BODY, Saying(False))).outcome is UNBEGUN
        assert (await graph.post(OF, BODY, always)).outcome is ANSWERED
        assert server.connections == 1

    run(way, serving(), body)


def test_a_request_that_began_too_late_is_cut_and_counted(
    way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(graph: GraphExchange, _server: Hostile) -> None:
        answers = (True, True, False) if way.client else (True, False)
        exchanged = await graph.post(OF, BODY, Saying(*answers))
        assert exchanged == Exchanged(UNKNOWN, cause="late", late=True)
        assert (graph.late_writes, graph.connections.count) == (1, 0)

    run(way, unanswered, body)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        "request begun late"
    ]


@pytest.mark.parametrize("noticed", [False, True])
def test_a_connection_that_ended_while_idle_is_not_used(way: Way, noticed: bool) -> None:
    """Neither if the loop has noticed its end, nor if only the kernel has."""
    answered, ended = threading.Event(), threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.answer()
        assert answered.wait(PATIENCE)
        answered.clear()
        conversation.close()
        ended.set()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        for _ in range(3):
            assert (await graph.post(OF, BODY, always)).outcome is ANSWERED
            assert graph.connections.count == 1
            answered.set()
            assert ended.wait(PATIENCE)  # the loop stands still
            ended.clear()
            if noticed:
                await soon(lambda: graph.connections.count == 0)
        assert (server.connections, len(server.requests)) == (3, 3)

    run(way, script, body)


def test_a_connection_that_was_spoken_on_unasked_is_not_used(way: Way) -> None:
    answered, spoken = threading.Event(), threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.answer()
        if conversation.number == 0:
            assert answered.wait(PATIENCE)
            conversation.send(OK.replace(b"200 OK", b"400 No"))
            spoken.set()
        conversation.rest()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        assert (await graph.post(OF, BODY, always)).status == 200
        answered.set()
        assert spoken.wait(PATIENCE)
        assert (await graph.post(OF, BODY, always)).status == 200
        assert server.connections == 2

    run(way, script, body)


def test_an_answer_counts_though_tls_breaks_behind_it(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    broken = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.answer()
        os.write(conversation.sock.fileno(), b"no record of TLS")
        broken.set()
        conversation.rest()

    async def body(graph: GraphExchange, _server: Hostile) -> None:
        asked: list[bool] = []

        def may_begin() -> bool:
            asked.append(len(asked) == 2 and broken.wait(PATIENCE))  # after the write
            return True

        assert await graph.post(OF, BODY, may_begin) == answered(200)
        assert asked == [False, False, True]
        assert graph.connections.count == 0

    run(Way(uvloop.new_event_loop, *certificates), script, body)


def test_a_defect_of_ours_ends_a_request_of_which_nobody_knows(
    plain: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for a connection, so that nobody else is there to hear of it."""

    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(GraphExchange, "_heads_of", broken)
    found = once(plain, serving())
    assert (found.outcome, found.cause) == (UNKNOWN, "ZeroDivisionError()")


def test_a_server_that_ends_every_connection_at_once_is_not_stormed(way: Way) -> None:
    ended = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.close()
        ended.set()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        graph.connections.warm(1)
        await soon(ended.is_set)
        exchanged = await graph.post(OF, BODY, always)
        assert exchanged.outcome is not ANSWERED
        assert server.connections <= 2
        if exchanged.outcome is UNBEGUN:
            assert not any(server.broken)

    run(way, script, body)


def test_opening_ahead_does_not_storm_a_server_that_ends_connections(way: Way) -> None:
    """They were opened until there were as many as wanted, however often they ended."""

    async def body(graph: GraphExchange, server: Hostile) -> None:
        graph.connections.warm(3)
        ahead = graph.connections._ahead
        assert ahead is not None
        await asyncio.wait_for(ahead, PATIENCE)
        assert server.connections <= 3

    run(way, lambda conversation: conversation.close(), body)


LARGE = b'{"x":"%b"}' % (b"y" * 400_000)  # more than the kernels take while nobody reads


async def half_sent(graph: GraphExchange, may_begin: MayBegin = always) -> Future[Exchanged]:
    """A post of LARGE, of which a part is with the kernel and the rest is not."""
    posting = asyncio.ensure_future(graph.post(OF, LARGE, may_begin))
    await soon(lambda: any(wire._unsent for wire in graph.connections._wires))
    return posting


@pytest.mark.parametrize(("is_cut", "cause"), [(True, "cut"), (False, "unfinished")])
def test_the_rest_of_a_request_is_not_written_after_the_deadline(
    way: Way, is_cut: bool, cause: str
) -> None:
    """Neither after ``cut``, when the server reads too late, nor if nobody has called it: the
    kernel has room again, and the lease is over.
    """
    read = threading.Event()

    def script(conversation: Conversation) -> None:
        assert read.wait(PATIENCE)
        conversation.request()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        may = [True]
        posting = await half_sent(graph, lambda: may[0])
        may[0] = False
        if is_cut:
            graph.cut()
            await posting
        read.set()
        assert await posting == Exchanged(UNKNOWN, cause=cause)
        assert server.heard.wait(PATIENCE)
        assert server.requests == []
        assert not is_cut or len(server.broken[0]) < len(LARGE)

    run(way, script, body, limit=4096, window=4096)


def test_a_request_that_the_kernel_takes_in_parts_arrives_whole(way: Way) -> None:
    read = threading.Event()

    def script(conversation: Conversation) -> None:
        assert read.wait(PATIENCE)
        conversation.answer()
        conversation.rest()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        posting = await half_sent(graph)
        read.set()
        assert (await posting).outcome is ANSWERED
        assert server.requests[0].endswith(LARGE)

    run(way, script, body, limit=4096, window=4096)


def test_an_early_answer_counts_and_ends_what_is_unfinished(way: Way) -> None:
    answered = threading.Event()

    def script(conversation: Conversation) -> None:
        assert conversation.some()
        conversation.send(OK.replace(b"200 OK", b"413 No"))
        assert answered.wait(PATIENCE)  # what is unread would reset the connection

    async def body(graph: GraphExchange, _server: Hostile) -> None:
        assert (await graph.post(OF, LARGE, always)).status == 413
        assert graph.connections.count == 0
        answered.set()

    run(way, script, body, limit=4096, window=4096)


def test_a_cut_ends_what_is_unacknowledged_and_leaves_the_rest(way: Way) -> None:
    """The first request lies in our kernel, since its server's window is closed."""
    answer, read = threading.Event(), threading.Event()

    def script(conversation: Conversation) -> None:
        if conversation.number == 0:
            assert read.wait(PATIENCE)
            conversation.request()
        conversation.request()
        assert answer.wait(PATIENCE)
        conversation.send(OK)
        conversation.rest()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        def queued() -> bool:
            return any(unacknowledged(wire._sock) > 0 for wire in graph.connections._wires)

        stuck = asyncio.ensure_future(graph.post(OF, b"y" * LIMIT, always))
        await soon(queued)
        assert not any(wire._unsent for wire in graph.connections._wires)
        taken = asyncio.ensure_future(graph.post(OF, BODY, always))
        await soon(server.heard.is_set)
        await soon(lambda: sum(unacknowledged(w._sock) == 0 for w in graph.connections._wires) == 1)
        graph.cut()
        assert await stuck == Exchanged(UNKNOWN, cause="cut")
        read.set()
        await soon(lambda: server.broken)
        assert len(server.requests) == 1
        answer.set()
        assert (await taken).outcome is ANSWERED

    run(way, script, body, window=4096)


def test_a_post_that_is_given_up_keeps_its_connection_until_the_answer(way: Way) -> None:
    """Nobody else is told whose answer comes then."""
    answer = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.request()
        assert answer.wait(PATIENCE)
        conversation.send(OK)
        conversation.answer()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        posting = asyncio.ensure_future(graph.post(OF, BODY, always))
        await soon(server.heard.is_set)
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        (wire,) = graph.connections._wires
        assert wire.busy
        answer.set()
        await soon(lambda: not wire.busy)
        assert (await graph.post(OF, BODY, always)).outcome is ANSWERED
        assert server.connections == 1

    run(way, script, body)


def test_the_next_request_begins_in_the_turn_of_an_answer(way: Way) -> None:
    """On the same connection, and before anything else of this process runs."""

    async def body(graph: GraphExchange, server: Hostile) -> None:
        ends: list[Exchanged] = []
        whole = asyncio.Event()

        def on_end(exchanged: Exchanged) -> None:
            ends.append(exchanged)
            if len(ends) < 3:
                graph.begin(OF, BODY, always, on_end)
            else:
                whole.set()

        graph.begin(OF, BODY, always, on_end)
        async with asyncio.timeout(PATIENCE):
            await whole.wait()
        assert [each.outcome for each in ends] == [ANSWERED] * 3
        assert server.connections == 1

    run(way, serving(), body)


def test_requests_of_a_connection_are_waited_for_each_by_its_own_time(way: Way) -> None:
    """They share a timer: one that was set for a former request ends none that came after it."""
    answer = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.answer()
        conversation.request()
        assert answer.wait(PATIENCE)
        conversation.send(OK)
        conversation.request()
        conversation.rest()

    async def body(graph: GraphExchange, _server: Hostile) -> None:
        assert (await graph.post(OF, BODY, always)).outcome is ANSWERED
        (wire,) = graph.connections._wires
        second = asyncio.ensure_future(graph.post(OF, BODY, always))
        await soon(lambda: wire.busy)
        wire._overdue()  # the first one's time is over
        answer.set()
        assert (await second).outcome is ANSWERED
        graph._seconds = 0.1
        async with asyncio.timeout(PATIENCE / 2):  # the second one's time was longer
            exchanged = await graph.post(OF, BODY, always)
        assert exchanged == Exchanged(UNKNOWN, cause="no answer in time")

    run(way, script, body)


def test_connections_are_shared_up_to_their_limit(way: Way) -> None:
    async def body(graph: GraphExchange, server: Hostile) -> None:
        graph.connections.limit = 2
        found = await asyncio.gather(*(graph.post(OF, BODY, always) for _ in range(20)))
        assert [exchanged.outcome for exchanged in found] == [ANSWERED] * 20
        assert server.connections == 2

    run(way, serving(), body)


def test_a_request_that_waits_too_long_for_a_connection_has_not_begun(way: Way) -> None:
    async def body(graph: GraphExchange, server: Hostile) -> None:
        graph.connections.limit = 1
        first = asyncio.ensure_future(graph.post(OF, BODY, always))
        await soon(server.heard.is_set)
        graph._seconds = 0.0
        exchanged = await graph.post(OF, BODY, always)
        assert exchanged == Exchanged(UNBEGUN, cause="no free connection in time")
        first.cancel()

    run(way, unanswered, body)


def test_one_that_waits_and_is_given_up_leaves_its_place_to_the_next(
    plain: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_SWEEP_SECONDS", 10 * PATIENCE)  # which wakes the next one, too

    async def body(graph: GraphExchange, _server: Hostile) -> None:
        graph.connections.limit = 1
        wire = await graph.connections.take()
        second = asyncio.ensure_future(graph.connections.take())
        third = asyncio.ensure_future(graph.post(OF, BODY, always))
        await soon(lambda: len(graph.connections._waiting) == 2)
        graph.connections.give(wire)
        second.cancel()  # it was told of the place, and has not run since
        async with asyncio.timeout(PATIENCE):
            assert (await third).outcome is ANSWERED
        assert second.cancelled()

    run(plain, serving(), body)


def test_connections_opened_ahead_are_used(way: Way) -> None:
    async def body(graph: GraphExchange, server: Hostile) -> None:
        graph.connections.warm(3)
        graph.connections.warm(3)
        await soon(lambda: len(graph.connections._free) == 3)
        found = await asyncio.gather(*(graph.post(OF, BODY, always) for _ in range(3)))
        assert [exchanged.outcome for exchanged in found] == [ANSWERED] * 3
        assert server.connections == 3

    run(way, serving(), body)


def test_a_host_is_reached_by_the_address_that_answers(plain: Way) -> None:
    """Of "localhost" the first may be ::1, at which nobody listens."""
    addresses = [("::1", socket.AF_INET6), ("127.0.0.2", socket.AF_INET)]
    addresses += [("127.0.0.1", socket.AF_INET)]

    async def found(*_: object) -> list[dict[str, Any]]:
        return [{"host": host, "family": family} for host, family in addresses]

    async def body(graph: GraphExchange, _server: Hostile) -> None:
        graph.connections._names.addresses = found  # type: ignore[method-assign,assignment]
        assert (await graph.post(OF, BODY, always)).outcome is ANSWERED

    run(plain, serving(), body)


def test_connections_grow_with_the_rate(plain: Way) -> None:
    async def body(graph: GraphExchange, _server: Hostile) -> None:
        graph.size(76)
        assert (graph.latency, graph.connections.limit) == (0.35, 29)
        graph.size(1000)
        assert graph.connections.limit == 352
        graph.size(10_000)  # more than one owner is to open
        assert graph.connections.limit == 512
        graph._took.extend([0.1] * 98 + [0.2] * 2)
        graph.size(76)
        assert (graph.latency, graph.connections.limit) == (0.2, 18)
        graph.warm_up(38)  # as many as are in use at a time, and some
        assert graph.connections.limit == 10
        await soon(lambda: graph.connections.count == 6)

    run(plain, serving(), body)


def test_connections_beyond_a_lower_limit_stay_until_they_are_idle(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The share of the rate changes each second, and each costs a handshake."""

    async def body(graph: GraphExchange, _server: Hostile) -> None:
        graph.connections.limit = 2
        assert [
            each.outcome
            for each in await asyncio.gather(*(graph.post(OF, BODY, always) for _ in range(2)))
        ] == [ANSWERED] * 2
        graph.connections.limit = 1
        assert (await graph.post(OF, BODY, always)).outcome is ANSWERED
        assert graph.connections.count == 2
        monkeypatch.setattr(pool, "IDLE_SECONDS", 0.0)
        await soon(lambda: graph.connections.count == 0)

    monkeypatch.setattr(pool, "_SWEEP_SECONDS", 0.05)
    run(way, serving(), body)


def test_a_number_of_connections_that_is_set_is_not_exceeded() -> None:
    cloud = CloudSettings(base_url="http://127.0.0.1:1", connections=5)
    graph = GraphExchange(cloud, Secrets(OF), LIMIT)
    assert graph.connections.limit == 5
    graph.size(1000)
    assert graph.connections.limit == 5


def test_idle_connections_are_closed(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(graph: GraphExchange, _server: Hostile) -> None:
        assert (await graph.post(OF, BODY, always)).outcome is ANSWERED
        assert graph.connections.count == 1
        monkeypatch.setattr(pool, "IDLE_SECONDS", 0.0)
        await soon(lambda: graph.connections.count == 0)

    monkeypatch.setattr(pool, "_SWEEP_SECONDS", 0.05)
    run(way, serving(), body)


@pytest.mark.parametrize("limit", ["IDLE_SECONDS", "OLD_SECONDS"])
def test_a_connection_idle_or_old_is_not_used_again(
    way: Way, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    async def body(graph: GraphExchange, server: Hostile) -> None:
        monkeypatch.setattr(pool, limit, 0.0)
        for _ in range(3):
            assert (await graph.post(OF, BODY, always)).outcome is ANSWERED
        assert server.connections == 3

    run(way, serving(), body)


def test_options_of_a_connection(way: Way) -> None:
    async def body(graph: GraphExchange, _server: Hostile) -> None:
        assert (await graph.post(OF, BODY, always)).outcome is ANSWERED
        (wire,) = graph.connections._wires
        sock = wire._sock
        linger = sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        assert struct.unpack("ii", linger) == (1, 0)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 2 * LIMIT

    run(way, serving(), body)


def test_the_options_are_set_before_the_connection_is_made(
    plain: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[bool] = []

    def looked_at(sock: socket.socket, silence_ms: int, send_bytes: int) -> None:
        connected.append(sock.getsockname()[1] != 0)
        end_with_process(sock, silence_ms, send_bytes)

    monkeypatch.setattr(pool, "end_with_process", looked_at)
    assert once(plain, serving()).outcome is ANSWERED
    assert connected == [False]


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "cause"),
    [("127.0.0.1", "Connection refused"), (f"{'x' * 64}.invalid", "not a valid host name")],
)
def test_no_connection_is_unbegun(way: Way, closed_port: int, host: str, cause: str) -> None:
    async def main() -> Exchanged:
        graph = graph_at(f"{way.scheme}://{host}:{closed_port}", way)
        return await graph.post(OF, BODY, always)

    with asyncio.Runner(loop_factory=way.loop) as runner:
        exchanged = runner.run(main())
    assert exchanged.outcome is UNBEGUN
    assert cause in exchanged.cause


def test_a_certificate_that_nobody_vouches_for_is_unbegun(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    stranger = contexts("127.0.0.1")[1]
    exchanged = once(Way(uvloop.new_event_loop, certificates[0], stranger), serving())
    assert exchanged == Exchanged(UNBEGUN, cause="TLS: self-signed certificate")


def test_a_certificate_of_another_name_is_unbegun() -> None:
    exchanged = once(Way(uvloop.new_event_loop, *contexts("elsewhere.example")), serving())
    assert exchanged.outcome is UNBEGUN
    assert "IP address mismatch" in exchanged.cause


def test_a_server_that_does_not_greet_is_unbegun(
    monkeypatch: pytest.MonkeyPatch, certificates: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 0.2)

    async def body(_graph: GraphExchange, server: Hostile) -> None:
        way = Way(uvloop.new_event_loop, *certificates)
        graph = graph_at(f"https://127.0.0.1:{server.port}", way)
        exchanged = await graph.post(OF, BODY, always)
        assert exchanged == Exchanged(UNBEGUN, cause="no connection in time")
        assert graph.connections.count == 0

    def script(conversation: Conversation) -> None:
        conversation.rest()

    run(Way(uvloop.new_event_loop, None, None), script, body)


def test_tls_sessions_are_resumed(certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    def script(conversation: Conversation) -> None:
        conversation.answer()
        conversation.rest()

    async def body(graph: GraphExchange, server: Hostile) -> None:
        for _ in range(3):
            assert (await graph.post(OF, BODY, always)).outcome is ANSWERED
            for wire in list(graph.connections._wires):
                wire.close("test")
        assert server.resumed == [False, True, True]

    run(Way(uvloop.new_event_loop, *certificates), script, body)


def test_a_new_token_is_in_the_next_request(plain: Way) -> None:
    async def body(graph: GraphExchange, server: Hostile) -> None:
        await graph.post(OF, BODY, always)
        await graph.post(replace(OF, token=SecretSource("renewed")), BODY, always)
        tokens = [b"Bearer EAAtoken\r\n", b"Bearer renewed\r\n"]
        assert [t in r for t, r in zip(tokens, server.requests, strict=True)] == [True, True]

    run(plain, serving(), body)
