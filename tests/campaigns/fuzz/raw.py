"""Bytes of requests, mutated: flips, cuts, doubled and contradicting headers, odd framing (S10)."""

from __future__ import annotations

from random import Random

from tests.campaigns.fuzz.framings import REFUSED, REFUSED_CHUNKS, sized

# What an intermediary and a server might read differently; each takes the place of the framing.
FRAMINGS = (
    *(
        sized(parts[name].removesuffix(b"\r\n"), 5)
        for parts in REFUSED.values()
        for name in ("length", "more")
        if name in parts
    ),
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length: 5 5",
    b"Content-Length: 5\r\n\tX",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: \x00chunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Host: other",
    b"\x00: a",
    b"X: " + b"a" * 20_000,
    b"\r\n".join(b"X-%d: a" % n for n in range(200)),
)
CHUNKS = (
    *REFUSED_CHUNKS.values(),
    b"5\r\nhello\r\n0\r\n\r\n",
    b"80000000\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"0\r\nContent-Length: 9\r\n\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
)
LINES = (
    b"GET / HTTP/1.1",
    b"GET / HTTP/1.0",
    b"GET / HTTP/1.1 x",
    b"GET /%zz HTTP/1.1",
    b"GET http://other/v1/health HTTP/1.1",
    b"GET * HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"TRACE / HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"G\x00T / HTTP/1.1",
    b"POST //v1/messages HTTP/1.1",
    b"POST /v1/messages#x HTTP/1.1",
    b"POST /n/default/v1/messages HTTP/1.1",
    b"POST /n/nobody/v1/messages HTTP/1.1",
    b"POST /n/default//v1/messages HTTP/1.1",
    b"POST /n/%64efault/v1/messages HTTP/1.1",
    b"GET /n/default/v1 HTTP/1.1",
    b"GET /n/default HTTP/1.1",
    b"POST /v1/../v1/messages HTTP/1.1",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1",
    b"",
)


def bases(user: str) -> list[bytes]:
    """Requests that nothing takes: reads, and writes that lack what they need or who may do them.

    ``user`` is a live value of Authorization. No mutation of bytes makes a change of any of them.
    """
    live = f"Authorization: {user}\r\n".encode()
    dead = b"Authorization: Bearer " + b"x" * 43 + b"\r\n"
    no_recipient = b'{"type":"text","text":{"body":"Simple Message"}}'
    patch = b'{"webhooks":{"url":"https://example.com"}}'
    return [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: x\r\n" + live + b"\r\n",
        b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
        _post(b"POST /v1/messages", live, no_recipient),
        _post(b"POST /n/default/v1/messages", live, no_recipient),
        _post(b"POST /n/nobody/v1/messages", live, no_recipient),
        _post(
            b"POST /v1/messages", b"Authorization: Bearer wrk_" + b"x" * 49 + b"\r\n", no_recipient
        ),
        _post(b"POST /v1/contacts/", live, b'{"contacts":["+1 631 555 1000"],"blocking":"wait"}'),
        _post(b"PUT /v1/messages/none", live, b'{"status":"read"}'),
        _post(b"POST /v1/messages", dead, no_recipient.replace(b'{"type', b'{"to":"1","type', 1)),
        _post(b"PATCH /v1/settings/application", dead, patch),
        _post(b"POST /v1/users", dead, b'{"username":"fuzzed","password":"Fuzz3d!passw"}'),
        _post(b"POST /v1/users/login", b"Authorization: Basic Og\r\n", b"{}"),
        b"DELETE /v1/users/worker HTTP/1.1\r\nHost: x\r\n" + dead + b"\r\n",
    ]


def _post(line: bytes, authorization: bytes, body: bytes) -> bytes:
    kind = b"Content-Type: application/json\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return line + b" HTTP/1.1\r\nHost: x\r\n" + authorization + kind + length + body


def mutated(raw: bytes, random: Random) -> bytes:
    """One request's bytes with one to four mutations."""
    for _ in range(random.choice((1, 1, 2, 3, 4))):
        raw = random.choice(_MUTATIONS)(raw, random)
    return raw


def _split(raw: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Request line, header lines, body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    return line, headers, body


def _joined(line: bytes, headers: list[bytes], body: bytes) -> bytes:
    return b"\r\n".join([line, *headers, b"", body])


def _cuts(raw: bytes, random: Random) -> tuple[int, int]:
    at = random.randrange(len(raw) + 1)
    return at, min(len(raw), at + random.choice((1, 2, 8, 60)))


def flipped(raw: bytes, random: Random) -> bytes:
    flipped = bytearray(raw or b"x")
    flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def _cut(raw: bytes, random: Random) -> bytes:
    return raw[: _cuts(raw, random)[0]]


def left_out(raw: bytes, random: Random) -> bytes:
    at, to = _cuts(raw, random)
    return raw[:at] + raw[to:]


def _twice(raw: bytes, random: Random) -> bytes:
    at, to = _cuts(raw, random)
    return raw[:to] + raw[at:]


def noise(raw: bytes, random: Random) -> bytes:
    at, _ = _cuts(raw, random)
    return raw[:at] + random.randbytes(random.choice((1, 3, 20))) + raw[at:]


def _framing_added(raw: bytes, random: Random) -> bytes:
    line, headers, body = _split(raw)
    return _joined(line, [*headers, random.choice(FRAMINGS)], body)


def _framing_instead(raw: bytes, random: Random) -> bytes:
    line, headers, body = _split(raw)
    kept = [h for h in headers if not h.startswith(b"Content-")]
    return _joined(line, [*kept, random.choice(FRAMINGS)], body)


def _odd_chunks(raw: bytes, random: Random) -> bytes:
    line, headers, _ = _split(raw)
    kept = [h for h in headers if not h.startswith(b"Content-Length")]
    return _joined(line, [*kept, b"Transfer-Encoding: chunked"], random.choice(CHUNKS))


def _other_line(raw: bytes, random: Random) -> bytes:
    _, headers, body = _split(raw)
    return _joined(random.choice(LINES), headers, body)


def _line_ends(raw: bytes, random: Random) -> bytes:
    end = random.choice((b"\n", b"\r", b"\r\n "))
    return raw.replace(b"\r\n", end, random.choice((1, 99)))


def _header_twice(raw: bytes, random: Random) -> bytes:
    line, headers, body = _split(raw)
    return _joined(line, [*headers, random.choice(headers or [b""])], body)


def _refused(raw: bytes, random: Random) -> bytes:
    """With a part of REFUSED in it."""
    line, headers, body = _split(raw)
    parts = random.choice(list(REFUSED.values()))
    taken = {b"host": "host", b"content-length": "length"}
    kept = [h for h in headers if taken.get(h.partition(b":")[0].lower()) not in parts]
    added = [
        parts[name].removesuffix(b"\r\n") for name in ("host", "length", "more") if name in parts
    ]
    added = [sized(part, len(body)) for part in added]
    return _joined(parts.get("line", line), [*kept, *added], body)


def _pipelined(raw: bytes, random: Random) -> bytes:
    return raw + raw[_cuts(raw, random)[0] :]


_MUTATIONS = (
    flipped,
    _cut,
    left_out,
    _twice,
    noise,
    _framing_added,
    _framing_instead,
    _odd_chunks,
    _other_line,
    _line_ends,
    _header_twice,
    _refused,
    _pipelined,
)
