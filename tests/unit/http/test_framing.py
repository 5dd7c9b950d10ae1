"""Where requests begin and end, held against llhttp as aiohttp uses it."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from tests.campaigns.fuzz.framings import REFUSED, REFUSED_CHUNKS, chunked, odd
from tests.campaigns.fuzz.raw import mutated
from warouter.errors import ApiError, HeadTooLarge
from warouter.http.framing import (
    CHUNKED,
    END,
    LENGTH_DIGITS,
    Chunks,
    Head,
    NotHttp,
    Sized,
    check_begun,
    read_head,
    without_blank_lines,
)
from warouter.http.pace import HEAD_BYTES, TARGET_BYTES

TOKEN = "t" * 43
GOOD = odd(TOKEN, b"hello")
GOOD_CHUNKED = chunked(TOKEN, b"5\r\nhello\r\n00\r\n\r\n")


def first(raw: bytes) -> tuple[Head, int] | None:
    """The first request's head and size; None if it is not whole."""
    raw = without_blank_lines(raw)
    end = raw.find(END)
    if end < 0:
        check_begun(raw, 0)
        return None
    head = read_head(raw[: end + len(END)])
    body = head.body()
    size = head.size + body.take(raw[head.size :])
    return (head, size) if body.ended else None


def byte_by_byte(raw: bytes) -> None:
    """As a connection reads what comes slowly; raises what it would refuse it with."""
    came = b""
    for byte in raw:
        came += bytes((byte,))
        if came.endswith(END):
            body = read_head(came).body()
            for later in raw[len(came) :]:
                body.take(bytes((later,)))
            return
        check_begun(came, len(came) - 1)


CASES = {name: odd(TOKEN, b"hello", **parts) for name, parts in REFUSED.items()}
CASES |= {name: chunked(TOKEN, chunks) for name, chunks in REFUSED_CHUNKS.items()}
# Which methods there are is aiohttp's to say.
METHOD = CASES.pop("a method that HTTP does not have")


@pytest.mark.parametrize("name", CASES)
def test_framings_that_are_refused(name: str) -> None:
    assert first(METHOD) is not None
    for read in (first, byte_by_byte):
        with pytest.raises(NotHttp) as refused:
            read(CASES[name])
        assert refused.value.details


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"length": b"Content-Length: %d  "},
        {"length": b"content-length:%d"},
        {"length": b"Content-Length: 0000000000%d"},
        {"line": b"POST /v1/messages HTTP/1.0", "host": b"X: a"},
        {"line": b"M-SEARCH * HTTP/1.1"},
        *({"host": b"Host: " + host} for host in (b"a", b"web_app:9090", b"[::1]:80", b"1.2.3.4:")),
        {"more": b"X:\r\nY: \xc3\xa9 \t,\r\nX: b\r\n"},
    ],
)
def test_framings_that_are_taken(parts: dict[str, bytes]) -> None:
    raw = odd(TOKEN, b"hello", **parts)
    found = first(raw + b"GET")
    assert found is not None
    assert (found[0].length, found[1]) == (5, len(raw))
    byte_by_byte(raw)


def test_bounds_at_n_and_n_plus_1() -> None:
    most = b"9" * LENGTH_DIGITS
    assert read_head(odd(TOKEN, b"", length=b"Content-Length: " + most)).length == int(most)
    with pytest.raises(NotHttp):
        read_head(odd(TOKEN, b"", length=b"Content-Length: 1" + most))
    for more, refused in ((0, False), (1, True)):
        target = b"/" + b"a" * (TARGET_BYTES - 1 + more)
        raw = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        if refused:
            with pytest.raises(NotHttp):
                read_head(raw)
        else:
            assert read_head(raw).length == 0
    fields = b"Host: a\r\nX: " + b"a" * (HEAD_BYTES - len(b"Host: a\r\nX: \r\n")) + b"\r\n"
    assert read_head(b"GET / HTTP/1.1\r\n" + fields + b"\r\n").length == 0
    with pytest.raises(HeadTooLarge):
        read_head(b"GET / HTTP/1.1\r\nY" + fields + b"\r\n")
    with pytest.raises(HeadTooLarge):
        check_begun(b"GET / HTTP/1.1\r\nX: " + b"a" * (HEAD_BYTES + TARGET_BYTES), 0)
    with pytest.raises(NotHttp):
        check_begun(b"GET /" + b"a" * (TARGET_BYTES + 64), 0)


@given(at=st.integers(0, len(GOOD)), step=st.integers(1, 40))
def test_a_good_request_is_good_in_any_pieces(at: int, step: int) -> None:
    head = GOOD[: GOOD.index(END) + len(END)]
    begun = head[: min(at, len(head) - 1)]
    for before in range(0, len(begun), step):
        check_begun(begun[: before + step], before)


