"""POST /v1/messages by the fast path and by aiohttp alone: the same bytes, whatever comes.

Two connections of one application are given the same reads, with a transport that notes what is
written. The answers may differ in Date, X-Request-Id and the new message's id, in nothing else.
"""

from __future__ import annotations

import re
from random import Random

import msgspec
import pytest

from tests.campaigns.fuzz.framings import REFUSED, REFUSED_CHUNKS, chunked, odd
from tests.campaigns.fuzz.raw import CHUNKS, FRAMINGS, LINES, bases, mutated
from tests.harness.api import Api
from tests.harness.twice import GOOD, Both, Make, post
from warouter.api.messages.fastpath import HEAD_BYTES
from warouter.kinds import HOLD, MESSAGE, kind_with

_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3}) ", re.MULTILINE)


# What it is for


TEMPLATE = (
    b'{"to":"4915112345678","type":"template","template":{"name":"a","language":'
    b'{"policy":"deterministic","code":"de"}}}'
)
TAKEN: dict[str, tuple[bytes, ...]] = {
    "text": (GOOD,),
    "without a type": (b'{"to":"+49 (151) 12345678","text":{"body":"hello"}}',),
    "not ASCII": ('{"to":"4915112345678","text":{"body":"gr\u00fc\u00df \U0001f600"}}'.encode(),),
    "ttl": (b'{"to":"4915112345678","ttl":"PT1H","text":{"body":"hello"}}',),
    "template": (TEMPLATE,),
    "media by link": (
        b'{"to":"4915112345678","type":"image","image":{"link":"https://example.com/a.png"}}',
    ),
    "as curl": (GOOD, b"User-Agent: curl/8", b"Accept: */*"),
    "keep-alive": (GOOD, b"Connection: Keep-Alive"),
    "key": (GOOD, b"Idempotency-Key: once"),
    "white space": (GOOD, b"X-Trace:   a  "),
}


@pytest.mark.parametrize("case", TAKEN)
async def test_a_good_message_is_taken_by_the_fast_path(both: Both, case: str) -> None:
    body, *fields = TAKEN[case]
    answer = await both.same(*[post(both.slow.api, body, *fields)] * 3)
    assert answer.written.count(b"HTTP/1.1 201 Created\r\n") == both.took == 3


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
    *((b"Warouter-In-Doubt: fail",), (b"warouter-priority: high",), (b"Warouter-Priority: low",)),
    *((b"Warouter-In-Doubt:",), (b"Warouter-In-Doubt: fail", b"Warouter-In-Doubt: hold")),
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


async def whole_and_apart(both: Both, request: bytes) -> bytes:
    """What is answered to it in one read, and in two, with another one behind it."""
    head = request.index(b"\r\n\r\n") + 4
    await both.same(request[:head], request[head:], post(both.slow.api))
    return (await both.same(request, post(both.slow.api))).written


@pytest.mark.parametrize("fields", ODD_FIELDS)
async def test_other_fields(both: Both, fields: tuple[bytes, ...]) -> None:
    await whole_and_apart(both, post(both.slow.api, GOOD, *fields))


OPTIONS = {
    b"Warouter-In-Doubt: hold": kind_with(MESSAGE, HOLD),
    b"WAROUTER-PRIORITY:high": kind_with(MESSAGE, priority=True),
}


@pytest.mark.parametrize("option", OPTIONS)
async def test_options_are_neither_lost_nor_kept_for_others(make: Make, option: bytes) -> None:
    both = await make(options=True)
    plain, asked = post(both.slow.api), post(both.slow.api, GOOD, option)
    await both.same(plain, asked, plain, asked)
    kind = OPTIONS[option]
    assert [message.kind for message in both.fast.taken] == [MESSAGE, kind, MESSAGE, kind]
    assert both.took == 2


async def test_an_action_as_text_is_left_to_whom_can_rewrite_it(both: Both) -> None:
    body = (
        b'{"to":"4915112345678","type":"interactive","interactive":{"type":"button","body":'
        b'{"text":"x"},"action":"{\\"buttons\\":[{\\"type\\":\\"reply\\",\\"reply\\":{\\"id\\":'
        b'\\"1\\",\\"title\\":\\"a\\"}}]}"}}'
    )
    await whole_and_apart(both, post(both.slow.api, body))
    assert b'"action":{"buttons":[' in both.fast.taken[0].body


@pytest.mark.parametrize("body", BAD_BODIES)
async def test_bodies_that_are_no_message(both: Both, body: bytes) -> None:
    answer = await whole_and_apart(both, post(both.slow.api, body))
    assert answer.startswith(b"HTTP/1.1 4")


def by_key(api: Api, *fields: bytes) -> bytes:
    """A message with these fields for its credentials."""
    mine = b"".join(field + b"\r\n" for field in fields)
    return post(api).replace(b"Authorization: Bearer " + api.user.encode() + b"\r\n", mine)


async def test_a_key_of_the_dialect_is_taken_as_a_token_is(make: Make) -> None:
    both = await make(d360=True)
    request = by_key(both.slow.api, b"D360-API-KEY: " + both.slow.api.user.encode())
    answer = await both.same(*[request] * 3)
    assert answer.written.count(b"HTTP/1.1 201 Created\r\n") == both.took == 3


@pytest.mark.parametrize("d360", [True, False])
async def test_other_credentials_of_the_dialect_are_judged_alike(make: Make, d360: bool) -> None:
    both = await make(d360=d360)
    api = both.slow.api
    user, admin = api.user.encode(), api.admin.encode()
    await api.context.tokens.caller(api.admin)
    for fields, ok in (
        ((b"D360-API-KEY: " + user,), d360),
        ((b"d360-api-key:  " + user + b" ",), d360),
        ((b"D360-API-KEY: ",), False),
        ((b"D360-API-KEY: Bearer " + user,), False),
        ((b"D360-API-KEY: " + b"x" * 43,), False),
        ((b"D360-API-KEY: \xff" + user,), False),
        ((b"D360-API-KEY: " + user, b"Authorization: Bearer " + user), True),
        ((b"D360-API-KEY: " + user, b"Authorization: Bearer " + admin), not d360),
        ((b"D360-API-KEY: " + b"x" * 43, b"Authorization: Bearer " + user), not d360),
        ((b"D360-API-KEY: " + user, b"Authorization: Bearer x"), False),
        ((b"D360-API-KEY: " + user, b"Authorization: Basic Og=="), False),
        ((b"D360-API-KEY: " + user, b"Authorization: Apikey 0123456789abcdef"), False),
        ((b"D360-API-KEY: " + user, b"D360-API-KEY: " + user), d360),
        ((b"D360-API-KEY: " + user, b"D360-API-KEY: " + admin), False),
    ):
        answer = await both.same(by_key(api, *fields), post(api))
        line = b"HTTP/1.1 201 " if ok else b"HTTP/1.1 401 "
        assert answer.written.startswith(line), fields


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
    good = [post(api), post(api, TEMPLATE, b"Idempotency-Key: a")]
    random = Random(part)
    for n in range(1_000):
        base = random.choice(good if n % 4 else bases(f"Bearer {api.user}"))
        raw = mutated(base, random)
        at = random.randrange(len(raw) + 1)
        reads = [raw] if random.random() < 0.5 else [raw[:at], raw[at:]]
        await both.same(*(read for read in reads if read), post(api))
    assert both.took > 50
