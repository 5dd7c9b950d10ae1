"""The coreapp's connection to the upstream, seen from a server that only counts."""

from __future__ import annotations

import asyncio
from typing import Any

from warouter.upstream.client import FAILURES, SimulatorUpstream
from warouter.upstream.protocol import Claim

PATIENCE_S = 10.0


class Told:
    """An owner that claims a slot on every connection."""

    client: SimulatorUpstream

    def on_upstream(self, message: Any) -> None: ...

    def on_upstream_up(self) -> None:
        self.client.tell(Claim(0, 1))

    def on_upstream_down(self) -> None: ...

    def on_upstream_writable(self) -> None: ...


async def test_an_owner_that_may_not_act_does_not_blame_its_upstream() -> None:
    """Without a database an owner ends its connection itself, again and again: it stays well."""
    ended = asyncio.Queue[bytes]()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = b""
        try:
            heard = await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()
            ended.put_nowait(heard)

    listener = Told()
    async with await asyncio.start_server(count, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = SimulatorUpstream("127.0.0.1", port, "n", "i", listener, lambda: False)
        listener.client = client
        running = asyncio.create_task(client.run())
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(FAILURES + 2):
                heard = await ended.get()
                assert b"claim" not in heard
                assert client.well
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