parts_of_bodies = st.lists(st.binary(min_size=1, max_size=300), max_size=5)


@given(parts=parts_of_bodies, behind=st.binary(max_size=40), data=st.data())
def test_a_chunked_body_ends_where_it_ends(parts: list[bytes], behind: bytes, data: Any) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    stream, chunks, taken = body + behind, Chunks(), 0
    while not chunks.ended:
        piece = stream[taken : taken + data.draw(st.integers(1, 400))]
        assert piece
        took = chunks.take(piece)
        assert took == len(piece) or chunks.ended
        taken += took
    assert taken == len(body)
    assert chunks.take(b"more") == 0
    assert chunks.content(body) == b"".join(parts)


@given(length=st.integers(0, 500), pieces=st.lists(st.binary(max_size=90), max_size=20))
def test_a_sized_body_ends_where_it_ends(length: int, pieces: list[bytes]) -> None:
    body = Sized(length)
    taken = sum(body.take(piece) for piece in pieces)
    assert taken == min(length, sum(map(len, pieces)))
    assert body.ended == (taken == length)
    assert body.content(b"".join(pieces)[:taken]) == b"".join(pieces)[:taken]


class Protocol(asyncio.Protocol):
    """What aiohttp's parser asks of a connection."""

    def pause_reading(self) -> None:
        raise AssertionError("no body here is that large")


def by_llhttp(raw: bytes) -> tuple[list[Any], bytes]:
    loop: Any = SimpleNamespace(get_debug=lambda: False)
    parser = HttpRequestParser(Protocol(), loop, 1 << 20, max_line_size=TARGET_BYTES)  # type: ignore[arg-type]
    messages, _, behind = parser.feed_data(raw)
    return list(messages), behind


@pytest.mark.parametrize("part", range(4))
def test_a_taken_request_is_one_whole_request_to_llhttp(part: int) -> None:
    """The bytes that aiohttp gets as one request are one, and whole, to its parser as well."""
    random, taken = Random(part), 0
    for n in range(4_000):
        raw = mutated((GOOD, GOOD_CHUNKED)[n % 2], random)
        try:
            found = first(raw)
        except ApiError:
            continue
        if found is None:
            continue
        head, size = found
        whole = without_blank_lines(raw)[:size]
        try:
            messages, behind = by_llhttp(whole)
        except Exception:
            continue
        taken += 1
        assert len(messages) == 1, whole
        assert behind == b""
        message, payload = messages[0]
        assert payload.is_eof(), whole
        assert message.chunked == (head.length == CHUNKED)
        assert payload.total_bytes == head.length or head.length == CHUNKED
    assert taken > 30


NAMES = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)
BEHIND = st.from_regex(r"/v1[/?][!-~]{0,20}", fullmatch=True)


def asked(target: str) -> Head:
    return read_head(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())


@given(NAMES, BEHIND)
def test_the_name_of_a_number_is_cut_off_the_path(name: str, behind: str) -> None:
    head, plain = asked(f"/n/{name}{behind}"), asked(behind)
    assert head.number.decode() == name
    assert (head.line, head.fields, head.length) == (plain.line, plain.fields, plain.length)
    assert head.size == plain.size + len(f"/n/{name}")


@given(st.from_regex(r"(/n/?)?[!-~]{0,40}", fullmatch=True))
def test_any_other_path_stays_as_it_came(target: str) -> None:
    target = target or "/"
    head = asked(target)
    if head.number:
        assert head.line == f"GET {target[3 + len(head.number) :]} HTTP/1.1\r\n".encode()
        assert target.startswith(f"/n/{head.number.decode()}/v1")
    else:
        assert head.line == f"GET {target} HTTP/1.1\r\n".encode()


@pytest.mark.parametrize(
    "target",
    [
        "/n/a",
        "/n/a/",
        "/n/a/v1x",
        "/n/a/v2/messages",
        "/n/A/v1/messages",
        "/n/a--b/v1/messages",
        "/n/-a/v1/messages",
        "/n/a-/v1/messages",
        "/n/%61/v1/messages",
        "/n//v1/messages",
        "/N/a/v1/messages",
        "//n/a/v1/messages",
        "/x/n/a/v1/messages",
        "http://a/n/a/v1/messages",
        f"/n/{'a' * 33}/v1/messages",
    ],
)
def test_other_paths_are_no_numbers(target: str) -> None:
    assert asked(target).number == b""
    assert asked(f"/n/{'a' * 32}/v1").number == b"a" * 32
