"""What becomes of a message that the fast path takes, and of heads that have come before.

Two connections of one application are given the same reads, with a transport that notes what is
written. The answers may differ in Date, X-Request-Id and the new message's id, in nothing else.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import asyncpg
import pytest

from tests.harness.api import USER_PASSWORD
from tests.harness.offers import Registered
from tests.harness.twice import GOOD, Both, Make, plain, post, settled
from warouter.access.token import hash_of
from warouter.api.messages._plain import Known
from warouter.api.messages.fastpath import FastPath
from warouter.errors import ApiError, KeyTaken, NotReady, Overloaded
from warouter.http.rates import parse_rates

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
    assert answer.written.count(b'"code":%d,' % error.code) == 2
    assert both.took == 2


async def test_a_request_that_came_before(both: Both) -> None:
    for side in both.sides:
        side.known_as = bytes((1, 3)) + bytes(18)
    answer = await both.same(post(both.slow.api))
    assert b'"id":"AQMAAAAAAAAAAAAAAAAAAAAAAAA"' in answer.written
    assert both.took == 1


async def test_a_known_head_is_a_use_of_its_token(both: Both) -> None:
    """Of which the database hears: the token that nobody uses is the one that a log-in ends."""
    request = post(both.slow.api)
    await both.same(request)
    fast = both.fast.connections.fast
    assert isinstance(fast, FastPath)
    (known,) = fast.heads.values()
    first = known.used
    await both.same(request)
    tokens = both.slow.api.context.tokens
    assert [(c.hash, at) for c, at in tokens.others()] == [
        (hash_of(both.slow.api.user), known.used)
    ]
    assert known.used > first


async def test_the_rate_limit(make: Make) -> None:
    both = await make(rates=parse_rates("0.001/2,1/1"))
    answer = await both.same(*[post(both.slow.api)] * 3)
    assert answer.written.count(b"HTTP/1.1 201 ") == 2
    assert answer.written.count(b"HTTP/1.1 429 ") == 1
    assert both.took == 3


async def test_the_last_answer_of_a_connection_says_so(both: Both) -> None:
    for side in both.sides:
        side.connections.leave()
    answer = await both.same(post(both.slow.api), post(both.slow.api))
    assert answer.closed
    assert answer.written.count(b"Connection: close\r\n") == 1
    assert both.took == 1


async def test_a_pipelined_request_waits_for_the_answer_before_it(both: Both) -> None:
    side, request = both.fast, post(both.slow.api)
    side.held = True
    connection, wire = await side.open()
    connection.data_received(request)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not wire.reading
    assert not connection.is_idle
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
    await asyncio.sleep(0)
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
    assert not connection.is_idle
    limits = both.fast.connections.limits
    later = asyncio.get_running_loop().time() + limits.body_grace_seconds + 0.1
    assert connection.look(limits, later) == "body"
    assert wire.written == b""
    connection.connection_lost(None)


async def test_without_a_registered_number_or_with_checks_it_is_aiohttps(both: Both) -> None:
    api = both.slow.api
    path = both.fast.connections.fast
    assert isinstance(path, FastPath)
    assert isinstance(path._registered, Registered)
    path._registered.known = set()
    await both.same(post(api))
    path._registered.known = {1}
    await both.same(post(api))
    path._registered.known = set()
    await both.same(post(api))  # nor is it taken behind a head that is known
    path._registered.known = {1}
    fast, slow = [await side.say([post(api)]) for side in both.sides]
    assert plain(fast.written) == plain(slow.written)
    assert both.took == 2


# Heads that have come before


def heads(both: Both) -> dict[bytes, Known]:
    path = both.fast.connections.fast
    assert path is not None
    return path.heads


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


async def test_a_known_head_is_not_read_again(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled takes it alone, also with another body of its length; not so an error."""
    api = both.slow.api
    await both.same(post(api))
    monkeypatch.setattr(FastPath, "take", lambda *_: False)
    for body in (
        GOOD,
        GOOD.replace(b"hello", "h\u00e4\u00df".encode()),
        GOOD.replace(b"4915", b"+ 15"),
    ):
        before = both.took
        await both.same(post(api, body), post(api, body))
        assert both.took == before + 2
    for body in (GOOD.replace(b"hello", b"\\u00e"), GOOD.replace(b"hello", b"h\xe4llo")):
        before = both.took
        await both.same(post(api, body), post(api))
        assert both.took == before + 1


@pytest.mark.parametrize("part", range(2))
async def test_mutated_bodies_behind_a_known_head(both: Both, part: int) -> None:
    random = Random(part)
    request = post(both.slow.api)
    await both.same(request)
    body_at = len(request) - len(GOOD)
    for _ in range(500):
        raw = bytearray(request)
        for _ in range(random.randrange(1, 4)):
            raw[random.randrange(body_at, len(raw))] = random.choice(
                b'"\\{}:,0+ (-nu\x00\x7f\xc3\xa4\xff'
            )
        await both.same(bytes(raw), request)


async def test_heads_that_are_not_kept(both: Both) -> None:
    api = both.slow.api
    await both.same(post(api, GOOD, b"Idempotency-Key: a"))
    await both.same(post(api, b"{}"))
    assert both.took == 1
    assert heads(both) == {}


async def test_no_more_heads_are_kept_than_the_limit(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warouter.api.messages.fastpath.MOST_HEADS", 3)
    for n in range(8):
        await both.same(*[post(both.slow.api, GOOD, b"X-Trace: %d" % n)] * 2)
        assert 1 <= len(heads(both)) <= 3
    assert both.took == 16


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_token_that_is_ended(both: Both, pool: asyncpg.Pool, elsewhere: bool) -> None:
    api = both.slow.api
    token = await api.token_of("worker", USER_PASSWORD)
    request = post(api, token=token)
    await api.context.tokens.caller(token)  # in memory from here on
    answer = await both.same(request, request, request)
    assert answer.written.count(b" 201 ") == both.took == 3
    if elsewhere:
        await pool.execute("delete from token where hash = $1", hash_of(token))
        await api.context.tokens.refresh()
    else:
        await api.call("POST", "/v1/users/logout", token=token)
    answer = await both.same(request)
    assert answer.written.startswith(b"HTTP/1.1 401 ")


async def test_a_token_that_expires(both: Both) -> None:
    api = both.slow.api
    await both.same(post(api))
    for known in heads(both).values():
        known.ends = 0.0
    await both.same(post(api))  # it is looked up again
    assert all(known.ends > 0 for known in heads(both).values())


async def test_a_head_learned_while_tokens_are_read_again_is_forgotten(
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
