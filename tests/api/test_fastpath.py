"""POST /v1/messages by the fast path and by aiohttp alone: the same bytes, whatever comes.

Two connections of one application are given the same reads, with a transport that notes what is
written. The answers may differ in Date, X-Request-Id and the new message's id, in nothing else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from tests.api.conftest import USER_PASSWORD, Api
from tests.campaigns.fuzz.framings import REFUSED, REFUSED_CHUNKS, chunked, odd
from tests.campaigns.fuzz.raw import CHUNKS, FRAMINGS, LINES, bases, mutated
from tests.harness.offers import Number
from warouter.api.access.tokens import hash_of
from warouter.api.app import build_app
from warouter.api.messages.fastpath import HEAD_BYTES, FastPath, Known
from warouter.errors import ApiError, KeyTaken, NotReady, Overloaded
from warouter.http.connection import Connection
from warouter.http.door import Connections
from warouter.http.rates import parse_rates
from warouter.link.wire import Outgoing

GOOD = b'{"to":"4915112345678","type":"text","text":{"body":"hello"}}'
_VARIES = re.compile(rb"(?<=\r\nDate: )[^\r]+|(?<=X-Request-Id: )[^\r]+|(?<=\"id\":\")[\w-]{27}")
_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3}) ", re.MULTILINE)
_LOGGED = re.compile(rb"(?<=has it with request )[0-9a-f-]+")


class Wire(asyncio.Transport):
    """A client's socket, as a connection sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += bytes(data)

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@dataclass
class Side:
    """One application, with or without the fast path, and what reached the owners of its slots."""

    connections: Connections
    api: Api
    taken: list[Outgoing]
    waiting: list[tuple[Outgoing, Callable[[bytes | ApiError], None]]]
    refuse: ApiError | None = None
    known_as: bytes | None = None
    held: bool = False  # offers wait in ``waiting`` until somebody answers them

    def offer(self, message: Outgoing, done: Callable[[bytes | ApiError], None]) -> None:
        if isinstance(self.refuse, Overloaded):
            raise self.refuse
        self.taken.append(message)
        if self.held:
            self.waiting.append((message, done))
        else:
            asyncio.get_running_loop().call_soon(done, self._outcome(message))

    async def submit(self, message: Outgoing) -> bytes:
        result = asyncio.get_running_loop().create_future()
        self.offer(message, result.set_result)
        outcome: bytes | ApiError = await result
        if isinstance(outcome, ApiError):
            raise outcome
        return outcome

    def _outcome(self, message: Outgoing) -> bytes | ApiError:
        return self.refuse or self.known_as or message.id

    async def open(self) -> tuple[Connection, Wire]:
        connection, wire = self.connections.enter(""), Wire()
        connection.connection_made(wire)
        await settled(connection, wire)
        return connection, wire

    async def say(self, reads: Sequence[bytes]) -> Wire:
        """What is answered to these reads of one connection."""
        connection, wire = await self.open()
        for read in reads:
            if not wire.closed:
                connection.data_received(read)
                await settled(connection, wire)
        connection.connection_lost(None)
        return wire


async def settled(connection: Connection, wire: Wire) -> None:
    """Until a connection waits for its client: for some turns of the loop nothing changes."""
    calm = 0
    while calm < 5:
        await asyncio.sleep(0)
        calm = calm + 1 if connection.idle or reading(connection) or wire.closed else 0


def reading(connection: Connection) -> bool:
    """The rest of a body is waited for, and nothing else."""
    request = connection._current_request
    if request is None:
        return connection.asking  # held by the fast path
    return connection.asking and getattr(request.content, "_waiter", None) is not None


@dataclass
class Both:
    """The same application twice."""

    fast: Side
    slow: Side

    @property
    def took(self) -> int:
        """How many requests the fast path has answered."""
        return self.fast.api.context.operations.meter.fast

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.fast, self.slow

    async def same(self, *reads: bytes) -> Wire:
        """Say it to both; the slow one's answer, which is the fast one's as well."""
        fast, slow = [await side.say(reads) for side in self.sides]
        assert plain(fast.written) == plain(slow.written), reads
        assert fast.closed == slow.closed, reads
        said = [[msgspec.structs.replace(m, id=b"") for m in side.taken] for side in self.sides]
        assert said[0] == said[1]
        return slow


def plain(answer: bytes) -> bytes:
    return _LOGGED.sub(b"-", _VARIES.sub(b"-", answer))


Make = Callable[..., Awaitable[Both]]


