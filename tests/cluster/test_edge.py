"""The HTTP edge of a real webapp: very many connections at once; the fast path, on and off."""

from __future__ import annotations

import asyncio
import json
import re
import resource
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.conftest import ONE, own_port, running
from tests.harness.business import Business
from tests.harness.facts import Facts
from warouter.local.options import Placement

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("edge")]

GOOD = b'{"to":"4915112345678","type":"text","text":{"body":"hello"}}'


def second_without(name: str, _role: str) -> Placement:
    """The second webapp has no fast path."""
    return Placement(environment={"WAROUTER_FAST_PATH": "0"} if name == "webapp-2" else {})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    async with running(**ONE, webapps=2, place=second_without) as (_, business):
        yield business


async def exchange(port: int, request: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes on a connection of their own; the status and JSON of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
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


async def test_c49_a_thousand_connections_at_once_are_served(business: Business) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))  # for this side of them
    request = post(business, b"Content-Length: %d" % len(GOOD), body=GOOD)
    port = own_port(business.cluster, 1)
    async with Facts(business.cluster) as facts:
        before = await sent(facts)
        answers = await asyncio.gather(*(exchange(port, request) for _ in range(1000)))
        assert {status for status, _ in answers} == {201}
        ids = {body["messages"][0]["id"] for _, body in answers}
        assert len(ids) == 1000
        assert await sent(facts) == before + 1000


@pytest.mark.parametrize(("webapp", "taken"), [(1, 5), (2, 0)], ids=["on", "off"])
async def test_messages_take_the_fast_path_unless_it_is_off(
    business: Business, webapp: int, taken: int
) -> None:
    request = post(business, b"Content-Length: %d" % len(GOOD), body=GOOD)
    port = own_port(business.cluster, webapp)
    async with Facts(business.cluster) as facts:
        before = await sent(facts)
        await exchange(port, request)  # whether a number is registered is known from here on
        fast = await taken_fast(business, webapp)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # The first of a connection may come before aiohttp waits for it.
        for _ in range(6):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 201 ")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
            await reader.readexactly(length)
        writer.close()
        more = await taken_fast(business, webapp) - fast
        assert more in (taken, taken and taken + 1)
        assert await sent(facts) == before + 7


async def taken_fast(business: Business, webapp: int) -> int:
    """The requests that a webapp has taken by the fast path; it knows its own at once."""
    url = f"{business.cluster.webapp_urls[webapp - 1]}/metrics?format=prometheus"
    async with business.http.get(url, headers=business.headers) as answer:
        text = await answer.text()
    pattern = rf'^warouter_requests_fast_total.*"localhost:webapp-{webapp}".* (\d+)'
    (value,) = re.findall(pattern, text, re.M)
    return int(value)
