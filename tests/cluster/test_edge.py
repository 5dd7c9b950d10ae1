"""The HTTP edge of a real webapp: what is no request, what is too large, and very many at once."""

from __future__ import annotations

import asyncio
import json
import re
import resource
from typing import Any

import pytest

from tests.cluster.conftest import Start
from tests.harness.business import Business
from tests.harness.facts import Facts
from warouter.local.cluster import Cluster

GOOD = b'{"to":"4915112345678","type":"text","text":{"body":"hello"}}'
NO_REQUESTS = {
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "bad method": b"G{}T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "length is no number": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"
    ),
    "length and chunked": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "header of 64 KiB": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 65536 + b"\r\n\r\n",
    "target of 64 KiB": b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}


async def exchange(cluster: Cluster, request: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes on a connection of their own; the status and JSON of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.port)
    writer.write(request)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
    finally:
        writer.close()
    assert b"application/json" in head
    return int(head.split(b" ")[1]), json.loads(body)


async def sent(facts: Facts) -> int:
    return int(await facts.connection.fetchval("select count(*) from message"))


def post(business: Business, *headers: bytes, body: bytes = b"") -> bytes:
    token = business.headers["Authorization"].encode()
    lines = [b"POST /v1/messages HTTP/1.1", b"Host: x", b"Authorization: " + token, *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def test_bad_input_gets_an_envelope_and_changes_nothing(start: Start) -> None:
    cluster, business = await start(coreapps=1, masters=1)
    async with Facts(cluster) as facts:
        for name, request in NO_REQUESTS.items():
            status, body = await exchange(cluster, request)
            assert 400 <= status < 500, name
            error = body["errors"][0]
            assert all(error[part] for part in ("code", "title", "details")), name
        # Refused by its head alone: the body never comes.
        status, _ = await exchange(cluster, post(business, b"Content-Length: 1073741824"))
        assert status == 413
        # And where the head says nothing, as soon as it is too much.
        chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
        endless = post(business, b"Transfer-Encoding: chunked", body=chunk * 2)
        assert (await exchange(cluster, endless))[0] == 413
        bomb = post(business, b"Content-Encoding: gzip", b"Content-Length: 3", body=b"\x1f\x8b\x08")
        assert 400 <= (await exchange(cluster, bomb))[0] < 500
        assert await sent(facts) == 0
        length = b"Content-Length: %d" % len(GOOD)
        assert (await exchange(cluster, post(business, length, body=GOOD)))[0] == 201
        assert await sent(facts) == 1


async def test_a_thousand_connections_at_once_are_served(start: Start) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))  # for this side of them
    cluster, business = await start(coreapps=1, masters=1)
    request = post(business, b"Content-Length: %d" % len(GOOD), body=GOOD)
    answers = await asyncio.gather(*(exchange(cluster, request) for _ in range(1000)))
    assert {status for status, _ in answers} == {201}
    ids = {body["messages"][0]["id"] for _, body in answers}
    assert len(ids) == 1000
    async with Facts(cluster) as facts:
        assert await sent(facts) == 1000


@pytest.mark.parametrize(("switch", "taken"), [("1", 5), ("0", 0)])
async def test_messages_take_the_fast_path_unless_it_is_off(
    start: Start, switch: str, taken: int
) -> None:
    environment = {"WAROUTER_FAST_PATH": switch}
    cluster, business = await start(coreapps=1, masters=1, environment=environment)
    request = post(business, b"Content-Length: %d" % len(GOOD), body=GOOD)
    await exchange(cluster, request)  # whether a number is registered is known from here on
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.port)
    # The first of a connection may come before aiohttp waits for it.
    for _ in range(6):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 201 ")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
    writer.close()
    url = f"{cluster.url}/metrics?format=prometheus"
    async with business.http.get(url, headers=business.headers) as answer:
        (line,) = re.findall(r"^warouter_requests_fast_total.* (\d+)", await answer.text(), re.M)
    assert int(line) in (taken, taken and taken + 1)
    async with Facts(cluster) as facts:
        assert await sent(facts) == 7