@pytest_asyncio.fixture
async def make(api: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setattr("warouter.http.connection.LINGER_SECONDS", 0.0)
    runners: list[web.AppRunner] = []

    async def side(changes: dict[str, Any], *, is_fast: bool) -> Side:
        made = Side(None, api, [], [])  # type: ignore[arg-type]
        operations = replace(api.context.operations, **changes)
        context = replace(api.context, messages=made, operations=operations)
        fast = FastPath(context, made, Number()) if is_fast else None
        runner = web.AppRunner(build_app(context), shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        assert runner.server is not None
        made.connections = Connections(runner.server, None, fast)
        return made

    async def begin(**changes: Any) -> Both:
        both = Both(await side(changes, is_fast=True), await side(changes, is_fast=False))
        await api.context.tokens.caller(api.user)  # in memory from here on
        return both

    yield begin
    for runner in runners:
        await runner.cleanup()


@pytest_asyncio.fixture
async def both(make: Make) -> Both:
    return await make()


def post(api: Api, body: bytes = GOOD, *fields: bytes, token: str = "") -> bytes:
    lines = [
        b"POST /v1/messages HTTP/1.1",
        b"Host: localhost:9090",
        b"Authorization: Bearer " + (token or api.user).encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *fields,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


# What it is for


BODIES = {
    "text": GOOD,
    "without a type": b'{"to":"+49 (151) 12345678","text":{"body":"hello"}}',
    "not ASCII": '{"to":"4915112345678","text":{"body":"gr\u00fc\u00df \U0001f600"}}'.encode(),
    "ttl": b'{"to":"4915112345678","ttl":"PT1H","text":{"body":"hello"}}',
    "template": (
        b'{"to":"4915112345678","type":"template","template":{"name":"a","language":'
        b'{"policy":"deterministic","code":"de"}}}'
    ),
    "media by link": (
        b'{"to":"4915112345678","type":"image","image":{"link":"https://example.com/a.png"}}'
    ),
}
FIELDS = {
    "none": (),
    "as curl": (b"User-Agent: curl/8", b"Accept: */*"),
    "keep-alive": (b"Connection: Keep-Alive",),
    "key": (b"Idempotency-Key: once",),
    "white space": (b"X-Trace:   a  ",),
}


@pytest.mark.parametrize("body", BODIES)
async def test_a_good_message_is_taken_by_the_fast_path(both: Both, body: str) -> None:
    api = both.slow.api
    answer = await both.same(*[post(api, BODIES[body])] * 3)
    assert answer.written.count(b"HTTP/1.1 201 Created\r\n") == both.took == 3


@pytest.mark.parametrize("fields", FIELDS)
async def test_fields_that_change_nothing(both: Both, fields: str) -> None:
    request = post(both.slow.api, GOOD, *FIELDS[fields])
    answer = await both.same(request, request)
    assert answer.written.count(b"HTTP/1.1 201 Created\r\n") == both.took == 2


async def test_a_request_in_any_two_reads(both: Both) -> None:
    """Clients that write head and body apart are served by it too."""
    request = post(both.slow.api)
    for at in range(1, len(request)):
        before = both.took
        answer = await both.same(request[:at], request[at:], request)
        assert answer.written.count(b"HTTP/1.1 201 Created\r\n") == 2
        assert both.took - before == 2


async def test_a_request_byte_by_byte(both: Both) -> None:
    request = post(both.slow.api)
    head = request.index(b"\r\n\r\n") + 4
    await both.same(*(bytes((b,)) for b in request), request)
    await both.same(request[:head], *(bytes((b,)) for b in request[head:]), request)
    assert both.took == 4


async def test_requests_in_one_read(both: Both) -> None:
    request, other = post(both.slow.api), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    for reads in (
        [request + request],
        [request + other],
        [other + request, request],
        [request + request[:50], request[50:]],
        [request + b"\x00", request],
        [request[:-5], request[-5:] + request],
        [other, request, other, request],
    ):
        await both.same(*reads)
    assert both.took > 0


# What it leaves alone


ODD_FIELDS = (
    *((b"Content-Encoding: gzip",), (b"Expect: 100-continue",), (b"Expect: other",)),
    *((b"Connection: close",), (b"Connection: Upgrade", b"Upgrade: websocket")),
    *((b"Upgrade: h2c",), (b"Trailer: X",), (b"Content-Type: text/plain",), (b"Host: other",)),
    *((b"Idempotency-Key: ",), (b"Idempotency-Key: a", b"Idempotency-Key: b")),
    *((b"Idempotency-Key: \xff",), (b"Idempotency-Key: " + b"a" * 300,)),
    *((b"User-Agent: a", b"User-Agent: b"), (b"X-A: a", b"X-A: b"), (b"X: \xff\xfe",)),
    *((b"X: " + b"a" * HEAD_BYTES,), tuple(b"X-%d: a" % n for n in range(40))),
    tuple(b"X-%d: a" % n for n in range(120)),
    *((b"Authorization: Bearer " + b"x" * 43,), (b"Content-Length: 5",)),
)
BAD_BODIES = (
    *(b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"to":"1"}', GOOD + b" " * 70_000),
    *(b'{"to":"1234567"}', GOOD.replace(b"hello", b""), GOOD.replace(b"text", b"texts")),
    GOOD.replace(b"hello", b"a" * 5000),
    b'{"to":"4915112345678","type":"image","image":{"id":"none"}}',
    b'{"to":"4915112345678","recipient_type":"group","text":{"body":"x"}}',
    b'{"to":"4915112345678","ttl":"soon","text":{"body":"x"}}',
    b'{"to":"4915112345678","text":{"body":"\\u0000"}}',
    b'{"to":"4915112345678","text":{"body":"\\ud800"}}',
    b'{"to":"4915112345678","text":{"body":"x"},"a":' + b"[" * 40 + b"]" * 40 + b"}",
)


@pytest.mark.parametrize("fields", ODD_FIELDS)
async def test_other_fields(both: Both, fields: tuple[bytes, ...]) -> None:
    request = post(both.slow.api, GOOD, *fields)
    await both.same(request, post(both.slow.api))
    head = request.index(b"\r\n\r\n") + 4
    await both.same(request[:head], request[head:], post(both.slow.api))


@pytest.mark.parametrize("body", BAD_BODIES)
async def test_bodies_that_are_no_message(both: Both, body: bytes) -> None:
    request = post(both.slow.api, body)
    answer = await both.same(request, post(both.slow.api))
    assert b"HTTP/1.1 4" in answer.written[:12]
    head = request.index(b"\r\n\r\n") + 4
    await both.same(request[:head], request[head:], post(both.slow.api))


async def test_tokens_that_are_none(both: Both) -> None:
    api = both.slow.api
    for value in (
        *(b"", b"Bearer", b"Bearer ", b"Basic Og==", b"bearer " + api.user.encode()),
        *(b"Bearer  " + api.user.encode(), b"Bearer " + b"\xff" * 43, b"Bearer " + b"x" * 43),
        b"Apikey 0123456789abcdef",
    ):
        request = post(api).replace(b"Bearer " + api.user.encode(), value)
        await both.same(request, post(api))


async def test_framing(both: Both) -> None:
    """S10: every odd framing, line and chunk, alone and with another request behind it."""
    api = both.slow.api
    whole = post(api)
    first, _, rest = whole.partition(b"\r\n")
    head, _, body = whole.partition(b"\r\n\r\n")
    length = b"Content-Length: %d" % len(body)
    cases = [head.replace(length, framing) + b"\r\n\r\n" + body for framing in FRAMINGS]
    cases += [head + b"\r\n" + framing + b"\r\n\r\n" + body for framing in FRAMINGS]
    cases += [first + b"\r\n" + framing + b"\r\n" + rest for framing in FRAMINGS]
    cases += [line + b"\r\n" + rest for line in LINES]
    chunked = head.replace(length, b"Transfer-Encoding: chunked") + b"\r\n\r\n"
    cases += [chunked + chunk for chunk in CHUNKS]
    cases += [first + b" \r\n" + rest, first + b"\n" + rest, b"\r\n" + whole, whole[:-1]]
    cases += [whole.replace(b"\r\n", b"\n"), whole.replace(b"\r\n", b"\r"), whole + b"\r\n"]
    cases += [whole.replace(b"Host: localhost:9090\r\n", b""), whole.replace(b"POST", b"post")]
    cases += [whole.replace(b"Host: ", host) for host in (b"Host:", b"host:\t", b"HOST: a b")]
    assert len(cases) >= 150
    seen = set()
    for case in cases:
        for reads in ([case, whole], [case + whole]):
            answer = await both.same(*reads)
            seen.add(answer.written[9:12])
    assert {b"400", b"201", b"405", b""} <= seen


async def test_framings_that_are_refused_on_both_ways(both: Both) -> None:
    """400, and nothing behind it is read: to a message and to a log-in, in whatever pieces."""
    api = both.slow.api
    login = b"POST /v1/users/login HTTP/1.1"
    cases = {name: odd(api.user, GOOD, **parts) for name, parts in REFUSED.items()}
    cases |= {
        f"{name}, at log-in": odd(api.user, b"{}", **{"line": login, **parts})
        for name, parts in REFUSED.items()
    }
    cases |= {name: chunked(api.user, chunks) for name, chunks in REFUSED_CHUNKS.items()}
    taken = {}
    for name, case in cases.items():
        for reads in ([case + post(api)], [case[:70], case[70:] + post(api)]):
            answer = await both.same(*reads)
            statuses = _STATUS.findall(answer.written)
            if statuses != [b"400"] or not answer.closed or not body_is_ours(answer.written):
                taken[name] = statuses
    assert taken == {}
    assert both.took == 0
    assert both.fast.taken == both.slow.taken == []


def body_is_ours(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    (error,) = msgspec.json.decode(body)["errors"]
    return b"\r\nServer: " in head and error["code"] == 1000 and bool(error["details"])


@pytest.mark.parametrize("part", range(4))
async def test_mutated_requests(both: Both, part: int) -> None:
    api = both.slow.api
    good = [post(api), post(api, BODIES["template"], b"Idempotency-Key: a")]
    random = Random(part)
    for n in range(1_000):
        base = random.choice(good if n % 4 else bases(f"Bearer {api.user}"))
        raw = mutated(base, random)
        at = random.randrange(len(raw) + 1)
        reads = [raw] if random.random() < 0.5 else [raw[:at], raw[at:]]
        await both.same(*(read for read in reads if read), post(api))
    assert both.took > 50


# What becomes of a message


@pytest.mark.parametrize(
    "error",
    [
        NotReady("not accepted: no coreapp owns the recipient's shard right now"),
        Overloaded("too many messages are waiting for their shard; retry later"),
        KeyTaken("this Idempotency-Key was used before with another body"),
    ],
)
async def test_refused_by_the_owner(both: Both, error: ApiError) -> None:
    for side in both.sides:
        side.refuse = error
    answer = await both.same(post(both.slow.api), post(both.slow.api))
    assert answer.written.startswith(b"HTTP/1.1 %d " % error.status)
    assert both.took == 2


async def test_a_request_that_came_before(both: Both) -> None:
    for side in both.sides:
        side.known_as = bytes((1, 3)) + bytes(18)
    answer = await both.same(post(both.slow.api))
    assert b'"id":"AQMAAAAAAAAAAAAAAAAAAAAAAAA"' in answer.written
    assert both.took == 1


async def test_the_rate_limit(make: Make) -> None:
    both = await make(rates=parse_rates("0.001/2,1/1"))
    answer = await both.same(*[post(both.slow.api)] * 3)
    assert answer.written.count(b"HTTP/1.1 201 ") == 2
    assert answer.written.count(b"HTTP/1.1 429 ") == 1
    assert both.took == 3


async def test_the_last_answer_of_a_connection_says_so(both: Both) -> None:
    for side in both.sides:
        side.connections.leaving = True
    answer = await both.same(post(both.slow.api), post(both.slow.api))
    assert answer.closed
    assert answer.written.count(b"Connection: close\r\n") == 1
    assert both.took == 1


async def test_what_comes_behind_a_request_waits_for_its_answer(both: Both) -> None:
    side, request = both.fast, post(both.slow.api)
    side.held = True
    connection, wire = await side.open()
    connection.data_received(request)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not wire.reading
    assert not connection.idle
    assert side.connections.states() == {"handle-request": 1}
    (message, done), side.waiting = side.waiting[0], []
    done(message.id)
    await settled(connection, wire)
    assert wire.reading
    assert wire.written.index(b" 201 ") < wire.written.index(b" 200 ")
    connection.connection_lost(None)


async def test_a_client_that_has_gone_is_not_answered(both: Both) -> None:
    side, meter = both.fast, both.slow.api.context.operations.meter
    side.held = True
    connection, wire = await side.open()
    connection.data_received(post(both.slow.api))
    assert meter.under_way == 1
    connection.connection_lost(None)
    message, done = side.waiting[0]
    done(message.id)
    assert wire.written == b""
    assert meter.under_way == 0
    assert len(side.connections) == 0


async def test_an_idle_connection_ends_but_not_one_that_waits_for_its_answer(both: Both) -> None:
    side = both.fast
    side.held = True
    connection, wire = await side.open()
    connection.data_received(post(both.slow.api))
    limits, loop = side.connections.limits, asyncio.get_running_loop()
    assert connection.look(limits, loop.time() + limits.idle_seconds) == ""
    message, done = side.waiting[0]
    done(message.id)
    await settled(connection, wire)
    assert connection.look(limits, loop.time() + limits.idle_seconds - 1.0) == ""
    assert connection.look(limits, loop.time() + limits.idle_seconds) == "idle"
    connection.connection_lost(None)


async def test_a_body_that_does_not_end_is_noticed(both: Both) -> None:
    """The sweep's look at slow clients knows of requests that the fast path holds."""
    connection, wire = await both.fast.open()
    connection.data_received(post(both.slow.api)[:-5])
    assert connection.asking
    assert not connection.idle
    limits = both.fast.connections.limits
    later = asyncio.get_running_loop().time() + limits.body_grace_seconds + 0.1
    assert connection.look(limits, later) == "body"
    assert wire.written == b""
    connection.connection_lost(None)


async def test_without_a_registered_number_or_with_checks_it_is_aiohttps(both: Both) -> None:
    api = both.slow.api
    path = both.fast.connections.fast
    assert path is not None
    path._registered = Number(known=False)
    await both.same(post(api))
    path._registered = Number()
    fast, slow = [await side.say([post(api)]) for side in both.sides]
    assert plain(fast.written) == plain(slow.written)
    assert both.took == 1


async def test_a_token_that_is_revoked_is_refused(both: Both) -> None:
    api = both.slow.api
    token = await api.token_of("worker", USER_PASSWORD)
    answer = await both.same(post(api, token=token), post(api, token=token))
    assert answer.written.count(b" 201 ") == 2
    await api.call("POST", "/v1/users/logout", token=token)
    answer = await both.same(post(api, token=token))
    assert answer.written.startswith(b"HTTP/1.1 401 ")


# Heads that have come before


def heads(both: Both) -> dict[bytes, Known]:
    path = both.fast.connections.fast
    assert path is not None
    return path._heads


async def test_a_head_is_known_for_every_connection_and_any_body_of_its_length(both: Both) -> None:
    api = both.slow.api
    await both.same(post(api))
    (known,) = heads(both).values()
    assert (known.length, known.caller.username) == (len(GOOD), "worker")
    await both.same(post(api, GOOD.replace(b"hello", b"other")))
    await both.same(post(api, GOOD.replace(b"hello", b"he\0lo")), post(api))
    await both.same(post(api, GOOD)[:-1], b"}" + post(api))
    await both.same(post(api) + b"\r\n", post(api))
    await both.same(post(api) + post(api))
    assert len(heads(both)) == 1


async def test_heads_that_are_not_kept(both: Both) -> None:
    api = both.slow.api
    await both.same(post(api, GOOD, b"Idempotency-Key: a"))
    await both.same(post(api, b"{}"))
    assert both.took == 1
    assert heads(both) == {}


async def test_so_many_heads_are_kept(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warouter.api.messages.fastpath.MOST_HEADS", 3)
    for n in range(8):
        await both.same(*[post(both.slow.api, GOOD, b"X-Trace: %d" % n)] * 2)
        assert 1 <= len(heads(both)) <= 3
    assert both.took == 16


async def test_a_token_that_another_webapp_ends(both: Both, pool: asyncpg.Pool) -> None:
    api = both.slow.api
    token = await api.token_of("worker", USER_PASSWORD)
    request = post(api, token=token)
    await api.context.tokens.caller(token)  # in memory from here on
    answer = await both.same(request, request, request)
    assert answer.written.count(b" 201 ") == both.took == 3
    await pool.execute("delete from token where hash = $1", hash_of(token))
    await api.context.tokens.refresh()
    answer = await both.same(request)
    assert answer.written.startswith(b"HTTP/1.1 401 ")


async def test_a_token_that_expires(both: Both) -> None:
    api = both.slow.api
    await both.same(post(api))
    for head, known in heads(both).items():
        heads(both)[head] = known._replace(ends=0.0)
    await both.same(post(api))  # it is looked up again
    assert all(known.ends > 0 for known in heads(both).values())


async def test_what_is_told_while_tokens_are_read_again_holds_no_longer(
    both: Both, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, api = both.slow.api.context.tokens, both.slow.api
    await both.same(post(api))
    holders, asked, going_on = tokens._accounts.holders, asyncio.Event(), asyncio.Event()

    async def slow(keys: list[bytes]) -> Any:
        found = await holders(keys)
        asked.set()
        await going_on.wait()
        return found

    monkeypatch.setattr(tokens._accounts, "holders", slow)
    await pool.execute("delete from token where hash = $1", hash_of(api.user))
    reading = asyncio.create_task(tokens.refresh())
    await asked.wait()
    answer = await both.same(post(api))  # the token is not known to be gone yet
    assert answer.written.startswith(b"HTTP/1.1 201 ")
    assert heads(both) != {}
    going_on.set()
    await reading
    answer = await both.same(post(api))
    assert answer.written.startswith(b"HTTP/1.1 401 ")
