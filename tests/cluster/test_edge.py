"""The HTTP edge of a real webapp: very many connections at once; the fast path, on and off."""

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


async def test_c49_a_thousand_connections_at_once_are_served(start: Start) -> None:
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
