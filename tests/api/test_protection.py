"""The HTTP edge against what is too large or compressed (S8, S11), through real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path

import pytest

from tests.harness.edge import Open, heard
from tests.harness.twice import GOOD

# S8: sizes, at n and n + 1


A, B = b"A: " + b"v" * 5000, b"B: " + b"v" * 5000
VALUES = 16_384 - len(b"Host: x\r\n\r\n\r\nC: \r\n") - len(A + B)
LARGE = b"v" * (16_384 - len(b"Host: x\r\nA: \r\n"))
SIZES = {
    "99 fields": ([b"X-%d: 1" % n for n in range(99)], 200),  # and Host
    "100 fields": ([b"X-%d: 1" % n for n in range(100)], 400),
    "a header block of 16 KiB": ([A, B, b"C: " + b"v" * VALUES], 200),
    "and one byte": ([A, B + b"v", b"C: " + b"v" * VALUES], 431),
    "a field as large": ([b"A: " + LARGE], 200),
    "and one byte more": ([b"A: v" + LARGE], 431),
}


@pytest.mark.parametrize("size", SIZES)
async def test_heads_at_n_and_n_plus_1(front: Open, size: str) -> None:
    f = await front()
    fields, wanted = SIZES[size]
    status, body = await f.say(f.get(*fields))
    assert status == wanted
    assert status == 200 or body["errors"][0]["details"]


@pytest.mark.parametrize(("size", "status"), [(8192, 404), (8193, 400)])
async def test_a_target_of_8_kib(front: Open, size: int, status: int) -> None:
    f = await front()
    assert (await f.say(f.get(path=b"/" + b"a" * (size - 1))))[0] == status


ONCE = """Host Authorization Content-Length Transfer-Encoding Content-Type Content-Location
Content-Range ETag Max-Forwards Server User-Agent"""


@pytest.mark.parametrize("name", ONCE.split())
async def test_a_field_that_stands_there_twice_is_named(front: Open, name: str) -> None:
    f = await front()
    status, body = await f.say(f.get(*[name.encode() + b": 1"] * 2))
    assert status == 400
    assert body["errors"][0]["details"] == f"the field {name.title()} is given twice"


@pytest.mark.parametrize(("size", "status"), [(65_536, 201), (65_537, 413)])
async def test_a_body_of_64_kib(front: Open, size: int, status: int) -> None:
    f = await front()
    body = GOOD[:-1] + b" " * (size - len(GOOD)) + b"}"
    chunked = b"%x\r\n" % size + body + b"\r\n0\r\n\r\n"
    length = b"Content-Length: %d" % size
    assert (await f.say(f.post(length, body=body)))[0] == status
    assert (await f.say(f.post(b"Transfer-Encoding: chunked", body=chunked)))[0] == status


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_a_gibibyte_without_a_length_is_refused_in_flat_memory(front: Open) -> None:
    f = await front()
    reader, writer = await f.connect()
    writer.write(f.post(b"Transfer-Encoding: chunked"))
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    before, most = resident(), 0
    said = asyncio.create_task(heard(reader))  # it may come, and the connection end, long before
    with contextlib.suppress(ConnectionError):
        for _ in range(1024):
            writer.write(chunk)
            await writer.drain()
            most = max(most, resident())
    assert (await said)[0] == 413
    writer.close()
    assert most - before < 16 << 20


# S11


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"gzip, identity"])
async def test_compressed_bodies_are_refused_unread(front: Open, coding: bytes) -> None:
    f = await front()
    bomb = b"\x1f\x8b\x08" + b"\0" * 1000
    status, body = await f.say(
        f.post(b"Content-Encoding: " + coding, b"Content-Length: 1003", body=bomb)
    )
    assert status == 400
    assert "identity" in body["errors"][0]["details"]
    assert f.api.recorder.submitted == []
