"""Real processes with no file descriptor left: they live, beat, serve who is there, and recover."""

from __future__ import annotations

import asyncio
import socket

import aiohttp

from tests.cluster.conftest import CALM, Start
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.files import used_up
from tests.harness.wait import PATIENCE

MESSAGE = {"to": "4915112345678", "type": "text", "text": {"body": "hello"}}
ROLES = ("webapp", "coreapp", "master")
BEATS = "select n.role, b.counter from beat b join node n using (incarnation)"
SESSIONS = (
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wa:%'"
)


async def all_beat(facts: Facts, times: int) -> None:
    """Every process beats so often from now on, as the incarnation that it is."""
    begun = {row["role"]: row["counter"] for row in await facts.connection.fetch(BEATS)}
    assert set(begun) == set(ROLES)
    wanted = " or ".join(f"role = '{r}' and counter >= {n + times}" for r, n in begun.items())
    await facts.until_some(f"select 1 where (select count(*) from ({BEATS}) b where {wanted}) = 3")


async def accepted(client: aiohttp.ClientSession, business: Business) -> None:
    """One message over the client's only connection."""
    url = f"{business.cluster.url}/v1/messages"
    async with client.post(url, json=MESSAGE, headers=business.headers) as answer:
        assert answer.status == 201, await answer.text()


async def test_no_descriptor_left(start: Start) -> None:
    cluster, business = await start(shards=1, coreapps=1, masters=1, webapps=1, environment=CALM)
    processes = [p for p in cluster.processes.values() if p.role in ROLES]
    assert len(processes) == len(ROLES)
    before = {p.name: p.pid for p in processes}
    callers = []
    kept = aiohttp.TCPConnector(keepalive_timeout=PATIENCE)
    async with Facts(cluster) as facts, aiohttp.ClientSession(connector=kept) as client:
        link = await facts.connection.fetchval("select port from node where role = 'coreapp'")
        await accepted(client, business)
        with used_up(processes):
            for port in (cluster.port, link) * 10:
                caller = socket.create_connection(("127.0.0.1", port))  # by the kernel alone
                callers.append(caller)
            await all_beat(facts, 5)
            # On a connection, and over a link, that were there before.
            await accepted(client, business)
            await facts.connection.execute(SESSIONS)
            await asyncio.sleep(1.0)  # for some attempts to connect anew: none can succeed
        for caller in callers:
            caller.close()
        await all_beat(facts, 2)
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", cluster.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.close()
        await business.call("POST", "/v1/messages", json=MESSAGE)
    assert {p.name: p.pid for p in processes} == before
    assert [p.restarts for p in processes] == [0] * len(ROLES)
