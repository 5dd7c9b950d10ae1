"""Responses in every cut, and everything that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.upstream.cloud.graph.response import MOST_BODY, MOST_HEAD, Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, *, ends: bool = False, step: int = 0) -> Response:
    response = Response()
    for at in range(0, len(data), step or len(data) or 1):
        response.feed(data[at : at + (step or len(data))])
    if ends:
        response.end()
    return response


@pytest.mark.parametrize("step", [0, 1, 2, 7])
@pytest.mark.parametrize(
    ("data", "status", "body", "reusable"),
    [
        (OK, 200, b"{}", True),
        (b"HTTP/1.1 500 \r\ncontent-length:0\r\n\r\n", 500, b"", True),
        (b"HTTP/1.1 429\r\nContent-Length: 1\r\nRetry-After: 7\r\n\r\nx", 429, b"x", True),
        (b"HTTP/1.1 204 No\r\n\r\n", 204, b"", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
        (CHUNKED + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", 200, b"{}", True),
        (CHUNKED + b"00A\r\n0123456789\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200, b"0123456789", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\nA: b\r\n\r\n" + OK, 200, b"{}", True),
        (b"HTTP/1.1 301 M\r\nLocation: https://evil/\r\nContent-Length: 0\r\n\r\n", 301, b"", True),
    ],
)
def test_complete_in_every_cut(
    data: bytes, status: int, body: bytes, reusable: bool, step: int
) -> None:
    response = read(data, step=step)
    assert (response.complete, response.broken) == (True, "")
    assert (response.status, response.body, response.reusable) == (status, body, reusable)
    if len(data) > 1:
        assert not read(data[:-1], step=step).complete


def test_fields() -> None:
    response = read(b"HTTP/1.1 503 X\r\nDate:  now \r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
    assert (response.fields["date"], response.fields["retry-after"]) == ("now", "7")


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    data = b"HTTP/1.1 200 OK\r\n\r\n{"
    assert not read(data + b"}").complete
    response = read(data + b"}", ends=True)
    assert (response.complete, response.body, response.reusable) == (True, b"{}", False)


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("more", [b"x", OK, b"\r\n"])
def test_more_than_an_answer_spoils_the_connection_and_not_the_answer(
    more: bytes, step: int
) -> None:
    response = read(OK + more, step=step)
    assert (response.complete, response.body, response.broken) == (True, b"{}", "")
    assert not response.reusable


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"\r\n" + OK,
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nnot a field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        CHUNKED + b"\r\n",
        CHUNKED + b"0x1\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"fffffffff\r\n",
    ],
)
def test_an_odd_response_breaks_the_connection(data: bytes, step: int) -> None:
    response = read(data, step=step)
    assert response.broken
    response.feed(OK)
    response.end()
    assert not response.complete


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no answer came"),
        (b"HT", "the answer broke off"),
        (OK[:-1], "the answer broke off"),
        (CHUNKED, "the answer broke off"),
        (CHUNKED + b"2\r\n{}\r\n", "the answer broke off"),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", "the answer broke off"),
    ],
)
def test_a_response_that_breaks_off_is_broken(data: bytes, why: str) -> None:
    response = read(data, ends=True)
    assert (response.complete, response.broken) == (False, why)


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"A"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (CHUNKED, b"1"),
        (CHUNKED, b"1;" + b"x" * 200 + b"\r\n{\r\n"),
        (CHUNKED, b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
        (CHUNKED + b"0\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000),
    ],
)
def test_an_endless_response_is_broken_early(head: bytes, more: bytes) -> None:
    response, fed = Response(), 0
    response.feed(head)
    while not response.broken:
        response.feed(more)
        fed += len(more)
        assert fed <= MOST_HEAD + MOST_BODY + 2 * len(more)
    assert response.broken == "the answer is too large"


def test_the_largest_answer() -> None:
    body = b"x" * MOST_BODY
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    assert read(head % MOST_BODY + body, step=65536).body == body
    assert read(head % (MOST_BODY + 1)).broken == "the answer is too large"
    assert read(head % MOST_BODY).broken == ""


@given(st.binary(max_size=300), st.integers(1, 20), st.sampled_from([b"", OK[:20], CHUNKED]))
def test_a_response_reads_the_same_in_every_cut(data: bytes, step: int, head: bytes) -> None:
    whole, cut = read(head + data, ends=True), read(head + data, ends=True, step=step)
    assert (whole.complete, whole.status, whole.body) == (cut.complete, cut.status, cut.body)
    assert bool(whole.broken) == bool(cut.broken) == (not whole.complete)


@given(st.binary(max_size=2000), st.lists(st.integers(1, 500)), st.integers(1, 700))
def test_chunks_come_back_as_their_body(body: bytes, sizes: list[int], step: int) -> None:
    parts, at = [], 0
    for size in [*sizes, len(body) or 1]:
        if part := body[at : at + size]:
            parts.append(b"%x\r\n%b\r\n" % (len(part), part))
        at += size
    whole = CHUNKED + b"".join(parts) + b"0\r\n\r\n"
    rest = body[at:]
    assert not rest
    assert read(whole, step=step).body == body
